"""A shard of any client release is parsed, or refused with a reason."""

from __future__ import annotations

import base64
import struct
import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubstead.xet import (
    MAX_SHARD_TERMS,
    FileEntry,
    ShardRefused,
    Term,
    Terms,
    XorbEntry,
    XorbParser,
    parse_shard,
    range_hash,
    to_text,
)
from tests.support.xet_files import (
    BOOKEND,
    EMPTY_FILE,
    MAGIC,
    a_file,
    a_shard,
    a_xorb,
    file_entry,
    shard_of,
    xorb_entry,
)
from tests.xet.vectors import VECTORS

HASHES = st.binary(min_size=32, max_size=32).filter(
    lambda raw: raw not in (bytes(32), b"\xff" * 32)
)
REAL = [name for name in VECTORS if name.startswith("shard_")]
XORB = a_xorb([b"first", b"second", b"third"])
FILE = a_file((XORB, 0, 3), (XORB, 1, 2))
GOOD = a_shard([FILE], [XORB], tail=b"whatever stands behind")


@st.composite
def terms(draw: st.DrawFn) -> Term:
    start = draw(st.integers(0, 8191))
    end = draw(st.integers(start + 1, 8192))
    return Term(draw(HASHES), start, end, draw(st.integers(end - start, 64 << 20)))


@st.composite
def files(draw: st.DrawFn) -> FileEntry:
    file_terms = draw(st.lists(terms(), min_size=1, max_size=4))
    ranges = b"".join(draw(st.lists(HASHES, min_size=len(file_terms), max_size=len(file_terms))))
    sha256 = draw(st.none() | HASHES.map(bytes.hex))
    return FileEntry(draw(HASHES), Terms.of(file_terms), ranges, sha256)


@given(entries=st.lists(files(), max_size=5), tail=st.binary(max_size=60))
def test_a_written_shard_is_parsed_unchanged(entries: list[FileEntry], tail: bytes) -> None:
    written = [
        file_entry(file.hash, file.terms, file.range_hashes, file.sha256) for file in entries
    ]
    shard = parse_shard(shard_of(written, tail=tail))
    assert (
        list(shard.files)
        == entries
        == shard.files[:]
        == [shard.files[at] for at in range(len(entries))]
    )
    for file in entries:
        proofs = [file.range_hash(at) for at in range(len(file.terms))]
        assert b"".join(proofs) == file.range_hashes


@pytest.mark.parametrize("name", REAL)
def test_shards_of_real_clients_have_their_known_content(name: str) -> None:
    shown = VECTORS[name]
    shard = parse_shard(base64.b64decode(shown["bytes_b64"]))
    assert [_file(file) for file in shard.files] == [
        {key: file[key] for key in ("hash", "terms", "verification", "sha256")}
        for file in shown["files"]
    ]
    assert [_xorb(xorb) for xorb in shard.xorbs] == [
        (
            xorb["xorb"],
            xorb["num_bytes_in_cas"],
            [(chunk["hash"], chunk["unpacked_bytes"]) for chunk in xorb["chunks"]],
        )
        for xorb in shown["cas"]
    ]


def test_the_sha256_of_a_file_is_its_plain_hex_digest() -> None:
    shard = parse_shard(base64.b64decode(VECTORS["shard_hf_xet_1_8_0"]["bytes_b64"]))
    known = {file["sha256"] for file in VECTORS["files_in_shard"].values() if "sha256" in file}
    assert {file.sha256 for file in shard.files} == known
    [read] = parse_shard(GOOD).files
    assert read.sha256 == FILE.sha256


def test_range_hashes_of_a_real_client_prove_its_terms() -> None:
    stored = VECTORS["xorb_hf_xet_1_8_0"]
    receiver = XorbParser(stored["hash"], len)
    receiver.feed(base64.b64decode(stored["bytes_b64"]))
    index = receiver.finish()
    shard = parse_shard(base64.b64decode(VECTORS["shard_hf_xet_1_8_0"]["bytes_b64"]))
    for file in shard.files:
        for at, term in enumerate(file.terms):
            assert to_text(term.xorb) == stored["hash"]
            assert term.bytes == index.length(term.start, term.end)
            assert file.range_hash(at) == range_hash(index.hashes(term.start, term.end))
    [entry] = shard.xorbs
    assert entry.matches(index)


