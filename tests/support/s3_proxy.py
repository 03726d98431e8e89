"""A proxy in front of the S3 server that delays a request until the test releases it.

It speaks plain HTTP/1.1, one request per connection, and forwards the bytes unchanged except
for ``Connection`` and ``Expect``, which signatures leave out::

    with running_s3_proxy(s3_server.options) as proxy:
        store = open_blobs(url, options=proxy.options)
        delayed = proxy.delay("DELETE", "/lfs/")
        ...
        delayed.wait()  # the request came; its client may be killed now
        delayed.release()  # the server has answered the request
    proxy.misbehave("PUT", "/lfs/", "etag")  # acknowledges other bytes from now on

Ways to misbehave: ``etag`` (a wrong ETag in the response), ``error`` (500, without asking the
server), ``cut`` (half of the response, then the end of the connection).
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from hubstead.blobs import S3Options

WAIT_S = 60.0
_HEAD_BYTES = 1 << 20
_PIECE_BYTES = 1 << 16
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ETAG = re.compile(rb'(\r\netag: *"?)[0-9a-f]{32}', re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect: *100-continue", re.IGNORECASE)
_NOT_SENT_ON = re.compile(rb"\r\n(?:connection|expect):[^\r]*", re.IGNORECASE)


@dataclass(eq=False)
class DelayedRequest:
    """The next request of a method whose path contains a text, delayed by the proxy."""

    method: str
    part: str
    path: str = ""  # once it came
    _came: threading.Event = field(default_factory=threading.Event)
    _released: threading.Event = field(default_factory=threading.Event)
    _answered: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        """Wait until the request has come."""
        assert self._came.wait(WAIT_S), f"no {self.method} of …{self.part}… came"

    def release(self) -> None:
        """Send the request on, and wait until the server has answered it."""
        self._released.set()
        assert self._answered.wait(WAIT_S), f"{self.method} {self.path} was not answered"

    def matches(self, method: str, path: str) -> bool:
        """Return whether this request has the method and the text in its path."""
        return not self._came.is_set() and method == self.method and self.part in path

    async def pass_when_released(self, path: str) -> None:
        """Record that the request came, and return when it may be forwarded."""
        self.path = path
        self._came.set()
        while not self._released.is_set():
            await asyncio.sleep(0.01)

    def answered(self) -> None:
        """Record that the server has answered."""
        self._answered.set()


class S3Proxy:
    """A running proxy; `running_s3_proxy` starts it."""

    def __init__(self, upstream: S3Options) -> None:
        self._upstream = upstream
        address = urlsplit(upstream.endpoint)
        assert address.hostname is not None
        assert address.port is not None
        self._host, self._port = address.hostname, address.port
        self._delayed: list[DelayedRequest] = []
        self._faults: list[tuple[str, str, str]] = []
        self.port = 0

    @property
    def options(self) -> S3Options:
        """The options that reach the S3 server through the proxy."""
        return replace(self._upstream, endpoint=f"http://127.0.0.1:{self.port}")

    def delay(self, method: str, part: str) -> DelayedRequest:
        """Delay the next request of ``method`` whose path contains ``part``."""
        delayed = DelayedRequest(method, part)
        self._delayed.append(delayed)
        return delayed

    def misbehave(self, method: str, part: str, way: str) -> None:
        """Answer all requests of ``method`` whose path contains ``part`` in a wrong way."""
        self._faults.append((method, part, way))

    def behave(self) -> None:
        """Answer every request right again."""
        self._faults.clear()

    async def serve(self, started: threading.Event, stop: asyncio.Event) -> None:
        """Listen on a free port until ``stop``."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=_HEAD_BYTES)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        async with server:
            await stop.wait()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._request(reader, writer)
        with suppress(ConnectionError):
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        if _EXPECT.search(head):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1])) if length else b""
        delayed = next((entry for entry in self._delayed if entry.matches(method, target)), None)
        if delayed is not None:
            await delayed.pass_when_released(target)
        start = _NOT_SENT_ON.sub(b"", head[:-4]) + b"\r\nConnection: close\r\n\r\n"
        ways = (way for verb, part, way in self._faults if verb == method and part in target)
        if way := next(ways, None):
            await self._misanswer(way, start + body, writer)
        else:
            await self._pass_on(start + body, writer)
        if delayed is not None:
            delayed.answered()

    async def _misanswer(self, way: str, request: bytes, client: asyncio.StreamWriter) -> None:
        if way == "error":
            client.write(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(request)
            answer = await reader.read()
        finally:
            writer.close()
        if way == "etag":
            answer = _ETAG.sub(rb"\g<1>" + b"0" * 32, answer)
        else:
            head, _, body = answer.partition(b"\r\n\r\n")
            answer = head + b"\r\n\r\n" + body[: len(body) // 2]
        client.write(answer)
        await client.drain()

    async def _pass_on(self, request: bytes, client: asyncio.StreamWriter) -> None:
        """Forward a request to the server and its response to the client, which may be gone."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(request)
            await writer.drain()
            while piece := await reader.read(_PIECE_BYTES):
                with suppress(ConnectionError):
                    client.write(piece)
                    await client.drain()
        finally:
            writer.close()


@contextmanager
def running_s3_proxy(upstream: S3Options) -> Iterator[S3Proxy]:
    """Run a proxy in front of an S3 server, in a thread, until the block ends."""
    proxy, started = S3Proxy(upstream), threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(proxy.serve(started, stop))
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    thread = threading.Thread(target=run, name="s3-proxy", daemon=True)
    thread.start()
    assert started.wait(WAIT_S), "the proxy did not start"
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(WAIT_S)
