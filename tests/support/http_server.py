"""A small application on a live server, and a client of raw bytes."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.types import Receive, Scope, Send

from hubstead.admission import Admission, Lane, LaneRules, install_admission
from hubstead.errors import (
    ClientGone,
    HubError,
    PreconditionFailed,
    RangeNotSatisfiable,
    SlowClient,
    TooLarge,
)
from hubstead.http import (
    ON_GONE,
    BytesResponse,
    FileResponse,
    HttpServer,
    Limits,
    inflating,
    read_body,
    receive_into,
)
from tests.support.processes import wait_until

STATUS = {PreconditionFailed: 412, RangeNotSatisfiable: 416, SlowClient: 408, TooLarge: 413}


class LocalFile:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size

    def chunks(self, start: int, count: int) -> AsyncIterator[bytes]:
        raise AssertionError("the server reads a local file by its descriptor, never by chunks")


class RemoteSource:
    """A source without a local file, as objects of a remote store are."""

    path = None

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)

    async def chunks(self, start: int, count: int) -> AsyncIterator[Any]:
        for at in range(start, start + count, 100_000):
            yield self.content[at : min(at + 100_000, start + count)]


class App:
    """The application under test; records the outcome of every request."""

    def __init__(self, folder: Path, *, extensions: bool) -> None:
        self.folder = folder
        self.extensions = extensions
        self.forget()

    def forget(self) -> None:
        self.offered: list[set[str]] = []
        self.outcomes: list[str] = []
        self.consumer_threads: set[str] = set()
        self.gate = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.offered.append(set(scope["extensions"]) - {ON_GONE})
        if not self.extensions:
            scope["extensions"] = {}
        try:
            await self._answer(scope, receive, send)
            self.outcomes.append("ok")
        except ClientGone:
            self.outcomes.append("ClientGone")
            raise
        except HubError as error:
            self.outcomes.append(type(error).__name__)
            await say(send, STATUS[type(error)], {"error": error.message})
        except BaseException as error:
            self.outcomes.append(type(error).__name__)
            raise

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path"].strip("/")
        if name.startswith("file-"):
            answer = FileResponse(
                LocalFile(self.folder / name), etag="tag", headers=[("x-extra", "1")]
            )
            await answer(scope, receive, send)
        elif name == "parts":
            content = (self.folder / "file-big").read_bytes()
            await FileResponse(RemoteSource(content), etag="tag")(scope, receive, send)
        else:
            await getattr(self, f"do_{name.replace('-', '_')}")(scope, receive, send)

    async def do_upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        digest = hashlib.sha256()

        def consume(part: memoryview) -> None:
            self.consumer_threads.add(threading.current_thread().name)
            digest.update(part)

        count = await receive_into(scope, receive, consume, limit=1 << 30)
        await say(send, 200, {"count": count, "sha256": digest.hexdigest()})

    async def do_failing_upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        def consume(part: memoryview) -> None:
            raise TooLarge(what="it", limit=1, setting="x")

        await receive_into(scope, receive, consume, limit=1 << 30)

    async def do_small_limit(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive_into(scope, receive, lambda part: None, limit=1000)

    async def do_read(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope, receive = inflating(scope, receive)
        body = await read_body(scope, receive, limit=1_000_000)
        await say(send, 200, {"count": len(body), "sha256": hashlib.sha256(body).hexdigest()})

    async def do_denied(self, scope: Scope, receive: Receive, send: Send) -> None:
        await say(send, 401, {"error": "no"})

    async def do_hello(self, scope: Scope, receive: Receive, send: Send) -> None:
        await BytesResponse(b"hello", etag="h")(scope, receive, send)

    async def do_shape(self, scope: Scope, receive: Receive, send: Send) -> None:
        keys = ("path", "raw_path", "query_string", "method")
        await say(send, 200, {key: str(scope[key]) for key in keys})

    async def do_wait(self, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(self.gate.wait, 10)
        await say(send, 200, {"waited": True})

    async def do_late_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await asyncio.to_thread(self.gate.wait, 10)
        await send({"type": "http.response.body", "body": b"there"})

    async def do_crash(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("meant to happen")

    async def do_chunked_file(self, scope: Scope, receive: Receive, send: Send) -> None:
        with open(self.folder / "file-big", "rb") as file:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"before", "more_body": True})
            await send({
                "type": "http.response.zerocopysend", "file": file, "offset": 5, "count": 200_000,
                "more_body": True,
            })  # fmt: skip
            await send({"type": "http.response.zerocopysend", "file": file, "count": 7})


async def say(send: Send, status: int, content: object) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class RunningServer:
    """A running server and its application."""

    def __init__(self, app: App, server: HttpServer, port: int) -> None:
        self.app = app
        self.server = server
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def connect(self, timeout: float = 60, *, source: str = "127.0.0.1") -> RawConnection:
        here = ("127.0.0.1", self.port)
        return RawConnection(socket.create_connection(here, timeout, source_address=(source, 0)))

    def wait_until_idle(self) -> None:
        state = self.server.server_state
        wait_until(lambda: not state.connections and not state.tasks)

    def outcome(self, index: int = 0) -> str:
        wait_until(lambda: len(self.app.outcomes) > index)
        return self.app.outcomes[index]


class RawConnection:
    """A connection on which the test writes every byte itself."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""

    def __enter__(self) -> RawConnection:
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def request(self, method: str, path: str, headers: str = "", body: bytes = b"") -> None:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}{length}\r\n"
        self.send(head.encode() + body)

    def more(self) -> bytes:
        data = self.sock.recv(1 << 20)
        self.buffer += data
        return data

    def head(self) -> tuple[int, dict[str, str]]:
        while b"\r\n\r\n" not in self.buffer:
            assert self.more(), f"closed within a head: {self.buffer!r}"
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = [line.split(": ", 1) for line in lines]
        return int(first.split()[1]), {name.lower(): value for name, value in pairs}

    def body(self, size: int) -> bytes:
        while len(self.buffer) < size:
            assert self.more(), "closed within a body"
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return body

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        status, headers = self.head()
        return status, headers, self.body(int(headers.get("content-length", 0)))

    def rest(self) -> bytes:
        while self.more():
            pass
        rest, self.buffer = self.buffer, b""
        return rest