def test_a_xorb_matches_only_its_own_chunks() -> None:
    [entry] = parse_shard(GOOD).xorbs
    assert entry.matches(XORB.index)
    assert not entry.matches(a_xorb([b"first", b"second"]).index)
    assert not entry.matches(a_xorb([b"first", b"second", b"other"]).index)
    longer = bytearray(GOOD)
    at = GOOD.index(XORB.index.hash_at(1), len(MAGIC)) + 36
    longer[at] += 1  # its length
    [entry] = parse_shard(longer).xorbs
    assert not entry.matches(XORB.index)


def test_an_empty_file_is_read_as_one_without_terms() -> None:
    [read] = parse_shard(shard_of([EMPTY_FILE])).files
    assert (read.hash, len(read.terms), read.range_hashes) == (bytes(32), 0, b"")
    assert read.terms.size == 0


def test_a_file_may_come_without_a_sha256_and_twice() -> None:
    entry = file_entry(FILE.raw, FILE.terms, FILE.range_hashes)
    shard = parse_shard(shard_of([entry, entry]))
    assert [file.sha256 for file in shard.files] == [None, None]
    assert shard.files[0] == shard.files[1]


def test_the_tail_and_its_stated_length_do_not_matter() -> None:
    for size in (0, 200, (1 << 64) - 1):
        stated = GOOD[:40] + struct.pack("<Q", size) + GOOD[48:]
        for shard in (stated, stated[: -len(b"whatever stands behind")]):
            assert len(parse_shard(shard).files) == len(parse_shard(shard).xorbs) == 1


@pytest.mark.parametrize("length", range(0, len(GOOD) - len(b"whatever stands behind"), 7))
def test_a_truncated_shard_is_refused(length: int) -> None:
    with pytest.raises(ShardRefused):
        parse_shard(GOOD[:length])


def _count(number: int) -> bytes:
    """Write a file that states ``number`` terms and has one."""
    entry = bytearray(file_entry(FILE.raw, FILE.terms[:1], FILE.range_hashes[:32]))
    entry[36:40] = struct.pack("<I", number)
    return bytes(entry)


def _one(*term: int) -> bytes:
    return file_entry(FILE.raw, [Term(XORB.raw, *term)], bytes(32))


def _chunks(number: int) -> bytes:
    return struct.pack("<32s4I", XORB.raw, 0, number, 0, 0)


