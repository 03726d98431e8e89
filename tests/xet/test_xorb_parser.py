"""A valid xorb is accepted in any pieces, and an invalid one refused."""

from __future__ import annotations

import base64
import itertools
import random
import struct
import tracemalloc
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import lz4.frame
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubstead.errors import InvalidInput
from hubstead.xet import (
    MAX_STORED_BYTES,
    XorbIndex,
    XorbParser,
    XorbRefused,
    decode_records,
    encode_record,
    to_raw,
    to_text,
)
from tests.xet.vectors import VECTORS
from tests.xet.wire_xorbs import (
    FRAMES,
    GROUPED,
    LZ4,
    PLAIN,
    footer,
    header,
    name_of,
    record,
    running,
    stream,
)

CHUNK = st.one_of(
    st.binary(min_size=1, max_size=100),
    st.builds(lambda piece, times: piece * times, st.binary(min_size=1), st.integers(1, 4000)),
).map(lambda chunk: chunk[:131072])
CUTS = st.lists(st.integers(0, 1 << 30), max_size=12)
RECORDS = st.lists(
    st.tuples(CHUNK, st.sampled_from([PLAIN, LZ4, GROUPED]), st.sampled_from(FRAMES)),
    min_size=1,
    max_size=6,
)


def receive(name: str, pieces: Iterable[bytes | memoryview]) -> tuple[XorbIndex, bytes]:
    """Send a xorb in pieces; return its index and the bytes to store."""
    written = bytearray()
    index = feed_all(XorbParser(name, written.extend), pieces)
    return index, bytes(written)


def feed_all(receiver: XorbParser, pieces: Iterable[bytes | memoryview]) -> XorbIndex:
    for piece in pieces:
        receiver.feed(piece)
    return receiver.finish()


def in_pieces(body: bytes, cuts: Iterable[int]) -> list[bytes]:
    edges = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return [body[start:end] for start, end in itertools.pairwise(edges)]


def every(body: bytes, step: int) -> Iterable[memoryview]:
    """Yield views whose bytes are overwritten as soon as the next one is requested."""
    for at in range(0, len(body), step):
        piece = bytearray(body[at : at + step])
        yield memoryview(piece)
        piece[:] = b"\xaa" * len(piece)


def refused(name: str, body: bytes, because: str) -> bytes:
    """Send an invalid xorb, whole and byte by byte; return the bytes written before the refusal."""
    written = bytearray()
    for step in (len(body) or 1, 1) if len(body) < 5000 else (len(body), 65536):
        written.clear()
        receiver = XorbParser(name, written.extend)
        with pytest.raises(XorbRefused, match=because):
            feed_all(receiver, every(body, step))
    return bytes(written)


REAL = VECTORS["xorb_hf_xet_1_8_0"]
REAL_BODY = base64.b64decode(REAL["bytes_b64"])


@pytest.mark.parametrize("step", [1, 7, 4096, 65536, 4 << 20])
def test_a_real_xorb_is_accepted_in_pieces_of_any_size(step: int) -> None:
    index, written = receive(REAL["hash"], every(REAL_BODY, step))
    assert written == REAL_BODY
    assert [
        (to_text(index.hash_at(at)), index.span(at, at + 1)[0], index.length(at, at + 1))
        for at in range(len(index))
    ] == [(chunk["hash"], chunk["offset"], chunk["uncompressed_len"]) for chunk in REAL["chunks"]]
    assert index.size == len(REAL_BODY)


@pytest.mark.parametrize("step", [1, 9008, 9009, 9010, 9016, 1 << 20])
def test_the_footer_of_hf_xet_1_0_0_is_accepted_and_dropped(step: int) -> None:
    vector = VECTORS["xorb_with_v1_footer_hf_xet_1_0_0"]
    records = bytes.fromhex(vector["chunk_header_hex"]) + stream(9001)
    index, written = receive(
        vector["hash"], every(records + bytes.fromhex(vector["footer_hex"]), step)
    )
    assert written == records
    assert index.size == vector["footer_offset"]
    trailer = footer(to_raw(vector["hash"]), [records], [stream(9001)])
    assert trailer.hex() == vector["footer_hex"]


