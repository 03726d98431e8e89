"""``GET …/info/refs``: what can be fetched, or pushed to."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hubstead import __version__
from hubstead.errors import Forbidden
from hubstead.repos import Right, require
from hubstead.wire.http import Answer, Call
from hubstead.wire.smart_http.packets import FLUSH, lines, packet
from hubstead.wire.smart_http.references import References

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


async def info_refs(call: Call) -> Answer:
    """Tell git which refs there are and what can be done."""
    service = call.query.one("service")
    if service == RECEIVE_PACK:
        require(call.repo, call.actor, Right.WRITE)
        return _answer(service, await _to_push(call))
    if service == UPLOAD_PACK:
        return _answer(service, await _to_fetch(call))
    raise Forbidden(reason="This hub speaks git's smart protocol only: use git 1.6.6 or newer")


def protocol(call: Call) -> int:
    """Return the version of the protocol that the client asks for: 0, 1 or 2."""
    asked = call.headers.get("git-protocol", "").split(":")
    return max((n for n in (1, 2) if f"version={n}" in asked), default=0)


async def projection(call: Call, refs: References) -> Path:
    """Return a git directory that shows these refs of the repository."""
    git = await call.git()
    await call.hub.stores.catch_up(call.repo, [row.target for row in refs.rows])
    show = call.hub.stores.git.projection
    return await asyncio.to_thread(show, git.repo_id, refs.by_name, call.repo.default_branch)


async def _to_fetch(call: Call) -> bytes:
    version = protocol(call)
    refs = await References.of(call)
    offered = call.hub.stores.git.remembered(version)
    if not offered:
        folder = await projection(call, refs)
        offered = await asyncio.to_thread(call.hub.stores.git.offered, folder, version)
    if version == 2:
        return lines(["version 2", *offered]) + FLUSH
    if not refs.rows:
        return _first(version) + FLUSH  # as git does
    symref = [f"symref=HEAD:{refs.head}"] if refs.head_oid else []
    return _first(version) + refs.classic([*offered, *symref], head=True, peeled=True)


async def _to_push(call: Call) -> bytes:
    refs = await References.of(call)
    # A push speaks v1 at most: with v2 clients come back to the classic form.
    told = refs.classic(PUSH_CAPABILITIES, head=False, peeled=False)
    return _first(protocol(call)) + told


def _first(version: int) -> bytes:
    return packet("version 1\n") if version == 1 else b""


def _answer(service: str, told: bytes) -> Answer:
    body = packet(f"# service={service}\n") + FLUSH + told
    media_type = f"application/x-{service}-advertisement"
    return Answer(body, media_type=media_type, headers=NO_CACHE)
