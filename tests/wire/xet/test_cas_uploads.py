"""Xorbs and shards over real sockets: valid ones are stored, invalid ones leave nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count, islice

import pytest
from tests.support.http import Response
from tests.support.xet import Cas, a_model, chunks, noise
from tests.support.xet_files import (
    EMPTY_FILE,
    SampleXorb,
    a_file,
    a_shard,
    a_xorb,
    file_entry,
    shard_of,
    xorb_entry,
)
from tests.wire.xet.conftest import XetModel
from tests.xet.wire_xorbs import footer, header, record

from hubstead.xet import (
    MAX_CHUNKS,
    MAX_STORED_BYTES,
    Term,
    Terms,
    chunk_hash,
    is_eligible,
    to_text,
)
from hubstead.xet.index import find_xorbs


def reason(response: Response) -> str:
    return response.body.decode()


# -- xorbs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/xorbs", "/v1/xorb", "/xorbs", "/xorb"])
def test_a_xorb_is_accepted_under_every_path_and_known_the_second_time(cas: Cas, path: str) -> None:
    _, xorb = a_model(path)
    target = f"{path}/default/{xorb.name}"
    assert cas.call("POST", target, xorb.body).json == {"was_inserted": True}
    assert cas.call("POST", target, xorb.body).json == {"was_inserted": False}


def test_a_file_hashed_during_its_upload_has_its_sha256(sample: XetModel) -> None:
    cas = sample.cas()
    candidates = (a_xorb(chunks(4, f"ahead {at} {sample.repo_id}")) for at in count())
    # Clients query eligible chunks wherever they are.
    begin = next(xorb for xorb in candidates if not is_eligible(chunk_hash(xorb.chunks[0])))
    xorbs = [begin, *islice(candidates, 2)]
    file = a_file(*((xorb, 0, 4) for xorb in xorbs))
    first = to_text(chunk_hash(xorbs[0].chunks[0]))
    assert cas.call("GET", f"/v1/chunks/default/{first}").status == 404
    assert [cas.send(xorb).json["was_inserted"] for xorb in xorbs] == [True] * 3
    names = [xorb.name for xorb in xorbs]
    known = cas.hub.run(find_xorbs(cas.stores.db, names))
    digest, terms = cas.stores.xet.eager_hasher.partial_digest(
        Terms.of(file.terms), lambda raw: known[to_text(raw)].blob
    )
    assert (digest.hexdigest(), terms) == (file.sha256, 3)
    wrong = a_shard((replace(file, content=b"other bytes"),), xorbs)
    assert "sha256" in reason(cas.call("POST", "/v2/shards", wrong))
    assert cas.register(file, xorbs=tuple(xorbs)).json == {"result": 1}
    assert cas.download(file, tuple(xorbs)) == file.content


def test_a_xorb_may_have_the_footer_of_old_releases(cas: Cas) -> None:
    contents = chunks(3, "footer")
    xorb = a_xorb(contents)
    trailer = footer(xorb.raw, [record(chunk) for chunk in contents], contents)
    response = cas.call("POST", f"/xorb/default/{xorb.name}", xorb.body + trailer)
    assert response.json == {"was_inserted": True}
    # The footer is not stored: only the records are.
    assert cas.call("HEAD", f"/v1/xorbs/default/{xorb.name}").headers["content-length"] == str(
        len(xorb.body)
    )


def bomb() -> bytes:
    return record(bytes(60_000_000), 1)[:8] and _framed_bomb()


def _framed_bomb() -> bytes:
    data = record(bytes(60_000_000), 1)[8:]
    return header(len(data), 1, 131_072) + data


def flipped(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


BAD_XORBS: dict[str, Callable[[SampleXorb], bytes]] = {
    "nothing at all": lambda xorb: b"",
    "half a header": lambda xorb: xorb.body[:5],
    "cut in a chunk": lambda xorb: xorb.body[:-100],
    "cut behind a chunk": lambda xorb: xorb.body[: xorb.index.span(0, 3)[1]],
    "a bit flipped in a chunk": lambda xorb: flipped(xorb.body, 5000),
    "a bit flipped in a header": lambda xorb: flipped(xorb.body, 5),
    "a version that is none": lambda xorb: b"\x01" + xorb.body[1:],
    "a scheme that is none": lambda xorb: xorb.body[:4] + b"\x09" + xorb.body[5:],
    "bytes behind the end": lambda xorb: xorb.body + b"junk",
    "a chunk too many": lambda xorb: xorb.body + record(b"x"),
    "a chunk without bytes": lambda xorb: xorb.body + header(0, 0, 0),
    "chunks in another order": lambda xorb: (
        xorb.body[xorb.index.span(0, 1)[1] :] + xorb.body[: xorb.index.span(0, 1)[1]]
    ),
    "a bomb": lambda xorb: _framed_bomb(),
    "other bytes": lambda xorb: noise(len(xorb.body), "other"),
    "half a footer": lambda xorb: xorb.body + b"XETBLOB\x01" + bytes(20),
}


@pytest.mark.parametrize("case", BAD_XORBS)
def test_an_invalid_xorb_is_refused_with_a_reason_and_leaves_nothing(
    sample: XetModel, case: str
) -> None:
    cas = sample.cas()
    _, xorb = a_model(f"bad {case}")
    before = sample.hub.traces()
    response = cas.call("POST", f"/v1/xorbs/default/{xorb.name}", BAD_XORBS[case](xorb))
    assert response.status == 400, response
    assert reason(response).startswith("The xorb is refused: "), response
    assert sample.hub.traces() == before
    assert cas.call("POST", f"/v1/xorbs/default/{xorb.name}", xorb.body).json["was_inserted"]


@pytest.mark.parametrize(
    "name", ["none", "0" * 63, "0" * 65, "g" * 64, "A" * 64, "0" * 62 + "%0a", "..%2f..%2fetc"]
)
def test_an_invalid_hash_is_refused(sample: XetModel, name: str) -> None:
    cas, (_, xorb) = sample.cas(), a_model("hash")
    before = sample.hub.traces()
    assert cas.call("POST", f"/v1/xorbs/default/{name}", xorb.body).status == 400
    for path in ("/v1/chunks/default", "/v1/reconstructions", "/v2/reconstructions"):
        assert cas.call("GET", f"{path}/{name}").status == 400
    assert cas.call("POST", f"/v1/xorb-grants/default/{name}", {"length": 1}).status == 400
    assert sample.hub.traces() == before


def test_a_known_xorb_is_checked_again(sample: XetModel) -> None:
    cas, (_, xorb) = sample.cas(), a_model("known")
    cas.send(xorb)
    before = sample.hub.traces()
    response = cas.call("POST", f"/v1/xorbs/default/{xorb.name}", flipped(xorb.body, 5000))
    assert response.status == 400
    assert sample.hub.traces() == before


def test_a_body_larger_than_any_xorb_is_refused_before_it_is_read(cas: Cas) -> None:
    _, xorb = a_model("large")
    most = MAX_STORED_BYTES + 96 + 40 * MAX_CHUNKS
    response = cas.call("POST", f"/v1/xorbs/default/{xorb.name}", b"", Content_Length=str(most + 1))
    assert response.status == 413


# -- shards ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/shards"),
        ("POST", "/v1/shard"),
        ("POST", "/shards"),
        ("POST", "/shard"),
        ("POST", f"/shard/default/{'0' * 64}"),
        ("PUT", f"/shard/default/{'0' * 64}"),
        ("POST", f"/v1/shard/default/{'0' * 64}"),
    ],
)
def test_a_shard_is_accepted_under_every_path_and_repeatedly(
    cas: Cas, method: str, path: str
) -> None:
    file, xorb = a_model(f"{method} {path}")
    cas.send(xorb)
    shard = a_shard([file], [xorb])
    assert cas.call(method, path, shard).json == {"result": 1}
    assert cas.call(method, path, shard).json == {"result": 0}
    assert cas.download(file, (xorb,)) == file.content


def lines(response: Response) -> list[dict[str, object]]:
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.body.splitlines()]


def test_the_newer_shard_call_reports_progress_and_result(cas: Cas) -> None:
    file, xorb = a_model("stream")
    cas.send(xorb)
    first = lines(cas.call("POST", "/v2/shards", a_shard([file], [xorb])))
    assert first[-1] == {"type": "result", "result": 1}
    assert {line["type"] for line in first[:-1]} == {"validating"}
    again = lines(cas.call("POST", "/v2/shards", a_shard([file])))
    assert again[-1] == {"type": "result", "result": 0}


def test_an_empty_file_in_a_shard_is_ignored(cas: Cas) -> None:
    file, xorb = a_model("empty")
    cas.send(xorb)
    entry = file_entry(file.raw, file.terms, file.range_hashes, file.sha256)
    assert cas.call("POST", "/v1/shards", shard_of([EMPTY_FILE, entry])).status == 200
    assert cas.call("POST", "/v1/shards", shard_of([EMPTY_FILE])).status == 200


def entry_of(file: object, **changes: object) -> bytes:
    fields = {name: getattr(file, name) for name in ("raw", "terms", "range_hashes", "sha256")}
    return file_entry(**{**fields, **changes})


def bad_shards() -> dict[str, Callable[[], tuple[SampleXorb, bytes]]]:
    """Return invalid shards by their fault, each with a stored xorb."""

    def of(make: Callable[..., bytes]) -> Callable[[], tuple[SampleXorb, bytes]]:
        def build() -> tuple[SampleXorb, bytes]:
            file, xorb = a_model(make)
            return xorb, make(file, xorb)

        return build

    def term(**changes: int) -> Callable[..., bytes]:
        return lambda file, xorb: shard_of(
            [entry_of(file, terms=[file.terms[0]._replace(**changes)])]
        )

    other = a_xorb(chunks(3, "never sent"))
    return {
        "nothing": of(lambda file, xorb: b""),
        "another magic": of(lambda file, xorb: b"X" + a_shard([file])[1:]),
        "another version": of(lambda file, xorb: flipped(a_shard([file]), 32)),
        "no bookend": of(lambda file, xorb: a_shard([file])[:-48]),
        "cut in a file": of(lambda file, xorb: a_shard([file])[:120]),
        "a bit flipped in a range hash": of(
            lambda file, xorb: flipped(a_shard([file]), 48 + 48 * 2 + 3)
        ),
        "a bit flipped in the file hash": of(lambda file, xorb: flipped(a_shard([file]), 50)),
        "a bit flipped in the sha256": of(
            lambda file, xorb: flipped(a_shard([file]), 48 + 48 * 3 + 3)
        ),
        "no range hashes": of(lambda file, xorb: shard_of([entry_of(file, range_hashes=b"")])),
        "chunks that are not there": of(term(end=7)),
        "chunks far beyond": of(term(end=2**32 - 1)),
        "no chunks": of(term(start=3, end=3)),
        "chunks backwards": of(term(start=4, end=2)),
        "a byte too many": of(
            lambda file, xorb: shard_of(
                [entry_of(file, terms=[file.terms[0]._replace(bytes=file.terms[0].bytes + 1)])]
            )
        ),
        "a part passed off as the whole": of(term(end=5)),
        "a xorb that was not sent": of(
            lambda file, xorb: shard_of(
                [entry_of(file, terms=[Term(other.raw, 0, 3, other.index.unpacked)])]
            )
        ),
        "a new xorb that was not sent": of(
            lambda file, xorb: shard_of([entry_of(file)], [xorb_entry(other)])
        ),
        "a sha256 of other bytes": of(
            lambda file, xorb: shard_of([entry_of(file, sha256="ab" * 32)])
        ),
        "four billion terms": of(
            lambda file, xorb: a_shard([file])[:84] + b"\xff" * 4 + a_shard([file])[88:]
        ),
        "more terms than a file may have": of(
            lambda file, xorb: shard_of(
                [
                    entry_of(
                        file, terms=file.terms * 100_000, range_hashes=file.range_hashes * 100_000
                    )
                ]
            )
        ),
    }


BAD_SHARDS = bad_shards()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("case", BAD_SHARDS)
def test_an_invalid_shard_is_refused_with_a_reason_and_leaves_nothing(
    sample: XetModel, case: str, version: int
) -> None:
    cas = sample.cas()
    xorb, shard = BAD_SHARDS[case]()
    assert cas.send(xorb).status == 200
    before = sample.hub.traces()
    response = cas.call("POST", f"/v{version}/shards", shard)
    if version == 1:
        assert response.status == 400, response
        assert reason(response).startswith("The shard is refused: "), response
    else:
        last = lines(response)[-1]
        assert last["type"] == "error"
        assert str(last["message"]).startswith("The shard is refused: "), response
        assert last["retryable"] is False
    assert sample.hub.traces() == before


def test_one_invalid_file_invalidates_the_whole_shard(sample: XetModel) -> None:
    cas = sample.cas()
    (good, first), (bad, second) = a_model("good"), a_model("bad")
    for xorb in (first, second):
        cas.send(xorb)
    before = sample.hub.traces()
    response = cas.call(
        "POST", "/v1/shards", shard_of([entry_of(good), entry_of(bad, sha256="1" * 64)])
    )
    assert response.status == 400
    assert sample.hub.traces() == before


def test_a_shard_larger_than_the_setting_is_refused_before_it_is_read(cas: Cas) -> None:
    for version in (1, 2):
        response = cas.call("POST", f"/v{version}/shards", b"", Content_Length=str(81 << 20))
        assert response.status == 413
        assert "xet_max_shard_bytes" in reason(response)


def test_a_file_with_many_terms_is_read_whole_and_in_parts(cas: Cas) -> None:
    """60,000 terms of one chunk each, over and over: under the limit of terms."""
    xorb = a_xorb([noise(100 + at, f"tiny {at}") for at in range(40)])
    file = a_file(*((xorb, at % 40, at % 40 + 1) for at in range(60_000)))
    cas.upload(file, xorbs=(xorb,))
    plan = cas.plan(file).json
    assert len(plan["terms"]) == 60_000
    assert [len(entries) for entries in plan["xorbs"].values()] == [1]
    part = cas.plan(file, Range="bytes=3000000-3000099").json
    assert len(part["terms"]) < 3