@given(RECORDS, CUTS, st.sampled_from([None, 0, 1]))
@settings(deadline=None)
def test_any_chunks_in_any_legal_form_and_pieces_are_accepted(
    fields: list[tuple[bytes, int, dict[str, object]]], cuts: list[int], version: int | None
) -> None:
    chunks = [chunk for chunk, _, _ in fields]
    records = [record(chunk, scheme, frame) for chunk, scheme, frame in fields]
    name = name_of(chunks)
    tail = b"" if version is None else footer(to_raw(name), records, chunks, version)
    index, written = receive(name, in_pieces(b"".join(records) + tail, cuts))
    assert written == b"".join(records)
    assert [index.span(at, at + 1)[1] for at in range(len(index))] == running(records)
    assert [index.offset(at + 1) for at in range(len(index))] == running(chunks)
    assert list(map(bytes, decode_records(written))) == chunks


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 65535, 65536, 65537, 131071, 131072])
def test_chunks_as_long_as_blocks_are_accepted(size: int, frame: dict[str, object]) -> None:
    for chunk in (bytes(size), random.Random(size).randbytes(size)):
        for scheme in (LZ4, GROUPED):
            index, _ = receive(name_of([chunk]), [record(chunk, scheme, frame)])
            assert index.unpacked == size


@given(RECORDS, st.integers(0, 1 << 30), CUTS)
@settings(deadline=None)
def test_a_wrong_bit_is_refused_or_changes_no_chunk(
    fields: list[tuple[bytes, int, dict[str, object]]], bit: int, cuts: list[int]
) -> None:
    chunks = [chunk for chunk, _, _ in fields]
    records = [record(*args) for args in fields]
    damaged = bytearray(b"".join(records))
    damaged[bit // 8 % len(damaged)] ^= 1 << bit % 8
    written = bytearray()
    receiver = XorbParser(name_of(chunks), written.extend)
    try:
        feed_all(receiver, in_pieces(bytes(damaged), cuts))
    except XorbRefused:
        assert damaged.startswith(written)
    else:
        # LZ4 has several encodings of the same bytes.
        assert list(map(bytes, decode_records(bytes(written)))) == chunks


@given(RECORDS, st.integers(0, 1 << 30), CUTS)
@settings(deadline=None)
def test_a_truncated_xorb_is_refused(
    fields: list[tuple[bytes, int, dict[str, object]]], length: int, cuts: list[int]
) -> None:
    body = b"".join(record(*args) for args in fields)
    with pytest.raises(XorbRefused):
        receive(
            name_of([chunk for chunk, _, _ in fields]), in_pieces(body[: length % len(body)], cuts)
        )


@given(RECORDS, st.binary(min_size=1, max_size=300), CUTS)
@settings(deadline=None)
def test_bytes_after_the_records_are_refused(
    fields: list[tuple[bytes, int, dict[str, object]]], tail: bytes, cuts: list[int]
) -> None:
    body = b"".join(record(*args) for args in fields)
    with pytest.raises(XorbRefused):
        receive(name_of([chunk for chunk, _, _ in fields]), in_pieces(body + tail, cuts))


@given(st.binary(max_size=400), CUTS)
def test_other_bytes_are_refused(body: bytes, cuts: list[int]) -> None:
    with pytest.raises(XorbRefused):
        receive("0" * 64, in_pieces(body, cuts))


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 0, 0, 1, 88]),
            st.integers(0, (1 << 24) - 1) | st.integers(0, 9),
            st.integers(0, 4) | st.just(99),
            st.integers(0, (1 << 24) - 1) | st.integers(0, 9),
            st.binary(max_size=9),
        )
    )
)
def test_other_records_are_refused(fields: list[tuple[int, int, int, int, bytes]]) -> None:
    body = b"".join(
        header(data, scheme, size, ver) + rest for ver, data, scheme, size, rest in fields
    )
    with pytest.raises(XorbRefused):
        receive("f" * 64, [body])


