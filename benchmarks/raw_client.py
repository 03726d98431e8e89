"""A client on bare sockets that checks every response, and does what wrk cannot.

wrk waits for the body that a HEAD's content-length announces, and cannot check responses
cheaply. One process sends some 20,000 requests a second, more than the hub answers.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

_BUFFER = 1 << 20
#: The rate of a slow line.
SLOW_BYTES_PER_S = 220_000


@dataclass
class Seen:
    """The times of all responses, in the order of their arrival."""

    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)

    @property
    def per_s(self) -> float:
        return len(self.latencies_ms) / self.seconds


@dataclass
class _Line:
    sock: socket.socket
    requests: Iterator[tuple[bytes, bytes]]
    expected: bytes = b""
    sent: float = 0.0
    head: bytes = b""

    def send(self) -> bool:
        following = next(self.requests, None)
        if following is None:
            return False
        request, self.expected = following
        self.head = b""
        self.sent = time.perf_counter()
        self.sock.sendall(request)
        return True


def drive(
    port: int, streams: Iterable[Iterator[tuple[bytes, bytes]]], *, seconds: float = 1e9
) -> Seen:
    """Send the requests of each stream one after the other over its own connection.

    Args:
        port: The port of the server.
        streams: (request, bytes that its response contains); a response to HEAD ends with its head.
        seconds: When to stop, if requests are left.

    Raises:
        AssertionError: a response is not the expected one.
    """
    selector = selectors.DefaultSelector()
    seen = Seen()
    started = time.perf_counter()
    for requests in streams:
        line = _Line(socket.create_connection(("127.0.0.1", port)), requests)
        line.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(line.sock, selectors.EVENT_READ, line)
        line.send()
    end = started + seconds
    while selector.get_map():
        for key, _ in selector.select(30):
            _read(key.data, selector, seen, end)
    seen.seconds = time.perf_counter() - started
    return seen


def _read(line: _Line, selector: selectors.BaseSelector, seen: Seen, end: float) -> None:
    part = line.sock.recv(65536)
    assert part, f"the connection broke after {line.head!r}"
    line.head += part
    if not _is_whole(line.head, line.expected):
        return
    now = time.perf_counter()
    assert line.expected in line.head, f"{line.expected!r} is not in {line.head!r}"
    seen.latencies_ms.append((now - line.sent) * 1000)
    if now > end or not line.send():
        selector.unregister(line.sock)
        line.sock.close()


def _is_whole(data: bytes, expected: bytes) -> bool:
    head, gap, body = data.partition(b"\r\n\r\n")
    if not gap:
        return False
    if b"content-type: application/json" not in head:  # all other requests are HEAD
        return True
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    return len(body) >= length


def head_requests(
    paths: list[tuple[str, bytes]], token: str, start: int
) -> Iterator[tuple[bytes, bytes]]:
    """Yield HEAD requests for ``paths`` for ever, from the one numbered ``start`` on."""
    requests = [
        (
            f"HEAD {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            "User-Agent: unknown/None; hf_hub/2.1.0; python/3.11.7\r\n\r\n".encode(),
            expected,
        )
        for path, expected in paths
    ]
    while True:
        yield requests[start % len(requests)]
        start += 1


def heads(
    port: int, paths: list[tuple[str, bytes]], token: str, connections: int, seconds: float
) -> Seen:
    """Send HEAD requests for ``paths`` over several connections."""
    step = max(1, len(paths) // connections)
    streams = [head_requests(paths, token, number * step) for number in range(connections)]
    return drive(port, streams, seconds=seconds)


def posts(port: int, bodies: list[list[tuple[str, bytes, str, bytes]]], token: str) -> Seen:
    """Post the bodies of every connection: (path, body, its type, a part of the response)."""

    def requests(entries: list[tuple[str, bytes, str, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        for path, body, media_type, expected in entries:
            head = (
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            yield head.encode() + body, expected

    return drive(port, [requests(entries) for entries in bodies])


def get(
    port: int, path: str, headers: dict[str, str], *, discard: bool, count: int = 1
) -> tuple[float, int, str]:
    """Download ``path``, ``count`` times over one connection.

    Args:
        port: The port of the server.
        path: The path to download.
        headers: The request's header fields.
        discard: Let the kernel discard the bytes, so that only the server is measured.
        count: The number of downloads.

    Returns:
        (seconds, bytes of bodies, the last head).
    """
    with socket.create_connection(("127.0.0.1", port)) as sock:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n".encode()
        buffer = memoryview(bytearray(_BUFFER))
        started, total = time.perf_counter(), 0
        for _ in range(count):
            sock.sendall(request)
            head, length = _head(sock)
            _drain(sock, length, buffer, socket.MSG_TRUNC if discard else 0)
            total += length
        return time.perf_counter() - started, total, head


def _drain(sock: socket.socket, left: int, buffer: memoryview, flags: int) -> None:
    while left:
        count = sock.recv_into(buffer, min(left, _BUFFER), flags)
        assert count, f"cut short, {left} bytes early"
        left -= count


def _head(sock: socket.socket) -> tuple[str, int]:
    """Read the head of a response and nothing behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        peeked = sock.recv(65536, socket.MSG_PEEK)
        assert peeked, "no answer"
        end = peeked.find(b"\r\n\r\n")
        data += sock.recv(end + 4 if end >= 0 else len(peeked))
    head = data.decode("latin-1").lower()
    length = head.partition("content-length: ")[2].partition("\r\n")[0]
    return head, int(length or 0)


