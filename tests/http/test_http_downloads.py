"""Files are sent whole, in part and without a copy, with and without the extensions."""

from __future__ import annotations

import os
import random
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from tests.support.http_server import RunningServer


def test_a_file_arrives_whole_and_the_connection_stays_open(
    live: RunningServer, folder: Path
) -> None:
    content = (folder / "file-big").read_bytes()
    with live.connect() as wire:
        for _ in range(3):
            wire.request("GET", "/file-big")
            status, headers, body = wire.answer()
            assert (status, body == content) == (200, True)
            assert headers["etag"] == '"tag"'
            assert headers["accept-ranges"] == "bytes"
            assert headers["x-extra"] == "1"
            assert "connection" not in headers
            assert "server" not in headers


def test_zero_copy_is_offered_and_upload_threads_only_for_a_body_of_known_length(
    live: RunningServer,
) -> None:
    with httpx2.Client() as client:
        client.get(live.url + "/hello")
        client.post(live.url + "/hello", content=b"x")
        client.post(live.url + "/hello", content=iter([b"x"]))
    zero_copy = {"http.response.zerocopysend"}
    assert live.app.offered == [zero_copy, zero_copy | {"hubstead.receive_into"}, zero_copy]


def test_ranges_are_exact_to_the_byte(live: RunningServer, folder: Path) -> None:
    content = (folder / "file-big").read_bytes()
    chance = random.Random(2)
    with live.connect() as wire:
        for _ in range(30):
            first = chance.randrange(len(content))
            last = min(len(content) - 1, first + chance.choice([0, 10, 70_000, 2_000_000]))
            wire.request("GET", "/file-big", f"Range: bytes={first}-{last}\r\n")
            status, headers, body = wire.answer()
            assert status == 206
            assert headers["content-range"] == f"bytes {first}-{last}/{len(content)}"
            assert body == content[first : last + 1]


def test_pipelined_requests_are_answered_in_order(live: RunningServer, folder: Path) -> None:
    content = (folder / "file-big").read_bytes()
    with live.connect() as wire:
        ranges = [(0, 0), (5, 1_500_000), (7, 9), (1_000_000, 3_000_000)]
        wire.send(
            b"".join(
                b"GET /file-big HTTP/1.1\r\nHost: x\r\nRange: bytes=%d-%d\r\n\r\n" % pair
                for pair in ranges
            )
        )
        for first, last in ranges:
            status, _, body = wire.answer()
            assert (status, body == content[first : last + 1]) == (206, True)


@pytest.mark.parametrize("name", ["file-big", "parts", "hello", "file-empty"])
def test_head_has_the_headers_of_get_and_no_body(live: RunningServer, name: str) -> None:
    with live.connect() as wire:
        wire.request("HEAD", f"/{name}", "Range: bytes=0-1\r\n")
        status, head = wire.head()
        wire.request("GET", f"/{name}")
        get_status, headers, _ = wire.answer()
    drop = {"date"}
    assert status == get_status == 200
    assert {k: v for k, v in head.items() if k not in drop} == {
        k: v for k, v in headers.items() if k not in drop
    }


def test_an_empty_file_is_served_and_has_no_ranges(live: RunningServer) -> None:
    with live.connect() as wire:
        wire.request("GET", "/file-empty")
        assert wire.answer()[::2] == (200, b"")
        # @huggingface/hub requests the first byte of every download.
        for spec in ("bytes=0-0", "bytes=0-", "bytes=-5", "bytes=7-"):
            wire.request("GET", "/file-empty", f"Range: {spec}\r\n")
            status, headers, body = wire.answer()
            assert (status, headers["content-range"], body) == (200, "bytes */0", b"")


def test_a_source_without_a_file_is_sent_in_parts(live: RunningServer, folder: Path) -> None:
    content = (folder / "file-big").read_bytes()
    with httpx2.Client() as client:
        assert client.get(live.url + "/parts").content == content
        part = client.get(live.url + "/parts", headers={"range": "bytes=150000-450000"})
        assert (part.status_code, part.content) == (206, content[150000:450001])


def test_an_unchanged_file_is_not_sent_again(live: RunningServer) -> None:
    with httpx2.Client() as client:
        for value in ('"tag"', 'W/"tag"', '"other", "tag"', "*", "tag"):
            response = client.get(live.url + "/file-big", headers={"if-none-match": value})
            assert (response.status_code, response.content) == (304, b"")
            assert response.headers["etag"] == '"tag"'
            assert response.headers["x-extra"] == "1"
            assert "content-length" not in response.headers
        response = client.get(live.url + "/file-small", headers={"if-none-match": '"other"'})
        assert response.status_code == 200


