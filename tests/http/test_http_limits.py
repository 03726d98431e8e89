"""The limits on clients, and the responses to those who exceed them."""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from starlette.types import Receive, Scope, Send
from tests.support.http_server import HASTY, TIGHT, RawConnection, RunningServer, with_limits
from tests.support.processes import wait_until


@pytest.fixture
def tight(start: Callable[..., RunningServer]) -> Any:
    return start(TIGHT)


@pytest.fixture
def hasty(start: Callable[..., RunningServer]) -> Any:
    return start(HASTY)


def refusal(wire: RawConnection) -> tuple[int, str]:
    status, headers, body = wire.answer()
    assert headers["content-type"] == "application/json"
    assert headers["connection"] == "close"
    assert len(headers["x-request-id"]) == 32
    error = json.loads(body)["error"]
    assert headers["x-error-message"] == error
    assert wire.rest() == b""
    return status, error


def test_headers_above_the_total_limit_are_refused(tight: RunningServer) -> None:
    with tight.connect() as wire:
        wire.request("GET", "/hello", "".join(f"X-{i}: {'y' * 90}\r\n" for i in range(30)))
        assert refusal(wire) == (431, "The request's headers are larger than 2000 bytes.")


def test_headers_up_to_the_limit_are_accepted(tight: RunningServer) -> None:
    with tight.connect() as wire:
        wire.request("GET", "/hello", f"X-Long: {'y' * 1900}\r\n")
        assert wire.answer()[2] == b"hello"


def test_endless_headers_are_refused_before_they_fill_the_memory(tight: RunningServer) -> None:
    with tight.connect() as wire:
        wire.send(b"GET /hello HTTP/1.1\r\nX: " + b"y" * 5000)
        assert refusal(wire)[0] == 431
    assert tight.app.offered == []


def test_headers_in_many_small_pieces_are_counted_too(tight: RunningServer) -> None:
    with tight.connect() as wire:
        wire.send(b"GET /hello HTTP/1.1\r\nX: ")
        for _ in range(30):
            wire.send(b"y" * 100)
            time.sleep(0.001)
        assert refusal(wire)[0] == 431


def test_an_address_longer_than_the_limit_is_refused(tight: RunningServer) -> None:
    with tight.connect() as wire:
        wire.request("GET", "/" + "a" * 501)
        assert refusal(wire) == (414, "The request's address is longer than 500 bytes.")


def test_headers_that_do_not_end_in_time_are_refused(hasty: RunningServer) -> None:
    with hasty.connect() as wire:
        started = time.monotonic()
        wire.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n")
        assert refusal(wire)[0] == 408
        assert time.monotonic() - started > 0.3


def test_slow_headers_are_refused_on_a_reused_connection_too(hasty: RunningServer) -> None:
    with hasty.connect() as wire:
        wire.request("GET", "/hello")
        wire.answer()
        wire.send(b"GET /he")
        assert refusal(wire)[0] == 408


def test_a_silent_connection_is_closed(hasty: RunningServer) -> None:
    with hasty.connect() as wire:
        assert wire.rest() == b""


def test_an_idle_connection_is_closed_despite_blank_lines(hasty: RunningServer) -> None:
    with hasty.connect() as wire:
        wire.request("GET", "/hello")
        wire.answer()
        wire.send(b"\r\n\r\n")
        assert wire.rest() == b""