class ServerPool:
    """The servers of this test run, reused by their settings, since a start is slow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[object, tuple[RunningServer, threading.Thread]] = {}

    def get(
        self,
        limits: Limits | None,
        extensions: bool,
        loop: str,
        fresh: bool,
        upload_threads: int = 32,
    ) -> RunningServer:
        key = object() if fresh else (limits, extensions, loop, upload_threads)
        if key not in self.running:
            self.running[key] = self.start(limits, extensions, loop, upload_threads)
        return self.running[key][0]

    def start(
        self, limits: Limits | None, extensions: bool, loop: str, upload_threads: int
    ) -> tuple[RunningServer, threading.Thread]:
        app = App(self.folder, extensions=extensions)
        started = threading.Event()
        uploads = LaneRules(upload_threads, upload_threads, queue=0, queue_share=0)

        def install(_port: int) -> None:
            install_admission(Admission({Lane.UPLOADS: uploads}))
            started.set()

        server = HttpServer(app, limits=limits, on_started=install, drain_s=1, lifespan="off")
        server.config.loop = loop
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        assert started.wait(60)
        return RunningServer(app, server, server.port), thread

    def rest(self) -> None:
        """Check that no request of the last test is in progress, and forget its outcomes."""
        for live, thread in self.running.values():
            live.app.gate.set()
            live.wait_until_idle()
            if live.server.should_exit:
                thread.join(60)
                assert not thread.is_alive(), "the server did not stop"
            live.app.forget()

    def stop(self) -> None:
        for live, _ in self.running.values():
            live.server.stop()
        for _, thread in self.running.values():
            thread.join(60)
            assert not thread.is_alive(), "the server did not stop"


#: Tight sizes and ample time: these limits refuse by size only.
TIGHT = Limits(
    header_bytes=2000,
    header_seconds=60,
    target_bytes=500,
    body_grace_s=60,
    body_silence_s=60,
    send_stall_s=60,
    drain_bytes=4_000_000,
    drain_seconds=60,
    keep_alive_seconds=60,
)
#: Tight times too. A loaded machine may exceed them: only for tests of clients that are too slow.
HASTY = dataclasses.replace(
    TIGHT,
    header_seconds=0.4,
    body_min_bytes_per_s=10_000,
    body_grace_s=0.6,
    body_silence_s=0.4,
    send_stall_s=0.5,
    drain_seconds=1,
    linger_seconds=0.5,
    keep_alive_seconds=0.5,
)


def with_limits(**changes: Any) -> Limits:
    return dataclasses.replace(TIGHT, **changes)
