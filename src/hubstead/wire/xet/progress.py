"""The response of ``/v2/shards``: lines of JSON with the progress, then the outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from starlette.types import Receive, Scope, Send

from hubstead.db import Conflict
from hubstead.errors import ConcurrentChange, HubError, StorageFull, Unavailable
from hubstead.wire.xet.shapes import Failure, Result, Validating

#: Seconds between lines. Current clients wait 300 seconds for a line, the protocol says 120.
LINE_INTERVAL_S = 5.0
_TRY_AGAIN = (Unavailable, StorageFull, Conflict, ConcurrentChange)
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/x-ndjson"), (b"cache-control", b"no-store")],
}


class CheckProgress:
    """The progress of verifying a shard, set from any thread."""

    def __init__(self) -> None:
        self._line = Validating(0, 0)

    def __call__(self, verified: int, total: int) -> None:
        """Set the bytes verified so far, and the bytes in all."""
        self._line = Validating(verified, total)

    @property
    def line(self) -> Validating:
        """The newest progress line."""
        return self._line


class ProgressResponse:
    """Runs ``work``, sends its progress every ``interval_s``, and its outcome at the end."""

    def __init__(
        self,
        work: Callable[[CheckProgress], Awaitable[bool]],
        *,
        interval_s: float = LINE_INTERVAL_S,
    ) -> None:
        self._work = work
        self._interval_s = interval_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the work and send the lines. A disconnect cancels the work."""
        await send(_START)
        progress = CheckProgress()
        working = asyncio.ensure_future(self._work(progress))
        try:
            while not working.done():
                await _send_line(send, progress.line)
                await asyncio.wait([working], timeout=self._interval_s)
        finally:
            if not working.done():
                working.cancel()
                await asyncio.wait([working])
        await _send_line(send, _outcome(working), is_last=True)
        if not isinstance(error := working.exception(), HubError | None):
            raise error  # for the log: the client has its Failure


def _outcome(working: asyncio.Future[bool]) -> Result | Failure:
    error = working.exception()
    if error is None:
        return Result(int(working.result()))
    if isinstance(error, HubError):
        return Failure(error.message, retryable=isinstance(error, _TRY_AGAIN))
    return Failure("Internal error: see the hub's log", retryable=False)


async def _send_line(send: Send, line: msgspec.Struct, *, is_last: bool = False) -> None:
    body = msgspec.json.encode(line) + b"\n"
    await send({"type": "http.response.body", "body": body, "more_body": not is_last})
