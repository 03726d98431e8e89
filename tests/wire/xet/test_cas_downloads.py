"""Reconstructions and their ranges: exactly the requested bytes, for exactly their user."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.xet import Cas, a_model, chunks
from tests.support.xet_files import SampleFile, SampleXorb, a_file, a_xorb
from tests.wire.xet.conftest import XetModel

from hubstead.wire.xet.ranges import PURPOSE, RangeGrant

Uploaded = tuple[Cas, SampleFile, SampleXorb]


@pytest.fixture
def uploaded(sample: XetModel) -> Uploaded:
    file, xorb = a_model("uploaded", 8)
    cas = sample.cas()
    cas.upload(file, xorbs=(xorb,))
    return cas, file, xorb


# -- reconstructions -----------------------------------------------------------------------------


def test_a_file_of_several_xorbs_is_reconstructed(cas: Cas) -> None:
    first, second = a_xorb(chunks(5, "first")), a_xorb(chunks(4, "second"))
    file = a_file((first, 0, 3), (second, 1, 4), (first, 2, 5), (first, 2, 3), (second, 0, 1))
    cas.upload(file, xorbs=(first, second))
    assert cas.download(file, (first, second)) == file.content


def test_both_versions_are_equivalent(uploaded: Uploaded) -> None:
    cas, file, xorb = uploaded
    old, new = cas.plan(file, 1).json, cas.plan(file, 2).json
    assert (
        old["terms"]
        == new["terms"]
        == [
            {
                "hash": xorb.name,
                "unpacked_length": len(file.content),
                "range": {"start": 0, "end": 8},
            }
        ]
    )
    assert old["offset_into_first_range"] == new["offset_into_first_range"] == 0
    (info,), (entry,) = old["fetch_info"][xorb.name], new["xorbs"][xorb.name]
    assert info["range"] == {"start": 0, "end": 8}
    assert info["url_range"] == {"start": 0, "end": len(xorb.body) - 1}
    assert entry["ranges"] == [{"chunks": info["range"], "bytes": info["url_range"]}]
    assert cas.fetch(info["url"]).body == cas.fetch(entry["url"]).body == xorb.body


@pytest.mark.parametrize(
    "path",
    ["/v1/reconstructions", "/reconstructions", "/v1/reconstruction", "/reconstruction"],
)
def test_a_reconstruction_is_served_under_every_path(uploaded: Uploaded, path: str) -> None:
    cas, file, _ = uploaded
    assert cas.call("GET", f"{path}/{file.name}").json["terms"]


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=9000-9000", 9000, 9001),
        ("bytes=8999-9000", 8999, 9001),
        ("bytes=30000-", 30000, None),
        ("bytes=-1", -1, None),
        ("bytes=100-999999999", 100, None),
        ("100-199", 100, 200),
    ],
)
def test_a_range_of_a_file_needs_only_its_chunks(
    uploaded: Uploaded, header: str, start: int, end: int | None
) -> None:
    cas, file, xorb = uploaded
    wanted = file.content[start:end]
    plan = cas.plan(file, Range=header).json
    terms = plan["terms"]
    received = b"".join(
        chunk
        for term in terms
        for chunk in xorb.chunks[term["range"]["start"] : term["range"]["end"]]
    )
    offset = plan["offset_into_first_range"]
    assert received[offset : offset + len(wanted)] == wanted
    assert offset < 9010
    assert len(received) < len(wanted) + 2 * 9010


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    "header", ["bytes={}-", "bytes={}-99999999", "bytes=999999999999-", "bytes=-0"]
)
def test_a_range_beyond_the_end_is_a_416(uploaded: Uploaded, header: str, version: int) -> None:
    cas, file, _ = uploaded
    size = len(file.content)
    response = cas.plan(file, version, Range=header.format(size))
    assert response.status == 416
    assert response.headers["content-range"] == f"bytes */{size}"


@pytest.mark.parametrize("version", [1, 2])
def test_an_empty_file_has_an_empty_plan(cas: Cas, version: int) -> None:
    path = f"/v{version}/reconstructions/{'0' * 64}"
    for headers in ({}, {"Range": "bytes=0-99"}):
        plan = cas.call("GET", path, **headers).json
        assert plan.pop("terms") == []
        assert plan.pop("offset_into_first_range") == 0
        assert list(plan.values()) == [{}]
    assert cas.call("GET", path, Range="bytes=1-").status == 416


def test_several_files_are_planned_at_once(cas: Cas) -> None:
    xorb = a_xorb(chunks(6, "several"))
    files = [a_file((xorb, 0, 3)), a_file((xorb, 2, 4)), a_file((xorb, 5, 6))]
    cas.upload(*files, xorbs=(xorb,))
    names = [file.name for file in files] + ["ab" * 32]
    response = cas.call(
        "GET", "/v1/reconstructions?" + "&".join(f"file_id={name}" for name in names)
    )
    assert [term[0]["range"] for term in response.json["files"].values()] == [
        {"start": 0, "end": 3},
        {"start": 2, "end": 4},
        {"start": 5, "end": 6},
    ]
    infos = response.json["fetch_info"][xorb.name]
    assert [info["range"] for info in infos] == [{"start": 0, "end": 4}, {"start": 5, "end": 6}]
    for info in infos:
        first, stop = xorb.index.span(info["range"]["start"], info["range"]["end"])
        assert cas.fetch(info["url"]).body == xorb.body[first:stop]
    many = "&".join(f"file_id={name}" for name in [f"{at:064x}" for at in range(101)])
    assert cas.call("GET", f"/v1/reconstructions?{many}").status == 400


def test_head_returns_the_size_of_a_file_and_of_a_xorb(uploaded: Uploaded) -> None:
    cas, file, xorb = uploaded
    response = cas.call("HEAD", f"/v1/files/{file.name}")
    assert (response.status, response.headers["content-length"]) == (200, str(len(file.content)))
    response = cas.call("HEAD", f"/v1/xorbs/default/{xorb.name}")
    assert (response.status, response.headers["content-length"]) == (200, str(len(xorb.body)))
    for path in (f"/v1/files/{'ab' * 32}", f"/v1/xorbs/default/{'ab' * 32}"):
        assert cas.call("HEAD", path).status == 404


def test_hashes_of_chunks_are_not_disclosed(uploaded: Uploaded) -> None:
    cas, file, _ = uploaded
    assert cas.call("GET", f"/v2/file-chunk-hashes/{file.name}").status == 404


# -- ranges ------------------------------------------------------------------------------------


def entry(cas: Cas, file: SampleFile, header: str = "bytes=20000-40000") -> tuple[str, int, int]:
    """Return an address of a reconstruction, and the first and last byte that it is for."""
    (entries,) = cas.plan(file, Range=header).json["xorbs"].values()
    (span,) = entries[0]["ranges"]
    return entries[0]["url"], span["bytes"]["start"], span["bytes"]["end"]


def test_a_range_is_sent_as_signed_or_a_part_of_it(uploaded: Uploaded) -> None:
    cas, file, xorb = uploaded
    url, first, last = entry(cas, file)
    assert 0 < first < last < len(xorb.body) - 1
    for header, start, stop in (
        ({}, first, last),
        ({"Range": f"bytes={first}-{last}"}, first, last),
        ({"Range": f"bytes={first + 5}-{last - 5}"}, first + 5, last - 5),
        ({"Range": f"bytes={last}-{last}"}, last, last),
        ({"Range": "chapters=1-2"}, first, last),
        ({"Range": f"bytes={first}-{last}", "If-Range": '"other"'}, first, last),
        ({"If-None-Match": "*"}, first, last),
        ({"If-Match": '"other"'}, first, last),
        ({"If-Unmodified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"}, first, last),
    ):
        response = cas.fetch(url, **header)
        assert response.status == 206, header
        assert response.headers["content-range"] == f"bytes {start}-{stop}/{len(xorb.body)}"
        assert response.headers["content-length"] == str(stop - start + 1)
        assert response.body == xorb.body[start : stop + 1]


def test_nothing_outside_of_the_signed_range_is_sent(uploaded: Uploaded) -> None:
    cas, file, xorb = uploaded
    url, first, last = entry(cas, file)
    for header in (
        f"bytes={first - 1}-{last}",
        f"bytes={first}-{last + 1}",
        f"bytes=0-{len(xorb.body) - 1}",
        f"bytes={first}-",
        "bytes=0-",
        "bytes=-1",
        f"bytes={last + 1}-{last + 9}",
        "bytes=0-0,5-5",
        f"bytes={first}-{first},{last}-{last}",
        f"bytes={10**18}-{10**19}",
    ):
        response = cas.fetch(url, Range=header)
        assert response.status == 403, (header, response)
        assert b"new plan" in response.body


def test_a_changed_address_is_refused(uploaded: Uploaded) -> None:
    cas, file, _ = uploaded
    url, _, _ = entry(cas, file)
    middle = url.index("?sig=") + 60
    other = "A" if url[middle] != "A" else "B"
    for changed in (
        url[:middle] + other + url[middle + 1 :],
        url.partition("?")[0],
        url.partition("?")[0] + "?sig=",
        url.replace("/bytes/", "/bytes/0", 1),
        url[:-1],
    ):
        assert cas.fetch(changed).status == 403


def test_an_address_that_expired_or_is_of_another_kind_is_refused(uploaded: Uploaded) -> None:
    cas, file, _ = uploaded
    url, first, last = entry(cas, file)
    signer = cas.hub.hub.signer
    grant: RangeGrant = signer.read(url.partition("sig=")[2], RangeGrant, purpose=PURPOSE)
    assert (grant.first, grant.last) == (first, last)
    base = url.partition("?")[0]
    for purpose, seconds, status in (
        (PURPOSE, 60, 206),
        (PURPOSE, -5, 403),
        ("lfs download", 60, 403),
    ):
        sig = signer.sign(grant, purpose=purpose, seconds=seconds)
        assert cas.fetch(f"{base}?sig={sig}").status == status


def test_a_signed_address_needs_no_credentials(uploaded: Uploaded) -> None:
    cas, file, _ = uploaded
    url, _, _ = entry(cas, file)
    assert cas.fetch(url, Authorization="Bearer nonsense").status == 206


def test_browsers_may_request_every_address(uploaded: Uploaded) -> None:
    cas, file, _ = uploaded
    url, _, _ = entry(cas, file)
    origin: dict[str, Any] = {"Origin": "https://app.example"}
    response = cas.fetch(url, **origin)
    assert response.headers["access-control-allow-origin"] == "https://app.example"
    exposed = response.headers["access-control-expose-headers"].lower()
    for name in ("x-xet-hash", "link", "x-linked-size", "x-linked-etag", "etag", "content-range"):
        assert name in exposed
    for target in (url, cas.path + f"/v2/reconstructions/{file.name}", cas.path + "/v1/shards"):
        response = cas.fetch(target, "OPTIONS", **origin)
        assert response.status == 204
        allowed = response.headers["access-control-allow-headers"]
        for name in ("authorization", "range", "x-xet-session-id"):
            assert name in allowed


def test_signatures_are_in_no_log(uploaded: Uploaded, caplog: pytest.LogCaptureFixture) -> None:
    cas, file, _ = uploaded
    url, _, _ = entry(cas, file)
    assert cas.fetch(url).status == 206
    assert cas.fetch(url + "x").status == 403
    assert "/bytes/" in caplog.text
    assert url.partition("sig=")[2] not in caplog.text
