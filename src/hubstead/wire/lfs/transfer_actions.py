"""The URLs in a batch response: one per whole object, or one per part."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from hubstead.blobs import BlobKey, BlobKind, MultipartUpload, begin_upload
from hubstead.db import Tx
from hubstead.wire import Request, token_url, xet_access
from hubstead.wire.lfs.shapes import Action, RequestedObject
from hubstead.wire.lfs.signed_urls import DOWNLOAD, PARTS, UPLOAD, grant_for, sign_url

#: The name of the Xet transfer in the batch protocol.
XET = "xet"
#: Part URLs in one response: some 3 MB of JSON. Larger batches get larger parts.
MOST_PARTS = 10_000
#: URLs live long enough for a transfer at this speed to finish without new ones.
SLOWEST_BYTES_PER_S = 1 << 20

Actions = dict[str, Action]


@dataclass(frozen=True)
class TransferPlan:
    """How a client uploads the objects of a batch: whole or in parts."""

    in_parts: frozenset[RequestedObject]  # objects to upload in parts
    offered: bool  # whether the client can send parts
    whole_limit: int | None  # bytes; the repository requires parts for larger objects
    part_bytes: int
    seconds: float  # lifetime of the URLs

    @classmethod
    def make(
        cls, request: Request, transfers: list[str], objects: list[RequestedObject]
    ) -> TransferPlan:
        """Choose parts for large objects if the client supports them; for all objects with git-lfs.

        git-lfs hands every object of a multipart batch to its agent, which knows only parts.
        """
        settings, whole_limit = request.hub.settings, request.repo.lfs_multipart_threshold
        limit = settings.lfs.multipart_threshold_bytes
        limit = limit if whole_limit is None else min(limit, whole_limit)
        offered = "multipart" in transfers
        in_parts = {obj for obj in objects if offered and obj.size > limit}
        if in_parts and request.headers.get("user-agent", "").startswith("git-lfs/"):
            in_parts = set(objects)
        return cls(
            in_parts=frozenset(in_parts),
            offered=offered,
            whole_limit=whole_limit,
            part_bytes=settings.lfs.part_bytes,
            seconds=lifetime_s(request, sum(obj.size for obj in objects)),
        )

    @property
    def transfer(self) -> str:
        """The name of the transfer in the batch response."""
        return "multipart" if self.in_parts else "basic"

    def is_impossible(self, obj: RequestedObject) -> bool:
        """Return whether the repository requires parts from a client that does not support them."""
        over = self.whole_limit is not None and obj.size > self.whole_limit
        return over and not self.offered

    def part_bytes_of(self, obj: RequestedObject) -> tuple[int, int]:
        """Return the part size of an object, and its minimum, in bytes."""
        most = max(1, MOST_PARTS // max(1, len(self.in_parts)))
        least = -(-obj.size // min(most, 10_000))
        return max(self.part_bytes, least), max(1, least)


def lifetime_s(request: Request, total_bytes: int) -> float:
    """Return the lifetime in seconds of URLs that transfer ``total_bytes``.

    Every use checks rights again, so a long lifetime leaks nothing.
    """
    settings = request.hub.settings
    transfer_s = min(total_bytes // SLOWEST_BYTES_PER_S, settings.blobs.hold_seconds)
    return max(settings.blobs.signed_url_seconds, transfer_s)


def download_actions(request: Request, obj: RequestedObject, total_bytes: int) -> Actions:
    """Return the signed download URL of an object."""
    seconds = lifetime_s(request, total_bytes)
    href = sign_url(
        request,
        f"/api/lfs/download/{obj.oid}",
        grant_for(request, obj.oid, obj.size),
        purpose=DOWNLOAD,
        seconds=seconds,
    )
    return {"download": Action(href, expires_in=int(seconds))}


async def xet_actions(request: Request) -> Actions:
    """Return the actions, the same for every object, of a Xet upload (protocol/hub-api.md 5.3).

    ``href`` issues new tokens. It names the default branch, which always resolves: the branch
    that the client is about to push may not exist yet.
    """
    access = await xet_access(request, write=True)
    header = {**access.headers, "X-Xet-Session-Id": str(uuid.uuid4())}
    href = token_url(request, "write", request.repo.default_branch)
    return {"upload": Action(href, header), "verify": _verify(request)}


def _verify(request: Request) -> Action:
    return Action(f"{request.public_url}/{request.repo.repo_id.web_path}.git/info/lfs/verify")


async def upload_actions(
    request: Request, plan: TransferPlan, objects: list[RequestedObject]
) -> dict[RequestedObject, Actions]:
    """Return the upload and verify URLs of each object."""
    uploads = await _uploads(request, plan, [obj for obj in objects if obj in plan.in_parts])
    verify = _verify(request)
    actions = {}
    for obj in objects:
        if obj in uploads:
            upload = _in_parts(request, plan, obj, uploads[obj])
        else:
            upload = _whole(request, plan, obj)
        actions[obj] = {"upload": upload, "verify": verify}
    return actions


async def _uploads(
    request: Request, plan: TransferPlan, objects: list[RequestedObject]
) -> dict[RequestedObject, MultipartUpload]:
    if not objects:
        return {}
    longest_s = max(plan.seconds, request.hub.settings.blobs.hold_seconds)
    return await request.hub.db.write(
        _begin_uploads, request.repo.pk, plan, objects, lifetime_ms=int(longest_s * 1000)
    )


async def _begin_uploads(
    tx: Tx, repo_pk: int, plan: TransferPlan, objects: list[RequestedObject], *, lifetime_ms: int
) -> dict[RequestedObject, MultipartUpload]:
    uploads = {}
    for obj in objects:
        size, least = plan.part_bytes_of(obj)
        uploads[obj] = await begin_upload(
            tx,
            repo_pk,
            BlobKey(BlobKind.LFS, obj.oid),
            obj.size,
            part_bytes=size,
            least_part_bytes=least,
            lifetime_ms=lifetime_ms,
        )
    return uploads


def _whole(request: Request, plan: TransferPlan, obj: RequestedObject) -> Action:
    href = sign_url(
        request,
        f"/api/lfs/upload/{obj.oid}",
        grant_for(request, obj.oid, obj.size),
        purpose=UPLOAD,
        seconds=plan.seconds,
    )
    return Action(href, expires_in=int(plan.seconds))


def _in_parts(
    request: Request, plan: TransferPlan, obj: RequestedObject, upload: MultipartUpload
) -> Action:
    """Return the action in the form that Hub clients read: part URLs among the headers.

    All values are strings, and part numbers have leading zeros: git-lfs sorts them as text
    (protocol/legacy-clients.md 4.3).
    """
    grant = grant_for(request, obj.oid, obj.size, upload=upload.id, part_bytes=upload.part_bytes)
    href = sign_url(
        request, f"/api/lfs/parts/{upload.id}", grant, purpose=PARTS, seconds=plan.seconds
    )
    path, _, query = href.partition("?")
    header = {"chunk_size": str(upload.part_bytes)}
    for number in range(1, upload.parts + 1):
        header[f"{number:05}"] = f"{path}/{number}?{query}"
    return Action(href, header, expires_in=int(plan.seconds))