@pytest.mark.parametrize(
    ("shard", "reason"),
    {
        "nothing": (b"", "shorter than a header"),
        "other magic": (b"x" + GOOD[1:], "begin"),
        "version 3": (GOOD[:32] + b"\x03" + GOOD[33:], "begin"),
        "more terms than bytes": (shard_of([_count(300)]), "more entries than it has"),
        "2^32-1 terms": (shard_of([_count(0xFFFFFFFF)]), "xet_max_terms"),
        "more terms than allowed": (shard_of([_count(65_537)]), "xet_max_terms"),
        "no range hashes": (shard_of([file_entry(FILE.raw, FILE.terms, b"")]), "no range hashes"),
        "a name and no terms": (shard_of([file_entry(FILE.raw, [], b"")]), "has 0 terms"),
        "terms and no name": (
            shard_of([file_entry(bytes(32), FILE.terms, FILE.range_hashes)]),
            "has 2 terms",
        ),
        "no chunks": (shard_of([_one(3, 3, 5)]), "chunks 3 to 3"),
        "chunks backwards": (shard_of([_one(3, 2, 5)]), "chunks 3 to 2"),
        "chunks beyond any xorb": (shard_of([_one(0, 8193, 8193)]), "8193"),
        "fewer bytes than chunks": (shard_of([_one(0, 3, 2)]), "2 bytes"),
        "more bytes than a xorb": (shard_of([_one(0, 3, 0xFFFFFFFF)]), "4294967295 bytes"),
        "a xorb of no chunks": (shard_of([], [_chunks(0)]), "has 0 chunks"),
        "a xorb of too many": (shard_of([], [_chunks(8193)]), "has 8193 chunks"),
        "more chunks than bytes": (shard_of([], [_chunks(8192)]), "more entries than it has"),
        "one bookend": (MAGIC + struct.pack("<2Q", 2, 0) + BOOKEND, "second bookend"),
    }.values(),
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_an_invalid_shard_is_refused_with_the_reason(shard: bytes, reason: str) -> None:
    with pytest.raises(ShardRefused) as caught:
        parse_shard(shard)
    assert caught.value.message.startswith("The shard is refused: ")
    assert reason in caught.value.message


def test_all_files_of_a_shard_share_a_number_of_terms() -> None:
    many = file_entry(FILE.raw, FILE.terms * 30_000, FILE.range_hashes * 30_000)
    shard = shard_of([many] * (MAX_SHARD_TERMS // (60_000) + 1))
    with pytest.raises(ShardRefused, match=f"more than {MAX_SHARD_TERMS} terms in all"):
        parse_shard(shard)


def test_the_caller_sets_the_limits() -> None:
    shard = a_shard([FILE, FILE, FILE])
    assert len(parse_shard(shard, max_files=3, max_terms=2).files) == 3
    with pytest.raises(ShardRefused, match="3 files, more than 2"):
        parse_shard(shard, max_files=2)
    with pytest.raises(ShardRefused, match="2 terms, more than 1"):
        parse_shard(shard, max_terms=1)


@given(data=st.binary(max_size=400))
@example(data=b"\xff" * 400)
def test_any_bytes_after_a_header_are_parsed_or_refused(data: bytes) -> None:
    _read_or_refused(GOOD[:48] + data)


@given(flips=st.lists(st.tuples(st.integers(0, len(GOOD) * 8 - 1)), min_size=1, max_size=4))
def test_a_shard_with_flipped_bits_is_parsed_or_refused(flips: list[tuple[int]]) -> None:
    shard = bytearray(GOOD)
    for (bit,) in flips:
        shard[bit // 8] ^= 1 << bit % 8
    _read_or_refused(bytes(shard))


def _read_or_refused(data: bytes) -> None:
    try:
        shard = parse_shard(data)
    except ShardRefused:
        return
    for file in shard.files:
        assert len(file.range_hashes) == 32 * len(file.terms)
        assert file.terms.size == sum(term.bytes for term in file.terms)
    for xorb in shard.xorbs:
        assert len(xorb.hashes()) == 32 * len(xorb) == 32 * len(xorb.lengths())


@pytest.mark.parametrize(("count", "terms_each"), [(10_000, 69), (10, 60_000), (340_000, 1)])
def test_the_largest_shards_are_parsed(count: int, terms_each: int) -> None:
    shard = parse_shard(_large(count, terms_each))
    assert (len(shard.files), len(shard.files[-1].terms)) == (count, terms_each)


@pytest.mark.parametrize(("count", "terms_each"), [(100, 69), (1, 6000), (3400, 1)])
def test_parsing_a_shard_runs_a_bounded_number_of_lines_per_entry(
    count: int, terms_each: int
) -> None:
    data = _shard(count, terms_each)
    assert _lines_run(lambda: parse_shard(data)) < 10 * len(data) // len(BOOKEND)


@pytest.mark.parametrize(("count", "terms_each"), [(10_000, 69), (10, 60_000)])
def test_reading_the_largest_shards_needs_little_memory(count: int, terms_each: int) -> None:
    data = _large(count, terms_each)
    tracemalloc.start()
    try:
        size = sum(file.terms.size for file in parse_shard(data).files)
        assert tracemalloc.get_traced_memory()[1] < len(data) / 4
    finally:
        tracemalloc.stop()
    assert size == count * terms_each * XORB.index.unpacked


def _lines_run(call: Callable[[], object]) -> int:
    """Count the lines of Python that a call runs: a measure that load does not change."""
    lines = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return lines


def _shard(count: int, terms_each: int) -> bytes:
    """Write a shard of ``count`` files with ``terms_each`` terms."""
    entry = file_entry(
        FILE.raw, [XORB.term(0, 3)] * terms_each, bytes(32) * terms_each, FILE.sha256
    )
    return shard_of([entry] * count, [xorb_entry(XORB)])


def _large(count: int, terms_each: int) -> bytes:
    """Write a shard of about 64 MiB."""
    data = _shard(count, terms_each)
    assert 50 << 20 < len(data) < 70 << 20
    return data


def _file(file: FileEntry) -> dict[str, Any]:
    return {
        "hash": to_text(file.hash),
        "terms": [
            {
                "xorb": to_text(term.xorb),
                "unpacked_bytes": term.bytes,
                "start": term.start,
                "end": term.end,
            }
            for term in file.terms
        ],
        "verification": [to_text(file.range_hash(at)) for at in range(len(file.terms))],
        "sha256": file.sha256,
    }


def _xorb(xorb: XorbEntry) -> tuple[str, int, list[tuple[str, int]]]:
    hashes, lengths = xorb.hashes(), xorb.lengths()
    chunks = [
        (to_text(hashes[32 * at : 32 * at + 32]), length) for at, length in enumerate(lengths)
    ]
    return to_text(xorb.hash), xorb.unpacked, chunks
