"""``POST …/git-upload-pack``: clones and fetches, served by git from a projection of the refs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from hubstead.admission import Lane, slot
from hubstead.commits import sees_unreachable
from hubstead.errors import InvalidInput
from hubstead.gitstore import GitOutput
from hubstead.http import Response, inflating, read_body
from hubstead.wire import Request
from hubstead.wire.git.fetch_request import NotOurRef, limit_to_reachable
from hubstead.wire.git.info_refs import NO_CACHE, projection, protocol
from hubstead.wire.git.packets import FLUSH, lines, packet, read_all
from hubstead.wire.git.references import References

MEDIA_TYPE = "application/x-git-upload-pack-result"
#: Bytes; only a request up to this size is parsed as ``ls-refs``, which needs no program.
_MAX_LS_REFS_BYTES = 1 << 20

_log = structlog.get_logger("hubstead.git")


async def upload_pack(request: Request) -> ASGIApp:
    """Answer ``ls-refs`` from the database, and any other command by ``git upload-pack``."""
    body = await _body(request)
    refs = await References.of(request)
    if protocol(request) == 2 and len(body) <= _MAX_LS_REFS_BYTES:
        listed = _ls_refs(refs, read_all(body))
        if listed is not None:
            return Response(listed, media_type=MEDIA_TYPE, headers=NO_CACHE)
    if not sees_unreachable(request.repo, request.actor):
        try:
            body = await limit_to_reachable(request, refs, body)
        except NotOurRef as error:  # in git's words for an object that is not there
            refusal = packet(f"ERR upload-pack: not our ref {error.oid}")
            return Response(refusal, media_type=MEDIA_TYPE, headers=NO_CACHE)
    folder = await projection(request, refs)
    version = f"version={protocol(request)}" if "git-protocol" in request.headers else ""

    async def start() -> GitOutput:
        return await request.hub.stores.git.upload_pack.start(folder, body, protocol=version)

    return _ProgramResponse(start)


async def _body(request: Request) -> bytes:
    scope, receive = inflating(request.scope, request.receive)
    limit = request.hub.settings.git.max_fetch_request_bytes
    return await read_body(scope, receive, limit=limit, setting="max_fetch_request_bytes")


def _ls_refs(refs: References, packets: list[bytes | None]) -> bytes | None:
    """Return the answer to ``ls-refs``, None if the request is another command."""
    words = [packet.rstrip(b"\n").decode("utf-8", "replace") for packet in packets if packet]
    if "command=ls-refs" not in words[:1]:
        return None
    prefixes = [word.removeprefix("ref-prefix ") for word in words if word.startswith("ref-pre")]
    if len(prefixes) > 65536:
        raise InvalidInput(reason="too many prefixes")
    listed = refs.listed(
        prefixes, peel="peel" in words, symrefs="symrefs" in words, unborn="unborn" in words
    )
    return lines(listed) + FLUSH


class _ProgramResponse:
    """Streams the output of a program, and ends the program when the client disconnects."""

    def __init__(self, start: Callable[[], Awaitable[GitOutput]]) -> None:
        self._start = start

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        async with slot(Lane.PROCESSES):
            output = await self._start()
            try:
                await _send_all(output, send)
            finally:
                status, stderr = await asyncio.shield(asyncio.ensure_future(output.close()))
                if status and stderr:
                    _log.info("fetch failed", status=status, stderr=stderr)


async def _send_all(output: GitOutput, send: Send) -> None:
    headers = [(name.encode(), value.encode()) for name, value in NO_CACHE.items()]
    headers.append((b"content-type", MEDIA_TYPE.encode()))
    piece = await output.read()
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while piece:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        piece = await output.read()
    await send({"type": "http.response.body", "body": b""})