@pytest.mark.parametrize(
    ("body", "because"),
    [
        (b"", "no chunk"),
        (header(0, PLAIN, 0), "1 to 131072 bytes, not 0"),
        (record(bytes(4), LZ4).replace(b"\4\0\0", bytes(3), 1), "1 to 131072 bytes, not 0"),
        (header(131073, PLAIN, 131073), "1 to 131072 bytes, not 131073"),
        (header(262145, LZ4, 131072), "at most 262144 bytes, not 262145"),
        (header(4, PLAIN, 4, version=1) + b"four", "version 0, not 1"),
        (header(4, 3, 4) + b"four", "no compression scheme 3"),
        (header(4, 99, 4) + b"four", "no compression scheme 99"),
        (header(4, PLAIN, 5) + b"four", "5 bytes is stored plain in 4"),
        (header(8, LZ4, 4) + b"fourfour", "not an LZ4 frame"),
        (header(0, LZ4, 4), "does not hold 4"),
        (b"XETBLOX" + bytes(20), "version 0, not 88"),
        (b"XETBLOB", "in the middle"),
        (b"XETBLOB\1", "no chunk"),
    ],
)
def test_unusual_records_are_refused_with_a_reason(body: bytes, because: str) -> None:
    assert refused("0" * 64, body, because) == b""


def framed(data: bytes, size: int, scheme: int = LZ4) -> bytes:
    return header(len(data), scheme, size) + data


FRAME = lz4.frame.compress(b"abcd" * 50, store_size=False)
SKIPPED = struct.pack("<II", 0x184D2A50, 4) + b"skip"


@pytest.mark.parametrize("scheme", [LZ4, GROUPED])
@pytest.mark.parametrize(
    ("data", "because"),
    [
        (FRAME + b"\0", "more after the LZ4 frame"),
        (FRAME + FRAME, "more after the LZ4 frame"),
        (FRAME + SKIPPED, "more after the LZ4 frame"),
        (SKIPPED + FRAME, "does not hold"),
        (SKIPPED, "does not hold"),
        (FRAME[:-4], "does not hold"),
        (FRAME[:-1], "does not hold"),
        (FRAME[:10], "does not hold"),
        (b"\x02\x21\x4c\x18" + FRAME[4:], "not an LZ4 frame"),
    ],
)
def test_a_chunk_is_exactly_one_frame(data: bytes, because: str, scheme: int) -> None:
    name = name_of([b"abcd" * 50])
    assert refused(name, framed(data, 200, scheme), because) == b""


@pytest.mark.parametrize("stated", [199, 201, 1])
def test_a_frame_of_another_size_than_stated_is_refused(stated: int) -> None:
    refused(name_of([b"abcd" * 50]), framed(FRAME, stated), "does not hold")


def test_a_frame_that_would_fill_the_memory_is_refused_before_it_does() -> None:
    bomb = lz4.frame.compress(bytes(60_000_000), block_size=lz4.frame.BLOCKSIZE_MAX4MB)
    assert len(bomb) < 262_144
    tracemalloc.start()
    try:
        refused("0" * 64, framed(bomb, 131072), "does not hold 131072")
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


def test_a_checksum_in_a_frame_is_checked() -> None:
    frame = bytearray(lz4.frame.compress(b"x" * 64, content_checksum=True))
    frame[-1] ^= 1
    refused(name_of([b"x" * 64]), framed(bytes(frame), 64), "not an LZ4 frame")


def test_8192_chunks_are_accepted_and_one_more_is_refused() -> None:
    one = record(b"x")
    index, _ = receive(name_of([b"x"] * 8192), [one * 8192])
    assert len(index) == 8192
    refused(name_of([b"x"] * 8193), one * 8193, "more than 8192 chunks")