def test_an_idle_connection_is_closed_after_an_unwanted_body_was_read(hasty: RunningServer) -> None:
    with hasty.connect() as wire:
        wire.send(b"PUT /denied HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        wire.answer()
        started = time.monotonic()
        wire.send(b"67890")
        assert wire.rest() == b""
        assert time.monotonic() - started > 0.3


def test_a_long_response_is_not_cut_by_the_idle_timer(hasty: RunningServer) -> None:
    with hasty.connect() as wire:
        wire.send(b"PUT /denied HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        wire.answer()
        wire.send(b"67890GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.8)
        hasty.app.gate.set()
        assert wire.answer()[0] == 200


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: t\r\n\r\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: t\r\n\r\n",
        b"GET nothing HTTP/1.1\r\nHost: t\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: t\r\nbad name: 1\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_junk_instead_of_http_gets_a_readable_400(tight: RunningServer, junk: bytes) -> None:
    with tight.connect() as wire:
        wire.send(junk)
        assert refusal(wire)[0] == 400
    assert tight.app.offered == []


def test_junk_behind_a_request_is_refused_after_its_response(
    tight: RunningServer,
) -> None:
    with tight.connect() as wire:
        wire.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n???\r\n\r\n")
        assert wire.answer()[2] == b"hello"
        assert refusal(wire)[0] == 400


def test_a_broken_chunk_ends_the_request(tight: RunningServer) -> None:
    with tight.connect() as wire:
        wire.request("PUT", "/upload", "Transfer-Encoding: chunked\r\n")
        wire.send(b"3\r\nabc\r\nnonsense\r\n")
        assert refusal(wire)[0] == 400
    assert tight.outcome() == "ClientGone"


def test_a_trailer_is_not_taken_as_a_header(tight: RunningServer) -> None:
    with tight.connect() as wire:
        wire.request("PUT", "/upload", "Transfer-Encoding: chunked\r\n")
        wire.send(b"3\r\nabc\r\n0\r\nX-Late: 1\r\n\r\n")
        assert json.loads(wire.answer()[2])["count"] == 3
        wire.request("GET", "/hello")
        assert wire.answer()[0] == 200


def test_too_many_busy_connections_are_refused(start: Callable[..., RunningServer]) -> None:
    live = start(with_limits(max_connections=2))
    head = b"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na"
    with live.connect() as one, live.connect() as two:
        for wire in (one, two):
            wire.send(head)
        wait_until(lambda: len(live.app.offered) == 2)
        with live.connect() as three:
            three.request("PUT", "/upload", body=bytes(100_000))
            assert refusal(three)[0] == 503
        for wire in (one, two):
            wire.send(b"b")
            assert wire.answer()[0] == 200


def test_the_oldest_idle_connection_is_closed_for_a_new_one(
    start: Callable[..., RunningServer],
) -> None:
    live = start(with_limits(max_connections=2))
    with live.connect() as silent, live.connect() as used, live.connect() as third:
        assert silent.rest() == b""
        for wire in (used, third):
            wire.request("GET", "/hello")
            assert wire.answer()[0] == 200
        with live.connect() as fourth:
            assert used.rest() == b""
            for wire in (third, fourth):
                wire.request("GET", "/hello")
                assert wire.answer()[0] == 200


def test_one_address_has_a_share_of_the_connections(start: Callable[..., RunningServer]) -> None:
    live = start(with_limits(connections_per_address=2))
    with live.connect(source="127.0.0.2") as other, live.connect() as one, live.connect() as two:
        for wire in (other, one, two):
            wire.request("GET", "/hello")
            assert wire.answer()[0] == 200
        with live.connect() as three:
            assert one.rest() == b""
            for wire in (other, two, three):
                wire.request("GET", "/hello")
                assert wire.answer()[0] == 200


def test_a_proxy_has_more_connections_than_one_address(start: Callable[..., RunningServer]) -> None:
    proxies = (ipaddress.ip_network("127.0.0.1/32"),)
    live = start(with_limits(connections_per_address=1, trusted=proxies))
    with live.connect() as one, live.connect() as two:
        for wire in (one, two):
            wire.request("GET", "/hello")
            assert wire.answer()[0] == 200


def test_pipelined_requests_have_a_limit(start: Callable[..., RunningServer]) -> None:
    live = start(with_limits(pipelined_requests=10))
    with live.connect() as wire:
        for _ in range(20):
            wire.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        assert wire.rest().count(b" 200 OK") == 11


def test_a_small_response_is_one_packet(tight: RunningServer) -> None:
    with tight.connect() as wire:
        for _ in range(50):
            wire.request("GET", "/hello")
            assert wire.more().endswith(b"hello")


def test_a_head_does_not_wait_for_a_slow_body(tight: RunningServer) -> None:
    with tight.connect() as wire:
        wire.request("GET", "/late-body")
        assert wire.head()[0] == 200
        tight.app.gate.set()
        assert wire.body(5) == b"there"


def test_a_client_that_never_reads_its_responses_is_disconnected(hasty: RunningServer) -> None:
    with hasty.connect() as wire:
        request = b"GET /file-big HTTP/1.1\r\nHost: x\r\n\r\n"
        wire.send(request * 20)
        wait_until(lambda: "ClientGone" in hasty.app.outcomes)
        hasty.wait_until_idle()


def test_a_failing_application_is_a_json_error(tight: RunningServer) -> None:
    with httpx2.Client() as client:
        response = client.get(tight.url + "/crash")
    assert (response.status_code, response.json()) == (500, {"error": "Internal Server Error"})


@pytest.mark.parametrize(
    ("target", "raw", "path", "query"),
    [
        ("/shape/refs%2Fpr%2F1?a=%2F&b", b"/shape/refs%2Fpr%2F1", "/shape/refs/pr/1", b"a=%2F&b"),
        ("//shape//../x", b"//shape//../x", "//shape//../x", b""),
        ("http://elsewhere/shape?q", b"/shape", "/shape", b"q"),
    ],
)
def test_the_target_reaches_the_application_unchanged(
    start: Callable[..., RunningServer], target: str, raw: str, path: str, query: str
) -> None:
    live = start()
    served = live.server.config.loaded_app
    seen: dict[str, Any] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.update(scope)
        await live.app.do_hello(scope, receive, send)

    live.server.config.loaded_app = app
    try:
        with live.connect() as wire:
            wire.request("GET", target)
            assert wire.answer()[0] == 200
    finally:
        live.server.config.loaded_app = served
    assert (seen["raw_path"], seen["path"], seen["query_string"]) == (raw, path, query)


@pytest.mark.parametrize("name", ["Upgrade", "upgrade", "UPGRADE"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_an_upgrade_request_is_answered_as_plain_http(
    tight: RunningServer, framing: str, name: str
) -> None:
    """Java's client requests h2c with every request, and curl does with --http2."""
    lines = (
        f"Connection: Upgrade, HTTP2-Settings\r\n{name}: h2c\r\nHTTP2-Settings: AAEAAEAAAAIA\r\n"
    )
    with tight.connect() as wire:
        for _ in range(2):  # on one connection
            wire.request("GET", "/hello", lines)
            status, _, body = wire.answer()
            assert (status, body) == (200, b"hello")
            if framing == "length":
                wire.request("POST", "/read", lines, b"bytes")
            else:
                head = f"POST /read HTTP/1.1\r\nHost: x\r\n{lines}Transfer-Encoding: chunked\r\n"
                wire.send(f"{head}\r\n5\r\nbytes\r\n0\r\n\r\n".encode())
            status, _, body = wire.answer()
            assert (status, json.loads(body)["count"]) == (200, 5)


@pytest.mark.parametrize("step", [1, 7])
def test_an_upgrade_request_in_any_pieces_retains_its_body(tight: RunningServer, step: Any) -> None:
    lines = "Connection: Upgrade\r\nUpgrade-Insecure-Requests: 1\r\nUpgrade: h2c\r\n"
    request = f"\r\nPOST /read HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: 5\r\n\r\nbytes"
    with tight.connect() as wire:
        for _ in range(2):
            for at in range(0, len(request), step):
                wire.send(request[at : at + step].encode())
                time.sleep(0.0005)
            status, _, body = wire.answer()
            assert (status, json.loads(body)["count"]) == (200, 5)


def test_pieces_of_a_header_name_are_joined(tight: RunningServer) -> None:
    for split in range(1, 14):
        head = b"GET /shape?" + b"%d" % split + b" HTTP/1.1\r\nHost: t\r\nUpgradeable: no\r\n\r\n"
        at = head.index(b"\r\n") + split
        with tight.connect() as wire:
            wire.send(head[:at])
            time.sleep(0.002)
            wire.send(head[at:])
            assert wire.answer()[0] == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /hello HTTP/1.1\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"GET /hello HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /hello HTTP/1.0\r\n\r\n", 200),
        (b"GET /hello HTTP/1.1\r\nHost:\r\n\r\n", 200),
    ],
)
def test_a_request_names_one_host(live: RunningServer, head: bytes, status: int) -> None:
    with live.connect() as wire:
        wire.send(head)
        assert wire.answer()[0] == status
