"""The addresses of a batch answer: one for the whole object, or one for each of its parts."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import partial

from hubstead.blobs import BlobKey, BlobKind, MultipartUpload, begin_upload
from hubstead.db import Tx
from hubstead.wire import Request, token_url, xet_access
from hubstead.wire.lfs.shapes import Action, RequestedObject
from hubstead.wire.lfs.signed_urls import DOWNLOAD, PARTS, UPLOAD, grant_for, sign_url

#: What clients call sending to the Xet store.
XET = "xet"
#: Addresses of parts in one answer: some 30 MB of them. Larger batches get larger parts.
MOST_PARTS = 100_000
#: Nobody has to come back for new addresses while the bytes flow at least as fast as this.
SLOWEST_BYTES_PER_S = 1 << 20

Actions = dict[str, Action]


@dataclass(frozen=True)
class TransferPlan:
    """How the objects of a batch travel."""

    in_parts: frozenset[RequestedObject]  # those sent in parts
    offered: bool  # whether the client can send parts
    whole_limit: int | None  # the repository's own: larger ones must be sent in parts
    part_bytes: int
    seconds: float  # how long the addresses are good

    @classmethod
    def make(
        cls, request: Request, transfers: list[str], objects: list[RequestedObject]
    ) -> TransferPlan:
        """Choose: parts for large objects, if the client can; for all of them if git-lfs asks.

        git-lfs hands every object of a multipart batch to its agent, which knows only parts.
        """
        settings, whole_limit = request.hub.settings, request.repo.lfs_multipart_threshold
        limit = settings.lfs.multipart_threshold_bytes
        limit = limit if whole_limit is None else min(limit, whole_limit)
        offered = "multipart" in transfers
        in_parts = {each for each in objects if offered and each.size > limit}
        if in_parts and request.headers.get("user-agent", "").startswith("git-lfs/"):
            in_parts = set(objects)
        return cls(
            in_parts=frozenset(in_parts),
            offered=offered,
            whole_limit=whole_limit,
            part_bytes=settings.lfs.part_bytes,
            seconds=lifetime_s(request, sum(each.size for each in objects)),
        )

    @property
    def transfer(self) -> str:
        """What the answer calls it."""
        return "multipart" if self.in_parts else "basic"

    def is_impossible(self, each: RequestedObject) -> bool:
        """Tell whether the object would have to be sent in parts, by a client that cannot."""
        over = self.whole_limit is not None and each.size > self.whole_limit
        return over and not self.offered

    def part_bytes_of(self, each: RequestedObject) -> tuple[int, int]:
        """Return the size of an object's parts, and the least that is bearable."""
        most = max(1, MOST_PARTS // max(1, len(self.in_parts)))
        least = -(-each.size // min(most, 10_000))
        return max(self.part_bytes, least), max(1, least)


def lifetime_s(request: Request, total_bytes: int) -> float:
    """Return for how many seconds addresses for so many bytes are good.

    Rights are asked again at each use, so a long life gives nothing away.
    """
    settings = request.hub.settings
    flowing = min(total_bytes // SLOWEST_BYTES_PER_S, settings.blobs.hold_seconds)
    return max(settings.blobs.signed_url_seconds, flowing)


def download_actions(request: Request, each: RequestedObject, total_bytes: int) -> Actions:
    """Return where an object can be had."""
    seconds = lifetime_s(request, total_bytes)
    href = sign_url(
        request,
        f"/api/lfs/download/{each.oid}",
        grant_for(request, each.oid, each.size),
        purpose=DOWNLOAD,
        seconds=seconds,
    )
    return {"download": Action(href, expires_in=int(seconds))}


async def xet_actions(request: Request) -> Actions:
    """Return how objects are sent to the Xet store, all alike (protocol/hub-api.md 5.3).

    At ``href`` the client gets new tokens. It names the default branch, at which nobody is told
    that the branch they are about to push does not exist yet.
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
    """Return where each object can be sent, and where to ask whether it has arrived."""
    uploads = await _uploads(request, plan, [each for each in objects if each in plan.in_parts])
    verify = _verify(request)
    found = {}
    for each in objects:
        if each in uploads:
            upload = _in_parts(request, plan, each, uploads[each])
        else:
            upload = _whole(request, plan, each)
        found[each] = {"upload": upload, "verify": verify}
    return found


async def _uploads(
    request: Request, plan: TransferPlan, objects: list[RequestedObject]
) -> dict[RequestedObject, MultipartUpload]:
    if not objects:
        return {}
    longest_s = max(plan.seconds, request.hub.settings.blobs.hold_seconds)
    lifetime_ms = int(longest_s * 1000)

    async def begin(tx: Tx, repo_pk: int) -> dict[RequestedObject, MultipartUpload]:
        begun = {}
        for each in objects:
            size, least = plan.part_bytes_of(each)
            begun[each] = await begin_upload(
                tx,
                repo_pk,
                BlobKey(BlobKind.LFS, each.oid),
                each.size,
                part_bytes=size,
                least_part_bytes=least,
                lifetime_ms=lifetime_ms,
            )
        return begun

    return await request.hub.db.write(partial(begin, repo_pk=request.repo.pk))


def _whole(request: Request, plan: TransferPlan, each: RequestedObject) -> Action:
    href = sign_url(
        request,
        f"/api/lfs/upload/{each.oid}",
        grant_for(request, each.oid, each.size),
        purpose=UPLOAD,
        seconds=plan.seconds,
    )
    return Action(href, expires_in=int(plan.seconds))


def _in_parts(
    request: Request, plan: TransferPlan, each: RequestedObject, upload: MultipartUpload
) -> Action:
    """Return the form that the Hub's clients know: part addresses among the headers.

    All values are strings, and numbers have leading zeros: git-lfs sorts them as text
    (protocol/legacy-clients.md 4.3).
    """
    grant = grant_for(request, each.oid, each.size, upload=upload.id, part_bytes=upload.part_bytes)
    href = sign_url(
        request, f"/api/lfs/parts/{upload.id}", grant, purpose=PARTS, seconds=plan.seconds
    )
    path, _, query = href.partition("?")
    header = {"chunk_size": str(upload.part_bytes)}
    for number in range(1, upload.parts + 1):
        header[f"{number:05}"] = f"{path}/{number}?{query}"
    return Action(href, header, expires_in=int(plan.seconds))
