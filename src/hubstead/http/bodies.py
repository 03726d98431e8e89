"""Request bodies for handlers: to a consumer in a thread, whole, or as a stream.

All functions work on any ASGI server; on Hubstead's, a body with a Content-Length goes from
the socket to its consumer without passing through the event loop.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.types import Message, Receive, Scope

from hubstead.admission import Lane, buffer_bytes, run_in_lane
from hubstead.errors import ClientGone, InvalidInput, SlowClient, TooLarge
from hubstead.http.headers import content_length, get_header

BATCH = 1 << 20
INFLATED_PART = 256 * 1024
#: How many times its size a gzip body may inflate to, beyond the first bytes.
MOST_INFLATION = 100
FREE_INFLATION = 1 << 20
#: Bytes of a gzip body that are inflated on the event loop, which takes a millisecond; the rest is
#: inflated in a thread.
INFLATED_INLINE = 256 * 1024

_WHAT = "The request body"
_SETTING = "the limit of this address"


async def receive_into(
    scope: Scope,
    receive: Receive,
    consume: Callable[[memoryview], object],
    *,
    limit: int,
    what: str = _WHAT,
    setting: str = _SETTING,
) -> int:
    """Pass the whole request body to ``consume``, in order, in a thread.

    ``consume`` may block; the memory it gets is valid during the call only. No call of it
    runs after this function has returned or raised.

    Args:
        limit: The maximum number of bytes.
        what, setting: The subject and the setting named in the message of ``TooLarge``.

    Returns:
        The number of bytes passed to ``consume``.

    Raises:
        TooLarge: the body exceeds ``limit``; before any read if Content-Length already does.
        ClientGone: the client disconnected before the end of the body.
        SlowClient: the client sent too slowly.
        Exception: any error that ``consume`` raised.
    """
    _check_announced(scope, limit, what, setting)
    direct = scope.get("extensions", {}).get("hubstead.receive_into")
    if direct is not None:
        count: int = await direct(consume, limit)
        return count
    return await receive_by_messages(receive, consume, limit=limit, what=what, setting=setting)


async def receive_by_messages(
    receive: Receive,
    consume: Callable[[memoryview], object],
    *,
    limit: int,
    what: str = _WHAT,
    setting: str = _SETTING,
) -> int:
    """Like ``receive_into``, by ordinary ASGI events, with at most two batches in memory."""
    total = 0
    batch = bytearray()
    running: asyncio.Future[object] | None = None
    try:
        async for part in _parts(receive, limit, what, setting):
            total += len(part)
            batch += part
            if running is not None and running.done():
                await running  # raise the consumer's error before the body ends
                running = None
            if len(batch) >= BATCH:
                await _settled(running)
                running = _consuming(consume, batch)
                batch = bytearray()
        await _settled(running)
        running = _consuming(consume, batch) if batch else None
        await _settled(running)
    except (ClientGone, SlowClient):
        if running is not None:
            await running  # the consumer's error came first
        raise
    finally:
        if running is not None and not running.done():
            await asyncio.wait([running])
    return total


def _consuming(consume: Callable[[memoryview], object], batch: bytearray) -> asyncio.Future[object]:
    return asyncio.ensure_future(run_in_lane(Lane.DIGESTS, consume, memoryview(batch)))


async def _settled(running: asyncio.Future[object] | None) -> None:
    if running is not None:
        await asyncio.shield(running)


async def read_body(
    scope: Scope,
    receive: Receive,
    *,
    limit: int,
    what: str = _WHAT,
    setting: str = _SETTING,
) -> bytes:
    """Return the whole request body, counted as buffered until the request ends.

    Raises:
        Overloaded, ShareExceeded: requests buffer too many bytes, in all or of this caller.
        TooLarge: the body exceeds ``limit`` bytes; before any read if Content-Length already does.
        ClientGone: the client disconnected before the end of the body.
        SlowClient: the client sent too slowly.
    """
    parts = stream_body(scope, receive, limit=limit, what=what, setting=setting)
    whole = []
    async for part in parts:
        buffer_bytes(len(part))
        whole.append(part)
    return b"".join(whole)


async def stream_body(
    scope: Scope,
    receive: Receive,
    *,
    limit: int,
    what: str = _WHAT,
    setting: str = _SETTING,
) -> AsyncIterator[bytes]:
    """Yield the request body in parts as they arrive; raises like ``read_body``."""
    _check_announced(scope, limit, what, setting)
    async for part in _parts(receive, limit, what, setting):
        yield part


def _check_announced(scope: Scope, limit: int, what: str, setting: str) -> None:
    announced = content_length(scope)
    if announced is not None and announced > limit:
        raise TooLarge(what=what, limit=limit, setting=setting)


async def _parts(receive: Receive, limit: int, what: str, setting: str) -> AsyncIterator[bytes]:
    total = 0
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone()
        part = message.get("body", b"")
        more = message.get("more_body", False)
        total += len(part)
        if total > limit:
            raise TooLarge(what=what, limit=limit, setting=setting)
        if part:
            yield part


def inflating(scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
    """Return a request whose body is inflated if the client compressed it with gzip.

    git compresses large requests. Limits then apply to the inflated size, and memory holds
    only one part of it. A body that inflates to more than ``MOST_INFLATION`` times its size is
    refused: no client's is so repetitive.

    Raises:
        InvalidInput: the body has another encoding; when read, the body is not gzip or ends
            too early.
        TooLarge: when read, the body inflates to too much.
    """
    coding = (get_header(scope, "content-encoding") or "identity").strip().lower()
    if coding in ("", "identity"):
        return scope, receive
    if coding not in ("gzip", "x-gzip"):
        raise InvalidInput(reason=f"Content-Encoding {coding[:40]!r}: send gzip or nothing")
    dropped = (b"content-length", b"content-encoding")
    headers = [pair for pair in scope["headers"] if pair[0] not in dropped]
    extensions = {
        name: value
        for name, value in scope.get("extensions", {}).items()
        if name != "hubstead.receive_into"
    }
    inner = {**scope, "headers": headers, "extensions": extensions}
    return inner, _Inflater(receive).receive


class _Inflater:
    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._zlib: Any = _gunzip()
        self._waiting = b""  # deflated bytes not yet inflated
        self._more = True  # deflated bytes to come
        self._begun = False  # inside a gzip member
        self._done = False
        self._deflated = 0
        self._inflated = 0

    async def receive(self) -> Message:
        """Return the next event, its body inflated."""
        if self._done:
            return await self._receive()
        while True:
            if self._waiting or self._zlib.unconsumed_tail:
                part = await self._next_part()
                if part:
                    return {"type": "http.request", "body": part, "more_body": True}
            elif self._more:
                message = await self._receive()
                if message["type"] != "http.request":
                    return message
                self._waiting = message.get("body", b"")
                self._deflated += len(self._waiting)
                self._more = message.get("more_body", False)
            else:
                return self._end()

    async def _next_part(self) -> bytes:
        if self._inflated < INFLATED_INLINE:
            return self._inflate()
        return await run_in_lane(Lane.DIGESTS, self._inflate)

    def _inflate(self) -> bytes:
        data = self._zlib.unconsumed_tail + self._waiting
        self._waiting = b""
        self._begun = True
        try:
            part: bytes = self._zlib.decompress(data, INFLATED_PART)
        except zlib.error as error:
            raise InvalidInput(reason=f"the body is not valid gzip: {error}") from None
        self._inflated += len(part)
        if self._inflated > FREE_INFLATION + MOST_INFLATION * self._deflated:
            raise TooLarge(
                what="The inflated body",
                limit=MOST_INFLATION,
                unit="times its gzip size",
                setting="the limit of gzip",
            )
        if self._zlib.eof:  # another member may follow (RFC 1952, section 2.2)
            self._waiting = self._zlib.unused_data
            self._zlib = _gunzip()
            self._begun = False
        return part

    def _end(self) -> Message:
        # Output may wait inside of zlib although all input is consumed.
        part: bytes = self._zlib.flush() if self._begun else b""
        if self._begun and not self._zlib.eof:
            raise InvalidInput(reason="the gzip body ends too early")
        self._done = True
        return {"type": "http.request", "body": part, "more_body": False}


def _gunzip() -> Any:
    return zlib.decompressobj(16 + zlib.MAX_WBITS)
