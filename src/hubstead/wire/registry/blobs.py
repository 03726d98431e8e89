"""Blobs of the registry view: model files as LFS objects, and computed ones.

ollama reads the header ``Location`` of a GET that it otherwise drops, and fetches all parts from
there without credentials for as long as the download takes (protocol/runtimes.md 7.4). So the
address is signed where a stranger may not read, and rights are checked again at each use.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import msgspec
from starlette.types import ASGIApp

from hubstead.accounts import reload_actor
from hubstead.admission import Lane, run_in_lane
from hubstead.errors import InvalidCredentials, RevisionNotFound
from hubstead.facts import list_model_files
from hubstead.formats import is_gguf
from hubstead.gitstore import GitRepo
from hubstead.http import BytesResponse, FileResponse, redirect
from hubstead.registry import BlobUnknown, find_computed_blob
from hubstead.repos import Right, open_repo_by_id
from hubstead.wire import Request, open_lfs
from hubstead.wire.registry.digests import parse_digest
from hubstead.wire.registry.service import API_VERSION
from hubstead.xet import LfsObject, find_lfs_object

_PURPOSE = "registry blob"
_ANY = "application/octet-stream"


class BlobAddressRefused(InvalidCredentials):
    """This signed address is not valid, or no longer: pull again for a new one."""


class BlobGrant(msgspec.Struct, frozen=True, array_like=True):
    """The content of a signature: one blob for one reader of a repository."""

    repo: str  # its immutable id
    digest: str
    user: int = 0  # 0: anonymous
    token: int = 0  # 0: signed in by password


async def get_blob(request: Request) -> ASGIApp:
    """Send a blob; ``Location`` is an address that needs no credentials."""
    digest = parse_digest(request.text("digest"))
    return await _send(request, digest, _open_address(request, digest))


async def get_signed_blob(request: Request) -> ASGIApp:
    """Send a blob to whoever has its signed address, while the reader who got it may read."""
    digest = parse_digest(request.text("digest"))
    signature = request.query.one("sig") or ""
    try:
        grant = request.hub.signer.read(signature, BlobGrant, purpose=_PURPOSE)
        request.actor = await reload_actor(request.hub.db, grant.user, grant.token)
    except InvalidCredentials:
        raise BlobAddressRefused() from None
    if grant.digest != digest:
        raise BlobAddressRefused()
    request.repo = await open_repo_by_id(request.hub.db, request.actor, grant.repo, Right.READ)
    return await _send(request, digest, f"{request.origin}{request.path}?sig={signature}")


def _open_address(request: Request, digest: str) -> str:
    path = f"/v2/{quote(request.repo.full_name)}/blobs/sha256:{digest}"
    if not request.repo.private and not request.repo.gated:
        return f"{request.origin}{path}"
    actor = request.actor
    grant = BlobGrant(request.repo.id, digest, actor.pk, actor.token_pk)
    seconds = request.hub.settings.registry.url_seconds
    signature = request.hub.signer.sign(grant, purpose=_PURPOSE, seconds=seconds)
    return f"{request.origin}{path}/signed?sig={signature}"


async def _send(request: Request, digest: str, address: str) -> ASGIApp:
    headers = [
        *API_VERSION.items(),
        ("Docker-Content-Digest", f"sha256:{digest}"),
        ("Location", address),
        ("Cache-Control", _caching(request)),
        ("X-Content-Type-Options", "nosniff"),
    ]
    git = await request.git()
    if request.repo.head is not None and await _is_model_file(request, git, digest):
        lfs = await find_lfs_object(request.hub.db, request.repo.pk, digest)
        if lfs is not None and lfs.committed:
            return await _send_object(request, lfs, headers)
    return await _send_computed(request, git, digest, headers)


def _caching(request: Request) -> str:
    is_open = not request.repo.private and not request.repo.gated
    return "public, max-age=3600, immutable" if is_open else "private, no-cache"


async def _is_model_file(request: Request, git: GitRepo, digest: str) -> bool:
    """Tell whether a GGUF file at the head of the default branch has this content."""
    commit = (await request.revision(request.repo.default_branch)).commit
    files = await run_in_lane(Lane.READS, list_model_files, git, commit)
    return any(file.sha256 == digest and is_gguf(file.path) for file in files)


async def _send_object(request: Request, lfs: LfsObject, headers: list[tuple[str, str]]) -> ASGIApp:
    if request.method == "HEAD":
        return FileResponse(_SizeOnly(lfs.bytes), etag=lfs.sha256, headers=headers, media_type=_ANY)
    direct = request.hub.blobs.direct
    lfs.require_intact()
    if direct is not None and lfs.is_plain:
        seconds = int(request.hub.settings.registry.url_seconds)
        url = await direct.url(lfs.place, expires_s=seconds, media_type=_ANY)
        shown = {name.lower(): value for name, value in headers if name != "Location"}
        return redirect(url, headers={**shown, "cache-control": "no-store"})
    return FileResponse(
        await open_lfs(request, lfs), etag=lfs.sha256, headers=headers, media_type=_ANY
    )


class _SizeOnly:
    """The size of an object, which is enough to answer HEAD without the store."""

    path: Path | None = None

    def __init__(self, size: int) -> None:
        self.size = size

    def chunks(self, start: int, count: int) -> AsyncIterator[bytes]:
        """Never called: HEAD sends no body."""
        raise NotImplementedError


async def _send_computed(
    request: Request, git: GitRepo, digest: str, headers: list[tuple[str, str]]
) -> ASGIApp:
    """Send a blob that a manifest of the repository named, as long as its commit can be read."""
    blob = await find_computed_blob(request.hub.db, request.repo.pk, digest)
    if blob is None:
        raise BlobUnknown(digest=f"sha256:{digest}")
    try:
        await request.revision(blob.commit_oid)
    except RevisionNotFound:
        raise BlobUnknown(digest=f"sha256:{digest}") from None
    body = blob.body
    if body is None:
        body = await run_in_lane(Lane.READS, git.blob, blob.file_oid or "")
    return BytesResponse(body, etag=digest, headers=headers, media_type=_ANY)
