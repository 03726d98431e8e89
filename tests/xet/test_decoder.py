"""Stored records are decoded to their chunks."""

from __future__ import annotations

import base64
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubstead.errors import BlobCorrupt
from hubstead.xet import chunk_hash, decode_records, encode_record, to_text
from hubstead.xet.records import grouped, ungrouped
from tests.xet.vectors import VECTORS
from tests.xet.wire_xorbs import FRAMES, GROUPED, LZ4, PLAIN, header, record

CHUNK = st.binary(min_size=1, max_size=300) | st.builds(
    lambda piece, times: (piece * times)[:131072],
    st.binary(min_size=1, max_size=40),
    st.integers(1, 4000),
)


@given(st.lists(st.tuples(CHUNK, st.sampled_from([PLAIN, LZ4, GROUPED]), st.sampled_from(FRAMES))))
@settings(deadline=None)
def test_records_of_every_legal_form_are_decoded(
    records: list[tuple[bytes, int, dict[str, object]]],
) -> None:
    body = b"".join(record(*fields) for fields in records)
    for buffer in (body, memoryview(body)):
        assert list(map(bytes, decode_records(buffer))) == [chunk for chunk, _, _ in records]


def test_a_real_xorb_is_decoded_in_any_whole_part() -> None:
    real = VECTORS["xorb_hf_xet_1_8_0"]
    body = base64.b64decode(real["bytes_b64"])
    for start, noted in enumerate(real["chunks"]):
        chunks = list(decode_records(memoryview(body)[noted["offset"] :]))
        names = [to_text(chunk_hash(chunk)) for chunk in chunks]
        assert names == [chunk["hash"] for chunk in real["chunks"][start:]]


def test_a_plain_chunk_is_not_copied() -> None:
    body = bytearray(record(b"before"))
    chunk = next(iter(decode_records(body)))
    body[-6:] = b"behind"
    assert chunk == b"behind"


@given(st.lists(CHUNK, min_size=1, max_size=4), st.integers(0, 1 << 30))
@settings(deadline=None)
def test_a_store_that_lost_bytes_is_reported_as_corrupt(chunks: list[bytes], length: int) -> None:
    records = [encode_record(chunk) for chunk in chunks]
    body = b"".join(records)[: length % sum(map(len, records))]
    whole = sum(len(b"".join(records[:count])) <= len(body) for count in range(1, len(records)))
    if body == b"".join(records[:whole]):
        assert list(map(bytes, decode_records(body))) == chunks[:whole]
    else:
        with pytest.raises(BlobCorrupt):
            list(decode_records(body))


@pytest.mark.parametrize(
    "body",
    [
        header(4, PLAIN, 5) + b"four",
        header(4, PLAIN, 4, version=1) + b"four",
        header(4, 7, 4) + b"four",
        header(9, LZ4, 4) + b"no frames",
        header(0, PLAIN, 0),
        b"XETBLOB\1" + bytes(90),
    ],
)
def test_a_store_that_returns_other_bytes_is_reported_as_corrupt(body: bytes) -> None:
    with pytest.raises(BlobCorrupt, match="whole records"):
        list(decode_records(record(b"right") + body))


@pytest.mark.parametrize("case", VECTORS["byte_grouping4"], ids=lambda case: case["input_hex"])
def test_bytes_are_grouped_as_clients_group_them(case: dict[str, str]) -> None:
    chunk, groups = bytes.fromhex(case["input_hex"]), bytes.fromhex(case["grouped_hex"])
    assert grouped(chunk) == groups
    assert ungrouped(bytearray(groups)) == chunk


@given(st.binary(max_size=70))
def test_ungrouping_undoes_grouping(chunk: bytes) -> None:
    assert ungrouped(bytearray(grouped(chunk))) == chunk
    assert grouped(memoryview(chunk)) == grouped(chunk)


@given(CHUNK)
@settings(deadline=None)
def test_an_encoded_chunk_is_decoded_and_never_grows_by_more_than_its_header(chunk: bytes) -> None:
    for buffer in (chunk, memoryview(chunk), bytearray(chunk)):
        body = encode_record(buffer)
        assert len(body) <= len(chunk) + 8
        assert b"".join(decode_records(body)) == chunk


TEXT = b"".join(b"row %d is %d\n" % (at, at * at) for at in range(5000))[:65536]
NUMBERS = struct.pack("<16384f", *(random.Random(at).gauss(0, 0.02) for at in range(16384)))
NOISE = random.Random(0).randbytes(65536)


@pytest.mark.parametrize(
    ("chunk", "scheme", "least"),
    [
        (TEXT, LZ4, 0.4),
        (NUMBERS, GROUPED, 0.05),
        (NOISE, PLAIN, 0),
        (bytes(131072), LZ4, 0.99),
        (TEXT[:20000] + NOISE, LZ4, 0.1),
        (b"x", PLAIN, 0),
    ],
    ids=["text", "numbers", "noise", "zeros", "both", "one byte"],
)
def test_every_kind_of_content_gets_its_best_scheme(
    chunk: bytes, scheme: int, least: float
) -> None:
    body = encode_record(chunk)
    assert body[4] == scheme
    assert 1 - (len(body) - 8) / len(chunk) >= least


@pytest.mark.parametrize("size", [0, 131073])
def test_an_invalid_chunk_is_not_encoded(size: int) -> None:
    with pytest.raises(ValueError, match="1 to 131072"):
        encode_record(bytes(size))
