"""Requests in any mix and any packets get their own responses."""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from pathlib import Path

import pytest
from tests.support.http_server import RawConnection, RunningServer

SIZES = [1, 100, 65_536, 70_000, 300_000]


def a_request(chance: random.Random, content: bytes) -> tuple[bytes, int, bytes | str | None]:
    """Return a request, the status of its response, and its body or the hash of the upload."""
    body = chance.randbytes(chance.choice(SIZES))
    digest = hashlib.sha256(body).hexdigest()
    kind = chance.choice(["hello", "range", "upload", "chunked", "denied", "failing-upload"])
    if kind == "hello":
        return b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n", 200, b"hello"
    if kind == "range":
        first = chance.randrange(len(content))
        last = chance.randrange(first, len(content))
        head = b"GET /file-big HTTP/1.1\r\nHost: t\r\nRange: bytes=%d-%d\r\n\r\n" % (first, last)
        return head, 206, content[first : last + 1]
    if kind == "chunked":
        head = b"PUT /upload HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
        return head + in_chunks(chance, body), 200, digest
    head = b"PUT /%s HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % (kind.encode(), len(body))
    status = {"upload": 200, "denied": 401, "failing-upload": 413}[kind]
    return head + body, status, digest if status == 200 else None


def in_chunks(chance: random.Random, body: bytes) -> bytes:
    coded = b""
    while body:
        size = chance.randint(1, 100_000)
        part, body = body[:size], body[size:]
        coded += b"%x\r\n%s\r\n" % (len(part), part)
    return coded + b"0\r\n\r\n"


def send_in_pieces(wire: RawConnection, stream: bytes, chance: random.Random) -> None:
    while stream:
        size = chance.choice([1, 7, 100, 5000, 65_536, 200_000, 1_000_000])
        wire.send(stream[:size])
        stream = stream[size:]
        if chance.random() < 0.1:
            time.sleep(0.001)


@pytest.mark.parametrize("seed", range(30))
def test_mixed_requests_on_one_connection_are_answered_in_order(
    live: RunningServer, folder: Path, seed: int
) -> None:
    chance = random.Random(seed)
    content = (folder / "file-big").read_bytes()
    requests = [a_request(chance, content) for _ in range(chance.randint(1, 12))]
    stream = b"".join(request for request, _, _ in requests)
    with live.connect() as wire:
        sender = threading.Thread(target=send_in_pieces, args=(wire, stream, chance))
        sender.start()
        for _, expected, what in requests:
            status, _, body = wire.answer()
            assert status == expected
            if isinstance(what, bytes):
                assert body == what
            elif what is not None:
                assert json.loads(body)["sha256"] == what
        sender.join()