def test_if_range_sends_the_part_only_of_the_same_file(live: RunningServer) -> None:
    with httpx2.Client() as client:
        for value, status in [('"tag"', 206), ('W/"tag"', 200), ('"x"', 200), ("junk", 200)]:
            headers = {"range": "bytes=2-3", "if-range": value}
            response = client.get(live.url + "/file-small", headers=headers)
            assert response.status_code == status
            assert response.content == (b"23" if status == 206 else b"0123456789")


@pytest.mark.parametrize("name", ["file-big", "parts", "hello"])
def test_several_ranges_are_parts_of_one_response(
    live: RunningServer, folder: Path, name: str
) -> None:
    content = b"hello" if name == "hello" else (folder / "file-big").read_bytes()
    spans = [(3, 4), (0, 1)] if name == "hello" else [(2_000_000, 2_999_999), (0, 1), (5, 5)]
    spec = "bytes=" + ",".join(f"{first}-{last}" for first, last in spans)
    with httpx2.Client() as client:
        response = client.get(f"{live.url}/{name}", headers={"range": spec})
        assert client.get(live.url + "/hello").content == b"hello"  # on the same connection
    assert response.status_code == 206
    assert "content-range" not in response.headers
    media_type, _, boundary = response.headers["content-type"].partition("; boundary=")
    assert media_type == "multipart/byteranges"
    head = "--{}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {}-{}/{}\r\n\r\n"
    parts = b"".join(
        head.format(boundary, first, last, len(content)).encode()
        + content[first : last + 1]
        + b"\r\n"
        for first, last in spans
    )
    assert response.content == parts + b"--%b--\r\n" % boundary.encode()


def test_overlapping_ranges_are_refused(live: RunningServer) -> None:
    with httpx2.Client() as client:
        response = client.get(live.url + "/file-big", headers={"range": "bytes=0-9,9-20"})
    assert response.status_code == 416


def test_a_chunked_response_may_contain_files(
    start: Callable[..., RunningServer], folder: Path
) -> None:
    content = (folder / "file-big").read_bytes()
    live = start()
    with httpx2.Client() as client:
        response = client.get(live.url + "/chunked-file")
        assert response.headers["transfer-encoding"] == "chunked"
        assert response.content == b"before" + content[5:200_005] + content[:7]
        assert client.get(live.url + "/hello").content == b"hello"


def test_a_client_that_stops_reading_is_disconnected(strict: RunningServer) -> None:
    with strict.connect() as wire:
        wire.request("GET", "/file-huge")
        assert strict.outcome() == "ClientGone"
    strict.wait_until_idle()


def test_a_client_that_reads_slowly_receives_everything(
    start: Callable[..., RunningServer], folder: Path
) -> None:
    live = start(extensions=True)
    content = (folder / "file-big").read_bytes()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", live.port))
    with sock:
        sock.sendall(b"GET /file-big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = bytearray()
        while data := sock.recv(20_000):
            received += data
    assert received.endswith(content)


@pytest.mark.parametrize("way", ["reset", "close"])
def test_a_client_that_disconnects_leaves_no_resources(live: RunningServer, way: str) -> None:
    before = open_descriptors()
    for index in range(5):
        with live.connect() as wire:
            wire.request("GET", "/file-huge")
            wire.more()
            if way == "reset":
                hard = struct.pack("ii", 1, 0)
                wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, hard)
        assert live.outcome(index) == "ClientGone"
    live.wait_until_idle()
    assert open_descriptors() <= before


def test_a_file_shorter_than_announced_never_looks_complete(
    live: RunningServer, folder: Path, tmp_path: Path
) -> None:
    path = folder / "file-shrinking"
    path.write_bytes(bytes(50_000_000))
    try:
        with live.connect() as wire:
            wire.request("GET", "/file-shrinking")
            wire.more()
            os.truncate(path, 1000)
            count = len(wire.rest())
        assert count < 50_000_000
        assert live.outcome() in ("EOFError", "ClientGone")
    finally:
        path.unlink()


@pytest.mark.parametrize("loop", ["auto", "asyncio"])
def test_both_event_loops_work(
    start: Callable[..., RunningServer], folder: Path, loop: str
) -> None:
    live = start(loop=loop)
    content = (folder / "file-big").read_bytes()
    with httpx2.Client() as client:
        assert client.get(live.url + "/file-big").content == content
        response = client.put(live.url + "/upload", content=content)
        assert response.json()["count"] == len(content)
        assert client.get(live.url + "/hello").content == b"hello"


def test_a_file_that_the_kernel_cannot_send_is_copied(
    start: Callable[..., RunningServer], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def refuse(*args: object) -> int:
        raise OSError(errno.EINVAL, "not from here")

    monkeypatch.setattr(os, "sendfile", refuse)
    live = start()
    with httpx2.Client() as client:
        content = client.get(live.url + "/file-big", headers={"range": "bytes=10-2000000"}).content
    assert content == (folder / "file-big").read_bytes()[10:2000001]


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
