"""Any bytes over a socket are answered or refused, and never cause a fault."""

from __future__ import annotations

import re
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.examples import examples
from tests.support.hub import ThreadHub
from tests.support.person import Person

METHODS = st.sampled_from(
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"GE T", b"\xff"]
)
WORDS = (
    "api models datasets spaces kernels repos create delete ls login whoami-v2 tree resolve raw "
    "commit preupload paths-info revision refs branch tag commits compare upload settings lfs "
    "lfs-files batch info objects resolve-cache main HEAD refs%2Fpr%2F1 a.txt .git .. . %00 %ff "
    "%C3%A4 % %zz %2F %252F a%2Fb ~ * ;x : @ $ \xe4 \x80 main..main none healthz metrics "
    "openapi.json users overview organizations static healthz"
).split()
QUERY_WORDS = "limit=1 limit=x p=0 cursor=eA expand=sha recursive %00 a[]=b = & %zz search=%ff"
HEADERS = st.sampled_from(
    [
        b"Authorization: Bearer TOKEN",
        b"Authorization: Bearer TOKEN",
        b"Authorization: Bearer",
        b"Authorization: Bearer hf_none",
        b"Authorization: Basic dTpw",
        b"Authorization: Basic \xff",
        b"Authorization: Basic Og==",
        b"Authorization: Digest x",
        b"Content-Type: application/json",
        b"Content-Type: application/x-ndjson",
        b"Content-Type: application/x-www-form-urlencoded",
        b"Content-Type: \xff; charset=\xfe",
        b"Content-Encoding: gzip",
        b"Content-Encoding: br",
        b"Content-Length: 0",
        b"Content-Length: 3",
        b"Content-Length: -1",
        b"Content-Length: 99999999999999999999",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: identity",
        b"Range: bytes=0-0",
        b"Range: bytes=-5",
        b"Range: bytes=0-1,2-3",
        b"Range: bytes=99999999999999999999-",
        b"Range: \xff",
        b"If-None-Match: *",
        b'If-None-Match: W/"x", "y',
        b"If-Range: Wed, 21 Oct 2015 07:28:00 GMT",
        b"Cookie: a=b; c",
        b"Cookie: \xff",
        b"Host: elsewhere:99999",
        b"Host: [::1",
        b"Host:",
        b"Accept: text/html",
        b"Accept: \xff",
        b"Origin: null",
        b"Origin: \xff",
        b"X-Request-Id: a\tb",
        b"X-Forwarded-For: nobody",
        b"X-Forwarded-Proto: gopher",
        b"User-Agent: huggingface_hub/0.1; hf_hub/0.",
        b"User-Agent: \xff",
        b"Expect: 100-continue",
        b"Connection: upgrade",
        b"Upgrade: websocket",
        b"No colon",
        b": no name",
        b"X: " + b"y" * 70_000,
    ]
)
BODIES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"{}",
            b"[]",
            b'{"name": "x"}',
            b'{"name": "\\ud800"}',
            b'{"paths": ["a.txt"]}',
            b"paths=a.txt&expand=true",
            b'{"key":"header","value":{"summary":"x"}}\n{"key":"file","value":{"path":"a"}}',
            b"5\r\nhello\r\n0\r\n\r\n",
            b"fffffffffffffffff\r\n",
            b"\x1f\x8b\x08\x00",
        ]
    ),
)


@pytest.fixture(scope="module")
def anna(live_hub: ThreadHub) -> Person:
    anna = live_hub.user("anna")
    repo = anna.repo()
    assert (
        anna.commit(repo, {"key": "file", "value": {"path": "a.txt", "content": "x"}}).status == 200
    )
    return anna


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    segments = draw(st.lists(st.sampled_from(["NS", "bert", "NS/bert", *WORDS]), max_size=9))
    query = draw(st.lists(st.sampled_from(QUERY_WORDS.split()), max_size=3))
    target = "/" + "/".join(segments) + ("?" + "&".join(query) if query else "")
    target = draw(
        st.sampled_from([target] * 20 + ["*", "http://x/", "//", "x", "/" + "y" * 20_000])
    )
    lines = draw(st.lists(HEADERS, max_size=6))
    body = draw(BODIES)
    if draw(st.booleans()):
        lines.append(b"Content-Length: %d" % len(body))
    head = draw(METHODS) + b" " + target.encode("latin-1") + b" HTTP/1.1\r\n"
    return head + b"\r\n".join([b"Host: hub", *lines]) + b"\r\n\r\n" + body


def test_no_bytes_cause_a_fault(live_hub: ThreadHub, anna: Person) -> None:
    @examples(250)
    @given(request=requests())
    def holds(request: bytes) -> None:
        request = request.replace(b"NS", anna.name.encode()).replace(b"TOKEN", anna.token.encode())
        for status in statuses(exchange(live_hub.port, request)):
            assert status < 500 or status == 501, request

    holds()
    assert live_hub.call("GET", "/readyz").status == 200


@pytest.mark.parametrize("shown", ["POST", "PUT"])
def test_no_body_of_a_known_address_causes_a_fault(
    live_hub: ThreadHub, anna: Person, shown: str
) -> None:
    ends = "commit/main preupload/main paths-info/main branch/b tag/main settings upload/main/x"
    targets = [f"/api/models/{anna.path('bert')}/{end}" for end in ends.split()]

    @examples(80)
    @given(target=st.sampled_from(targets), body=BODIES, kind=HEADERS)
    def holds(target: str, body: bytes, kind: bytes) -> None:
        request = (
            f"{shown} {target} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n"
            f"Authorization: Bearer {anna.token}\r\nContent-Length: {len(body)}\r\n"
        ).encode()
        for status in statuses(exchange(live_hub.port, request + kind + b"\r\n\r\n" + body)):
            assert status < 500 or status == 501, (target, kind, body)

    holds()


def exchange(port: int, request: bytes) -> bytes:
    """Send all of ``request``, close the sending side, and return the response."""
    response = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        try:
            wire.sendall(request)
            wire.shutdown(socket.SHUT_WR)
            while part := wire.recv(65536):
                response += part
        except ConnectionError:
            pass  # refused before the whole request was read
    return response


def statuses(response: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"^HTTP/1\.1 (\d{3}) ", response, re.MULTILINE)]
