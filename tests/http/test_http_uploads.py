"""Bodies arrive completely or not at all, and the response is always readable."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
import requests
from tests.support.http_server import RunningServer, with_limits
from tests.support.processes import wait_until

from hubstead.admission import Admission
from hubstead.errors import ShareExceeded, TooLarge
from hubstead.http import inflating, read_body

BIG = 50_000_000
DATA = random.Random(3).randbytes(3_000_001)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("size", [1, 100, 65_536, 65_537, 1_048_576, 1_048_577, 3_000_001])
def test_a_body_of_any_size_arrives_exactly_and_the_connection_stays_open(
    live: RunningServer, size: int
) -> None:
    with live.connect() as wire:
        for _ in range(2):
            wire.request("PUT", "/upload", body=DATA[:size])
            status, headers, body = wire.answer()
            assert status == 200
            assert json.loads(body) == {"count": size, "sha256": sha256(DATA[:size])}
            assert "connection" not in headers
        wire.request("GET", "/hello")
        assert wire.answer()[2] == b"hello"


def test_bodies_of_known_length_are_received_in_upload_threads(
    start: Callable[..., RunningServer],
) -> None:
    live = start()
    with httpx2.Client() as client:
        client.put(live.url + "/upload", content=DATA)
    assert {name.partition("_")[0] for name in live.app.consumer_threads} == {"hubstead-uploads"}


def test_while_all_threads_are_busy_the_ordinary_path_serves(
    start: Callable[..., RunningServer],
) -> None:
    live = start(upload_threads=0)
    with httpx2.Client() as client:
        response = client.put(live.url + "/upload", content=DATA)
    assert response.json()["sha256"] == sha256(DATA)
    assert not any(name.startswith("hubstead-uploads") for name in live.app.consumer_threads)


def test_a_request_behind_the_body_is_not_part_of_it(live: RunningServer) -> None:
    with live.connect() as wire:
        for _ in range(2):
            request = b"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(DATA)
            wire.send(request + DATA + b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
            assert json.loads(wire.answer()[2])["sha256"] == sha256(DATA)
            assert wire.answer()[2] == b"hello"


def test_pipelined_uploads_are_received_one_after_the_other(live: RunningServer) -> None:
    sizes = [10, 200_000, 1, 1_500_000]
    with live.connect() as wire:
        for size in sizes:
            wire.request("PUT", "/upload", body=DATA[:size])
        for size in sizes:
            assert json.loads(wire.answer()[2]) == {"count": size, "sha256": sha256(DATA[:size])}


def test_a_body_in_single_bytes_arrives(live: RunningServer) -> None:
    with live.connect() as wire:
        wire.send(b"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n")
        for index in range(30):
            wire.send(DATA[index : index + 1])
            time.sleep(0.002)
        assert json.loads(wire.answer()[2])["sha256"] == sha256(DATA[:30])


def test_an_empty_body_arrives(live: RunningServer) -> None:
    with live.connect() as wire:
        wire.send(b"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert json.loads(wire.answer()[2]) == {"count": 0, "sha256": sha256(b"")}
        wire.request("GET", "/hello")
        assert wire.answer()[2] == b"hello"


def test_chunked_bodies_arrive(live: RunningServer) -> None:
    def parts() -> Iterator[Any]:
        for at in range(0, len(DATA), 70_001):
            yield DATA[at : at + 70_001]

    with httpx2.Client() as client:
        for _ in range(2):
            response = client.put(live.url + "/upload", content=parts())
            assert response.json() == {"count": len(DATA), "sha256": sha256(DATA)}


def test_a_client_that_expects_100_continue_gets_it(live: RunningServer) -> None:
    with live.connect() as wire:
        head = f"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: {len(DATA)}\r\n"
        wire.send(head.encode() + b"Expect: 100-continue\r\n\r\n")
        assert wire.head()[0] == 100
        wire.send(DATA)
        status, headers, body = wire.answer()
        assert (status, json.loads(body)["sha256"]) == (200, sha256(DATA))
        assert "connection" not in headers


def test_a_client_that_expects_100_continue_and_is_refused_never_sends_the_body(
    live: RunningServer,
) -> None:
    with live.connect() as wire:
        wire.send(b"PUT /denied HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n")
        wire.send(b"Expect: 100-continue\r\n\r\n")
        status, headers, _ = wire.answer()
        assert (status, headers["connection"]) == (401, "close")
        assert wire.rest() == b""


@pytest.mark.parametrize("sent", [0, 10, 2_000_000])
@pytest.mark.parametrize("way", ["shutdown", "close"])
def test_a_truncated_body_is_distinguished_from_a_whole_one(
    live: RunningServer, sent: Any, way: str
) -> None:
    with live.connect() as wire:
        head = f"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: {len(DATA)}\r\n\r\n"
        wire.send(head.encode() + DATA[:sent])
        if way == "shutdown":
            wire.sock.shutdown(socket.SHUT_WR)
            assert b" 200 " not in wire.rest()
    assert live.outcome() == "ClientGone"
    live.wait_until_idle()


def test_a_body_that_stops_arriving_times_out(strict: RunningServer) -> None:
    with strict.connect() as wire:
        wire.send(
            b"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + DATA[:50000]
        )
        status, headers, body = wire.answer()
        assert (status, headers["connection"]) == (408, "close")
        assert "too slowly" in json.loads(body)["error"]
        assert strict.outcome() == "SlowClient"


def test_a_body_below_the_minimum_rate_times_out(strict: RunningServer) -> None:
    with strict.connect() as wire:
        wire.send(b"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(40):
            if strict.app.outcomes:
                break
            wire.send(b"x")
            time.sleep(0.05)
        assert wire.answer()[0] == 408
        assert strict.outcome() == "SlowClient"


def test_a_slow_and_steady_body_is_accepted(start: Callable[..., RunningServer]) -> None:
    live = start(with_limits(body_min_bytes_per_s=1000, body_grace_s=0.3))
    with live.connect() as wire:
        wire.send(b"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\n\r\n")
        for _ in range(20):
            wire.send(DATA[:2000])
            time.sleep(0.05)
        assert wire.answer()[0] == 200


def test_when_the_consumer_fails_the_response_is_readable_and_the_connection_reusable(
    live: RunningServer,
) -> None:
    with live.connect() as wire:
        for _ in range(2):
            wire.request("PUT", "/failing-upload", body=DATA)
            assert wire.answer()[0] == 413
            wire.request("GET", "/hello")
            assert wire.answer()[2] == b"hello"


@pytest.mark.parametrize("path", ["denied", "small-limit", "failing-upload"])
def test_an_early_response_to_a_large_upload_is_readable_by_every_client(
    live: RunningServer, path: str
) -> None:
    expected = 401 if path == "denied" else 413
    body = bytes(BIG)
    url = f"{live.url}/{path}"
    assert requests.put(url, data=body, timeout=20).status_code == expected
    with httpx2.Client(timeout=20) as client:
        assert client.put(url, content=body).status_code == expected
        assert client.get(live.url + "/hello").content == b"hello"
    plain = http.client.HTTPConnection("127.0.0.1", live.port, timeout=20)
    plain.request("PUT", f"/{path}", body=body)
    assert plain.getresponse().status == expected
    plain.close()


@pytest.mark.parametrize("path", ["denied", "small-limit", "failing-upload"])
def test_beyond_the_drain_limit_the_response_still_arrives_and_closes(
    strict: RunningServer, path: str
) -> None:
    with strict.connect() as wire:
        wire.send(
            b"PUT /%s HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n" % path.encode()
        )
        wire.send(bytes(2_000_000))
        status, headers, _ = wire.answer()
        assert (status, headers["connection"]) == (401 if path == "denied" else 413, "close")
        sent = send_until_refused(wire.sock, 50_000_000)
    assert sent < 49_000_000
    strict.wait_until_idle()


def test_an_endless_chunked_body_is_not_read_forever(strict: RunningServer) -> None:
    with strict.connect() as wire:
        wire.request("PUT", "/denied", "Transfer-Encoding: chunked\r\n")
        assert wire.answer()[0] == 401
        chunk = b"10000\r\n" + bytes(65_536) + b"\r\n"
        sent = 0
        try:
            while sent < 100_000_000:
                wire.send(chunk)
                sent += len(chunk)
        except OSError:
            pass
    assert sent < 100_000_000


def test_an_unread_body_that_never_comes_does_not_hold_the_connection(
    strict: RunningServer,
) -> None:
    with strict.connect() as wire:
        wire.send(b"PUT /denied HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx")
        assert wire.answer()[0] == 401
        assert wire.rest() == b""
    strict.wait_until_idle()


def test_a_gzip_body_is_inflated_and_limited_by_its_inflated_size(
    live: RunningServer,
) -> None:
    text = b"want 0123\n" * 5000
    with httpx2.Client(headers={"content-encoding": "gzip"}) as client:
        for body in (gzip.compress(text), gzip.compress(text[:100]) + gzip.compress(text[100:])):
            for content in (body, iter([body[:50], body[50:]])):
                response = client.post(live.url + "/read", content=content)
                assert response.json() == {"count": len(text), "sha256": sha256(text)}
        bomb = gzip.compress(bytes(100_000_000), 1)
        assert client.post(live.url + "/read", content=bomb).status_code == 413


async def test_a_gzip_body_of_an_absurd_ratio_is_refused_before_its_limit() -> None:
    deflated = gzip.compress(bytes(50_000_000))
    parts = [deflated[at : at + 1000] for at in range(0, len(deflated), 1000)]
    given = 0

    async def receive() -> Any:
        nonlocal given
        given += 1
        return {"type": "http.request", "body": parts[given - 1], "more_body": given < len(parts)}

    scope, inflated = inflating({"headers": [(b"content-encoding", b"gzip")]}, receive)
    with pytest.raises(TooLarge, match="100 times its gzip size"):
        await read_body(scope, inflated, limit=1 << 40)
    assert given < 5


async def test_a_body_counts_as_buffered_until_its_request_ends() -> None:
    admission = Admission(buffered_bytes=100, buffered_share=60)

    async def receive() -> Any:
        return {"type": "http.request", "body": bytes(50), "more_body": False}

    with admission.begin("ada").current():
        await read_body({"headers": []}, receive, limit=1000)
        assert admission.budget.used == 50
        with pytest.raises(ShareExceeded):
            await read_body({"headers": []}, receive, limit=1000)
    assert admission.budget.used == 0


def test_a_stopping_server_finishes_a_running_upload(start: Callable[..., RunningServer]) -> None:
    live = start(fresh=True)
    with live.connect() as wire:
        wire.send(b"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        wait_until(lambda: live.app.offered)
        live.server.stop()
        time.sleep(0.3)
        wire.send(b"67890")
        status, headers, body = wire.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert json.loads(body)["sha256"] == sha256(b"1234567890")


def test_a_stopping_server_does_not_wait_forever(start: Callable[..., RunningServer]) -> None:
    live = start(fresh=True)
    with live.connect() as wire:
        wire.send(b"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        wait_until(lambda: live.app.offered)
        live.server.stop()
        wire.rest()
        assert live.outcome() in ("CancelledError", "ClientGone")


def send_until_refused(sock: socket.socket, size: int) -> int:
    sent = 0
    try:
        while sent < size:
            sent += sock.send(bytes(1_000_000))
    except OSError:
        pass
    return sent
