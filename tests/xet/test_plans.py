"""A plan covers exactly the requested bytes, by ranges that clients can look up."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubstead.errors import RangeNotSatisfiable
from hubstead.xet import (
    ReconstructionPlan,
    Terms,
    XorbIndex,
    XorbParser,
    decode_records,
    make_plan,
    to_raw,
    to_text,
)
from tests.support.xet_files import SampleFile, SampleXorb, a_file, a_xorb
from tests.xet.vectors import VECTORS

CHUNKS = st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=9)


@st.composite
def stored(draw: st.DrawFn) -> tuple[list[SampleXorb], SampleFile]:
    """Generate xorbs, and a file of any of their chunks, repeats included."""
    xorbs = [a_xorb(chunks) for chunks in draw(st.lists(CHUNKS, min_size=1, max_size=3))]
    parts = []
    for xorb in draw(st.lists(st.sampled_from(xorbs), min_size=1, max_size=8)):
        start = draw(st.integers(0, len(xorb.chunks) - 1))
        parts.append((xorb, start, draw(st.integers(start + 1, len(xorb.chunks)))))
    return xorbs, a_file(*parts)


def put_together(plan: ReconstructionPlan, xorbs: dict[bytes, bytes], length: int) -> bytes:
    """Execute a plan like a client: fetch the ranges, decode them, look up each term."""
    fetched = {
        xorb: [
            (
                fetch,
                list(
                    decode_records(memoryview(xorbs[xorb])[fetch.first_byte : fetch.last_byte + 1])
                ),
            )
            for fetch in fetches
        ]
        for xorb, fetches in plan.ranges.items()
    }
    content = bytearray()
    for term in plan.terms:
        [(fetch, chunks)] = [
            (fetch, chunks)
            for fetch, chunks in fetched[term.xorb]
            if fetch.start <= term.start and term.end <= fetch.end
        ]
        part = b"".join(chunks[term.start - fetch.start : term.end - fetch.start])
        assert len(part) == term.bytes
        content += part
    return bytes(content[plan.offset : plan.offset + length])


@given(case=stored(), data=st.data())
def test_a_plan_covers_exactly_the_requested_bytes(
    case: tuple[list[SampleXorb], SampleFile], data: st.DataObject
) -> None:
    xorbs, file = case
    size = len(file.content)
    start = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(start + 1, size + 3))
    plan = make_plan(Terms.of(file.terms), indexes(xorbs), start, end)
    bodies = {xorb.raw: xorb.body for xorb in xorbs}
    assert put_together(plan, bodies, end - start) == file.content[start:end]


@given(case=stored(), data=st.data())
def test_a_plan_has_no_unneeded_chunk(
    case: tuple[list[SampleXorb], SampleFile], data: st.DataObject
) -> None:
    xorbs, file = case
    start = data.draw(st.integers(0, len(file.content) - 1))
    end = data.draw(st.integers(start + 1, len(file.content)))
    plan = make_plan(Terms.of(file.terms), indexes(xorbs), start, end)
    first, last = plan.terms[0], plan.terms[-1]
    known = indexes(xorbs)
    assert plan.offset < known[first.xorb].length(first.start, first.start + 1)
    beyond = sum(term.bytes for term in plan.terms) - plan.offset - (end - start)
    assert beyond < known[last.xorb].length(last.end - 1, last.end)


@given(case=stored(), data=st.data())
def test_ranges_of_one_xorb_do_not_touch_and_have_whole_records(
    case: tuple[list[SampleXorb], SampleFile], data: st.DataObject
) -> None:
    xorbs, file = case
    start = data.draw(st.integers(0, len(file.content) - 1))
    plan = make_plan(Terms.of(file.terms), indexes(xorbs), start, len(file.content))
    assert plan.ranges.keys() == {term.xorb for term in plan.terms}
    for raw, fetches in plan.ranges.items():
        for before, after in itertools.pairwise(fetches):
            assert before.end < after.start
            assert before.last_byte < after.first_byte
        for fetch in fetches:
            span = indexes(xorbs)[raw].span(fetch.start, fetch.end)
            assert span == (fetch.first_byte, fetch.last_byte + 1)


@given(case=stored(), beyond=st.integers(0, 5))
def test_a_range_beyond_the_file_is_not_satisfiable(
    case: tuple[list[SampleXorb], SampleFile], beyond: int
) -> None:
    _, file = case
    size = len(file.content)
    with pytest.raises(RangeNotSatisfiable) as caught:
        make_plan(Terms.of(file.terms), {}, size + beyond, size + beyond + 10)
    assert caught.value.size == size


@pytest.mark.parametrize(("start", "end"), [(2, 2), (3, 2), (-1, 2), (0, 0)])
def test_a_range_of_no_bytes_is_not_satisfiable(start: int, end: int) -> None:
    xorb = a_xorb([b"one", b"two"])
    with pytest.raises(RangeNotSatisfiable):
        make_plan(Terms.of([xorb.term(0, 2)]), indexes([xorb]), start, end)


def test_an_empty_file_has_an_empty_plan_and_no_second_byte() -> None:
    assert make_plan(Terms(), {}, 0, 0) == ReconstructionPlan(0, [], {})
    assert make_plan(Terms(), {}, 0, 1 << 30) == ReconstructionPlan(0, [], {})
    with pytest.raises(RangeNotSatisfiable):
        make_plan(Terms(), {}, 1, 2)


def test_a_part_needs_only_the_indexes_of_its_own_xorbs() -> None:
    xorbs = [a_xorb([bytes([number]) * 10]) for number in range(5)]
    terms = Terms.of([xorb.term(0, 1) for xorb in xorbs])
    needed = terms.xorbs(terms.between(10, 25))
    assert needed == [xorbs[1].raw, xorbs[2].raw]
    known = indexes(xorbs)
    plan = make_plan(terms, {raw: known[raw] for raw in needed}, 10, 25)
    assert [term.xorb for term in plan.terms] == needed


@given(case=stored())
def test_packed_terms_are_unpacked_unchanged(case: tuple[list[SampleXorb], SampleFile]) -> None:
    _, file = case
    terms = Terms.unpack(Terms.of(file.terms).pack())
    assert list(terms) == file.terms == [terms[at] for at in range(len(terms))] == terms[:]
    assert terms[1:3] == file.terms[1:3]
    assert terms[::-2] == file.terms[::-2]
    assert terms[3:1] == []
    assert terms.size == len(file.content)
    assert len(terms.pack()) == 44 * len(file.terms)
    assert terms == Terms.of(file.terms)
    begins = [0, *itertools.accumulate(term.bytes for term in file.terms)]
    assert [terms.offset(at) for at in range(len(terms) + 1)] == begins
    for byte in range(terms.size):
        at = terms.at(byte)
        assert begins[at] <= byte < begins[at + 1]
    with pytest.raises(IndexError):
        terms.at(terms.size)


def test_invalid_bytes_are_not_unpacked_as_terms() -> None:
    with pytest.raises(ValueError, match="no terms"):
        Terms.unpack(bytes(45))


@pytest.mark.parametrize(
    ("wanted", "start", "end"), [("full", 0, 1 << 40), ("range", 140_000, 150_001)]
)
def test_plans_equal_those_that_real_clients_downloaded_by(
    wanted: str, start: int, end: int
) -> None:
    shown = VECTORS["reconstruction"][f"{wanted}_v1"]
    plan = make_plan(Terms.of(map(_term, _shard_terms())), _vector_indexes(), start, end)
    assert plan.offset == shown["offset_into_first_range"]
    assert [_described(term) for term in plan.terms] == shown["terms"]
    assert {
        to_text(raw): [
            {
                "range": {"start": fetch.start, "end": fetch.end},
                "url_range": {"start": fetch.first_byte, "end": fetch.last_byte},
            }
            for fetch in fetches
        ]
        for raw, fetches in plan.ranges.items()
    } == {
        name: [{key: fetch[key] for key in ("range", "url_range")} for fetch in fetches]
        for name, fetches in shown["fetch_info"].items()
    }


def test_a_range_deep_inside_a_file_of_many_terms_is_planned() -> None:
    xorb = a_xorb([b"a", b"bc", b"def"])
    terms = Terms.of([xorb.term(at % 3, at % 3 + 1) for at in range(60_000)])
    plan = make_plan(terms, indexes([xorb]), 100_001, 100_007)
    content = (b"abcdef" * 1) * 20_000
    assert put_together(plan, {xorb.raw: xorb.body}, 6) == content[100_001:100_007]


def indexes(xorbs: list[SampleXorb]) -> dict[bytes, XorbIndex]:
    return {xorb.raw: xorb.index for xorb in xorbs}


def _shard_terms() -> list[dict[str, Any]]:
    name = VECTORS["reconstruction"]["file"]
    [file] = [entry for entry in VECTORS["shard_hf_xet_1_8_0"]["files"] if entry["hash"] == name]
    terms: list[dict[str, Any]] = file["terms"]
    return terms


def _term(shown: dict[str, Any]) -> Any:
    return to_raw(shown["xorb"]), shown["start"], shown["end"], shown["unpacked_bytes"]


def _described(term: Any) -> dict[str, Any]:
    return {
        "hash": to_text(term.xorb),
        "unpacked_length": term.bytes,
        "range": {"start": term.start, "end": term.end},
    }


def _vector_indexes() -> dict[bytes, XorbIndex]:
    xorb = VECTORS["xorb_hf_xet_1_8_0"]
    receiver = XorbParser(xorb["hash"], len)
    receiver.feed(base64.b64decode(xorb["bytes_b64"]))
    return {to_raw(xorb["hash"]): receiver.finish()}
