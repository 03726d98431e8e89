"""``GET …/info/refs``: what can be fetched, or pushed to."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hubstead import __version__
from hubstead.errors import Forbidden
from hubstead.http import Response
from hubstead.repos import Right, require_right
from hubstead.wire import Request
from hubstead.wire.git.packets import FLUSH, lines, packet
from hubstead.wire.git.references import References

UPLOAD_PACK, RECEIVE_PACK = "git-upload-pack", "git-receive-pack"
NO_CACHE = {
    "cache-control": "no-cache, max-age=0, must-revalidate",
    "expires": "Fri, 01 Jan 1980 00:00:00 GMT",
    "pragma": "no-cache",
}
#: What our front of ``receive-pack`` knows (gitprotocol-capabilities).
PUSH_CAPABILITIES = (
    "report-status",
    "report-status-v2",
    "delete-refs",
    "side-band-64k",
    "quiet",
    "atomic",
    "ofs-delta",
    "object-format=sha1",
    f"agent=hubstead/{__version__}",
)


async def info_refs(request: Request) -> Response:
    """Tell git which refs there are and what can be done."""
    service = request.query.one("service")
    if service == RECEIVE_PACK:
        require_right(request.repo, request.actor, Right.WRITE)
        return _answer(service, await _to_push(request))
    if service == UPLOAD_PACK:
        return _answer(service, await _to_fetch(request))
    raise Forbidden(reason="This hub speaks git's smart protocol only: use git 1.6.6 or newer")


def protocol(request: Request) -> int:
    """Return the version of the protocol that the client asks for: 0, 1 or 2."""
    asked = request.headers.get("git-protocol", "").split(":")
    return max((n for n in (1, 2) if f"version={n}" in asked), default=0)


async def projection(request: Request, refs: References) -> Path:
    """Return a git directory that shows these refs of the repository."""
    git = await request.git()
    await request.hub.stores.fetch_missing_packs(request.repo, [row.target for row in refs.rows])
    show = request.hub.stores.git.projection
    return await asyncio.to_thread(show, git.repo_id, refs.by_name, refs.head)


async def _to_fetch(request: Request) -> bytes:
    version = protocol(request)
    refs = await References.of(request)
    offered = request.hub.stores.git.remembered(version)
    if not offered:
        folder = await projection(request, refs)
        offered = await asyncio.to_thread(request.hub.stores.git.offered, folder, version)
    if version == 2:
        return lines(["version 2", *offered]) + FLUSH
    if not refs.rows:
        return _first(version) + FLUSH  # as git does
    symref = [f"symref=HEAD:{refs.head}"] if refs.head_oid else []
    return _first(version) + refs.classic([*offered, *symref], head=True, peeled=True)


async def _to_push(request: Request) -> bytes:
    refs = await References.of(request)
    # A push speaks v1 at most: with v2 clients come back to the classic form.
    told = refs.classic(PUSH_CAPABILITIES, head=False, peeled=False)
    return _first(protocol(request)) + told


def _first(version: int) -> bytes:
    return packet("version 1\n") if version == 1 else b""


def _answer(service: str, told: bytes) -> Response:
    body = packet(f"# service={service}\n") + FLUSH + told
    media_type = f"application/x-{service}-advertisement"
    return Response(body, media_type=media_type, headers=NO_CACHE)