def test_64_mib_of_chunks_are_accepted_and_one_byte_more_is_refused() -> None:
    zeros = bytes(131072)
    full = record(zeros, LZ4) * 512
    index, _ = receive(name_of([zeros] * 512), [full])
    assert index.unpacked == 64 << 20
    written = refused("0" * 64, full + record(b"x"), "more than 67108864 bytes")
    assert full.startswith(written)


def test_the_largest_incompressible_xorb_is_accepted() -> None:
    """8192 chunks of 8 KiB, each with its header: more than 64 MiB as stored."""
    chunk = stream(8192)
    index, _ = receive(name_of([chunk] * 8192), [record(chunk)] * 8192)
    assert index.size == MAX_STORED_BYTES


def test_records_that_grew_by_compression_are_refused_beyond_the_limit() -> None:
    grown = record(stream(8192), LZ4)
    assert len(grown) > 8200
    with pytest.raises(XorbRefused, match=f"more than {MAX_STORED_BYTES} bytes"):
        feed_all(XorbParser("0" * 64, len), [grown] * 8192)


def test_another_name_is_refused() -> None:
    body = record(b"one") + record(b"two")
    for chunks in ([b"one"], [b"two", b"one"], [b"onetwo"], []):
        refused(name_of(chunks), body, "its name")


@pytest.mark.parametrize("name", ["", "f" * 63, "F" * 64, "../" + "f" * 61])
def test_a_name_that_is_not_a_hash_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        XorbParser(name, len)


CHUNKS = [b"one", b"three" * 40]
WHOLE = [record(CHUNKS[0]), record(CHUNKS[1], LZ4)]
BODY = b"".join(WHOLE)
NAME = name_of(CHUNKS)


@pytest.mark.parametrize("version", [0, 1])
def test_a_footer_is_refused_unless_it_is_complete_and_last(version: int) -> None:
    tail = footer(to_raw(NAME), WHOLE, CHUNKS, version)
    assert receive(NAME, [BODY, tail])[1] == BODY
    for length in range(1, len(tail)):
        with pytest.raises(XorbRefused):
            receive(NAME, [BODY + tail[:length]])
    for more in (b"\0", bytes(8), record(b"more"), tail, bytes(100_000)):
        refused(NAME, BODY + tail + more, "footer")


@pytest.mark.parametrize("version", [0, 1])
def test_the_footer_of_another_xorb_is_refused(version: int) -> None:
    other = to_raw(name_of(CHUNKS[:1]))
    refused(NAME, BODY + footer(other, WHOLE, CHUNKS, version), "another xorb")
    refused(NAME, BODY + footer(to_raw(NAME), WHOLE[:1], CHUNKS[:1], version), "footer")


def test_a_footer_of_an_unknown_version_is_refused() -> None:
    tail = footer(to_raw(NAME), WHOLE, CHUNKS)
    refused(NAME, BODY + tail[:7] + b"\2" + tail[8:], "version 2")


def test_a_footer_without_chunks_is_refused() -> None:
    refused("0" * 64, footer(bytes(32), [], []), "no chunk")


def test_no_byte_of_a_record_is_written_before_its_check() -> None:
    bad = framed(FRAME + b"\0", 200)
    assert refused("0" * 64, record(b"good") + bad, "chunk 1: there is more") in (
        b"",
        record(b"good"),
    )


def test_the_parser_buffers_little_of_a_long_body() -> None:
    chunks = [random.Random(at).randbytes(131072) for at in range(8)]
    name = name_of(chunks * 20)
    body = b"".join(map(encode_record, chunks))
    for step in (1000, 65536, len(body)):
        receiver = XorbParser(name, len)
        tracemalloc.start()
        try:
            for _ in range(20):
                for at in range(0, len(body), step):
                    receiver.feed(memoryview(body)[at : at + step])
            receiver.finish()
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()


def test_parsers_in_several_threads_are_independent() -> None:
    def one(seed: int) -> bool:
        chunks = [random.Random(seed + at).randbytes(500) * 40 for at in range(30)]
        records = [record(chunk, GROUPED) for chunk in chunks]
        return receive(name_of(chunks), every(b"".join(records), 333))[1] == b"".join(records)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(8)))