def put(port: int, path: str, file: str, headers: dict[str, str]) -> tuple[float, str]:
    """Upload a file by sendfile; return the seconds until the response, and its head."""
    size = os.stat(file).st_size
    with socket.create_connection(("127.0.0.1", port)) as sock, open(file, "rb") as source:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}Content-Length: {size}\r\n\r\n"
        started = time.perf_counter()
        sock.sendall(head.encode())
        sock.sendfile(source)
        response, _ = _head(sock)
        return time.perf_counter() - started, response


def slow_readers(port: int, path: str, headers: dict[str, str], count: int, seconds: float) -> int:
    """Download over ``count`` parallel slow lines; return the bytes read."""
    socks = []
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    for _ in range(count):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        sock.connect(("127.0.0.1", port))
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n".encode())
        socks.append(sock)
    for sock in socks:
        sock.setblocking(False)
    total, tick = 0, 0.1
    at_once = int(SLOW_BYTES_PER_S * tick)
    buffer = memoryview(bytearray(at_once))
    started = time.perf_counter()
    turn = 0
    while (now := time.perf_counter()) < started + seconds:
        for number, sock in enumerate(socks):
            if number % 10 == turn % 10:
                total += _some(sock, buffer)
        turn += 1
        time.sleep(max(0.0, started + turn * tick / 10 - now))
    return total


def _some(sock: socket.socket, buffer: memoryview) -> int:
    try:
        got = sock.recv_into(buffer)
    except BlockingIOError:
        return 0
    assert got, "the server hung up on a slow reader"
    return got


def whole(port: int, path: str, token: str | None = None) -> tuple[str, bytes]:
    """Return head and body of a response to GET."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        line = f"Authorization: Bearer {token}\r\n" if token else ""
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{line}\r\n".encode())
        head, length = _head(sock)
        body = b""
        while len(body) < length:
            body += sock.recv(_BUFFER)
        return head, body


Api = Callable[..., Any]


def api(port: int, token: str | None = None) -> Api:
    """Return a client of the hub: ``call(method, path, body)`` returns the parsed response."""
    import http.client

    def call(method: str, path: str, body: Any = None, media_type: str = "application/json") -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        if data is not None:
            headers["content-type"] = media_type
        connection.request(method, path, data, headers)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        assert response.status < 300, f"{method} {path}: {response.status} {text[:500]!r}"
        return json.loads(text) if text[:1] in (b"{", b"[") else text

    return call
