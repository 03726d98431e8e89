"""With ``s3_direct_downloads``, clients exchange bytes with S3, and the hub still checks them."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.support.http import Response
from tests.support.hub import ThreadHub
from tests.support.person import Person
from tests.support.xet import Cas, a_model, cas_for, noise
from tests.support.xet_files import SampleXorb
from tests.wire.xet.test_cas_client import down, up
from tests.wire.xet.test_cas_deduplication import grant

NO_CHECKSUM = {"algo": "none", "value": "0"}


@pytest.fixture
def hub(own_hub: Callable[..., ThreadHub]) -> ThreadHub:
    return own_hub("company", s3_direct_downloads=True)


@pytest.fixture
def anna(hub: ThreadHub) -> Person:
    return hub.user("anna")


@pytest.fixture
def cas(hub: ThreadHub, anna: Person) -> Cas:
    return cas_for(hub, anna, anna.repo("bert"))


def ask_s3(method: str, url: str, body: bytes = b"", headers: Mapping[str, str] = {}) -> Response:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body or None, dict(headers))
        response = connection.getresponse()
        return Response(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def begin(cas: Cas, xorb: SampleXorb, **more: object) -> Response:
    body = {"length": len(xorb.body), "checksum": NO_CHECKSUM, **more}
    return cas.call("POST", f"/v1/xorb-grants/default/{xorb.name}", body)


def send(response: Response, body: bytes) -> int:
    offered = response.json
    return ask_s3(offered["method"], offered["url"], body, offered["headers"]).status


def finish(cas: Cas, name: str, offered: Response) -> Response:
    path = f"/v1/xorb-commits/default/{name}/grant/{offered.json['id']}"
    return cas.call("POST", path)


def calls(hub: ThreadHub, route: str) -> float:
    """Return how often a route was called in this process."""
    lines = hub.call("GET", "/metrics").body.decode().splitlines()
    counters = (
        line for line in lines if line.startswith("hubstead_requests_total{") and route in line
    )
    return sum(float(line.split()[-1]) for line in counters)


def test_a_xorb_is_sent_to_s3_and_registered_after_its_check(cas: Cas) -> None:
    file, xorb = a_model("direct")
    offered = begin(cas, xorb)
    assert offered.status == 201
    assert finish(cas, xorb.name, offered).status == 404, "nothing was sent yet"
    assert send(offered, xorb.body) == 200
    assert cas.register(file).status == 400, "it is not checked yet"
    assert finish(cas, xorb.name, offered).status == 200
    assert cas.register(file).status == 200
    assert finish(cas, xorb.name, offered).status == 404
    assert grant(cas, xorb.name).status == 200


def test_an_invalid_xorb_is_refused_and_leaves_nothing(cas: Cas) -> None:
    _, xorb = a_model("wrong")
    before = cas.hub.traces()
    wrong = noise(len(xorb.body), "wrong")
    offered = begin(cas, xorb)
    assert send(offered, wrong) == 200
    response = finish(cas, xorb.name, offered)
    assert (response.status, response.body[:21]) == (400, b"The xorb is refused: ")
    assert finish(cas, xorb.name, offered).status == 404
    assert cas.hub.traces() == before


def test_a_grant_is_for_one_xorb_one_repository_and_one_user(
    hub: ThreadHub, anna: Person, cas: Cas
) -> None:
    (_, xorb), (_, other) = a_model("granted"), a_model("not granted")
    bo = hub.user("bo")
    offered = begin(cas, xorb)
    assert send(offered, xorb.body) == 200
    for caller, name in (
        (cas, other.name),
        (cas_for(hub, anna, anna.repo("other")), xorb.name),
        (cas_for(hub, bo, bo.repo("bert")), xorb.name),
    ):
        assert finish(caller, name, offered).status == 404
    assert finish(cas, xorb.name, offered).status == 200


@pytest.mark.parametrize("length", [0, -1, 1 << 40])
def test_an_impossible_length_is_not_offered(cas: Cas, length: int) -> None:
    _, xorb = a_model("length")
    assert begin(cas, xorb, length=length).status == 404


def test_a_reconstruction_has_signed_addresses_for_exactly_its_ranges(cas: Cas) -> None:
    file, xorb = a_model("ranges")
    cas.upload(file, xorbs=(xorb,))
    ((entry,),) = cas.plan(file, Range="bytes=20000-40000").json["xorbs"].values()
    (span,) = entry["ranges"]
    first, last = span["bytes"]["start"], span["bytes"]["end"]
    assert not entry["url"].startswith(cas.hub.url)
    response = ask_s3("GET", entry["url"], headers={"Range": f"bytes={first}-{last}"})
    assert (response.status, response.body) == (206, xorb.body[first : last + 1])
    for other in ({}, {"Range": "bytes=0-"}, {"Range": f"bytes={first}-{last + 1}"}):
        assert ask_s3("GET", entry["url"], headers=other).status == 403


def test_the_client_transfers_directly_both_ways(cas: Cas, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(noise(5_000_000, "straight") + b"the same again " * 100_000)
    through = calls(cas.hub, "/v1/xorbs/default/{hash}"), calls(cas.hub, "/bytes/{blob}")
    sent = up(cas, tmp_path / "cache", [path])
    assert down(cas, tmp_path / "fresh", tmp_path / "down", sent) == [path.read_bytes()]
    assert through == (
        calls(cas.hub, "/v1/xorbs/default/{hash}"),
        calls(cas.hub, "/bytes/{blob}"),
    )
    assert up(cas, tmp_path / "other", [path]) == sent
