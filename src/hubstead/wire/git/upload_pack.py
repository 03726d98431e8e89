"""``POST …/git-upload-pack``: clones and fetches, answered by git over a projection of the refs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from hubstead.errors import InvalidInput, Unavailable
from hubstead.gitstore import GitOutput
from hubstead.http import Response, inflating, read_body
from hubstead.wire import Request
from hubstead.wire.git.info_refs import NO_CACHE, projection, protocol
from hubstead.wire.git.packets import FLUSH, lines, read_all
from hubstead.wire.git.references import References

MEDIA_TYPE = "application/x-git-upload-pack-result"
#: A request of this size or less may be ``ls-refs``, which needs no program.
_MOST_LS_REFS = 1 << 20

_log = structlog.get_logger("hubstead.git")
_running = 0


async def upload_pack(request: Request) -> ASGIApp:
    """Send git what it wants of the repository."""
    body = await _body(request)
    refs = await References.of(request)
    if protocol(request) == 2 and len(body) <= _MOST_LS_REFS:
        listed = _ls_refs(refs, read_all(body))
        if listed is not None:
            return Response(listed, media_type=MEDIA_TYPE, headers=NO_CACHE)
    most = request.hub.settings.git.processes
    if _running >= most:
        raise Unavailable(reason=f"{most} fetches are being served (git_processes): try again")
    folder = await projection(request, refs)
    asked = request.headers.get("git-protocol", "")
    version = f"version={protocol(request)}" if asked else ""

    async def start() -> GitOutput:
        return await request.hub.stores.git.upload_pack(folder, body, protocol=version)

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
    """An answer that a program makes while it is sent; whoever hangs up ends the program."""

    def __init__(self, start: Callable[[], Awaitable[GitOutput]]) -> None:
        self._start = start

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        global _running  # noqa: PLW0603  (a count of this process)
        _running += 1
        try:
            output = await self._start()
            try:
                await _send_all(output, send)
            finally:
                status, said = await asyncio.shield(asyncio.ensure_future(output.close()))
                if status and said:
                    _log.info("a fetch ended early", status=status, said=said)
        finally:
            _running -= 1


async def _send_all(output: GitOutput, send: Send) -> None:
    headers = [(name.encode(), value.encode()) for name, value in NO_CACHE.items()]
    headers.append((b"content-type", MEDIA_TYPE.encode()))
    piece = await output.read()
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while piece:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        piece = await output.read()
    await send({"type": "http.response.body", "body": b""})
