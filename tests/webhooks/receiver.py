"""A real HTTP server on loopback that records requests, and can misbehave."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    """One POST, as received."""

    path: str
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> dict[str, str]:
        body: dict[str, str] = json.loads(self.text)
        return body


@dataclass
class Receiver:
    """The received requests, and the handler: ``answer(received)`` returns a status, or blocks."""

    url: str
    received: list[Received] = field(default_factory=list)
    answer: Callable[[Received], int] = lambda _received: 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def bodies(self) -> list[dict[str, str]]:
        return [post.body for post in self.received]

    def fail_first(self, times: int, status: int = 500) -> None:
        """Respond with ``status`` so many times, then with 200."""
        left = [status] * times
        self.answer = lambda _received: left.pop() if left else 200


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            text = self.rfile.read(length).decode()
            if len(text) < length:  # the sender disconnected
                return
            received = Received(self.path, dict(self.headers.items()), text)
            receiver.received.append(received)
            status = receiver.answer(received)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_anything: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
