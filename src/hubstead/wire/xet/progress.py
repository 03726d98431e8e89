"""The answer of ``/v2/shards``: lines of JSON while the work goes on, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from starlette.types import Receive, Scope, Send

from hubstead.db import Conflict
from hubstead.errors import ConcurrentChange, HubError, StorageFull, Unavailable
from hubstead.wire.xet.shapes import Failure, Result, Validating

#: Clients of today wait 300 seconds for a line, those of the protocol's text 120.
EVERY_S = 5.0
_TRY_AGAIN = (Unavailable, StorageFull, Conflict, ConcurrentChange)
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/x-ndjson"), (b"cache-control", b"no-store")],
}


class CheckProgress:
    """How far the checking of a shard is; may be noted from any thread."""

    def __init__(self) -> None:
        self._told = Validating(0, 0)

    def __call__(self, verified: int, total: int) -> None:
        """Note how many bytes of how many have been checked."""
        self._told = Validating(verified, total)

    @property
    def line(self) -> Validating:
        """What can be told now."""
        return self._told


class ProgressResponse:
    """Sends lines until ``work`` is done: first what went before, last how it ended."""

    def __init__(self, work: Callable[[CheckProgress], Awaitable[bool]]) -> None:
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do the work and tell of it. If the client goes, the work is given up."""
        await send(_START)
        progress = CheckProgress()
        working = asyncio.ensure_future(self._work(progress))
        try:
            while not working.done():
                await _tell(send, progress.line)
                await asyncio.wait([working], timeout=EVERY_S)
        finally:
            if not working.done():
                working.cancel()
                await asyncio.wait([working])
        await _tell(send, _ending(working), last=True)
        if not isinstance(error := working.exception(), HubError | None):
            raise error  # for the log: the client has been told


def _ending(done: asyncio.Future[bool]) -> Result | Failure:
    error = done.exception()
    if error is None:
        return Result(int(done.result()))
    if isinstance(error, HubError):
        return Failure(error.message, retryable=isinstance(error, _TRY_AGAIN))
    return Failure("Internal error: see the hub's log", retryable=False)


async def _tell(send: Send, line: msgspec.Struct, *, last: bool = False) -> None:
    body = msgspec.json.encode(line) + b"\n"
    await send({"type": "http.response.body", "body": body, "more_body": not last})
