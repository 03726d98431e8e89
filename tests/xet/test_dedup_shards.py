"""A deduplication response has exactly the chunks that the client may know."""

from __future__ import annotations

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubstead.xet import (
    KnownChunks,
    XorbParser,
    is_eligible,
    keyed_hash,
    parse_shard,
    to_raw,
    to_text,
    write_dedup_shard,
)
from tests.support.xet_files import a_xorb
from tests.xet.vectors import VECTORS

KEY = bytes(range(1, 33))
XORB = a_xorb([bytes([number]) * (number + 1) for number in range(9)])
FOOTER = struct.Struct("<9Q32s2Q48x4Q")


def answer(*known: KnownChunks) -> bytes:
    return write_dedup_shard(known, key=KEY, now=1_700_000_000, expiry=1_700_000_900)


def test_a_response_equals_one_that_real_clients_deduplicated_against() -> None:
    shown = VECTORS["dedup_response_accepted_by_clients"]
    accepted = base64.b64decode(shown["bytes_b64"])
    stored = VECTORS["xorb_hf_xet_1_8_0"]
    receiver = XorbParser(stored["hash"], len)
    receiver.feed(base64.b64decode(stored["bytes_b64"]))
    index = receiver.finish()
    now, expiry = struct.unpack_from("<2Q", accepted, len(accepted) - 96)
    expected = bytearray(
        write_dedup_shard(
            [KnownChunks(to_raw(stored["hash"]), index, [(0, len(index))])],
            key=bytes.fromhex(shown["hmac_key_hex"]),
            now=now,
            expiry=expiry,
        )
    )
    stored_bytes = 96 + 44  # the one field that clients do not need, and that the hub leaves 0
    expected[stored_bytes : stored_bytes + 4] = accepted[stored_bytes : stored_bytes + 4]
    assert _flagless(bytes(expected)) == _flagless(accepted)


def _flagless(shard: bytes) -> bytes:
    """Remove the flags of chunks and the sums of the footer, which clients ignore."""
    [xorb] = parse_shard(shard).xorbs
    data = bytearray(shard)
    for at in range(len(xorb)):
        data[144 + 48 * at + 40 : 144 + 48 * at + 44] = bytes(4)
    data[-32:-8] = bytes(24)
    return bytes(data)


@given(readable=st.lists(st.tuples(st.integers(0, 8), st.integers(1, 9)), max_size=3))
def test_only_visible_chunks_are_listed(readable: list[tuple[int, int]]) -> None:
    readable = [(start, end) for start, end in readable if start < end]
    shard = parse_shard(answer(KnownChunks(XORB.raw, XORB.index, readable)))
    visible = {at for start, end in readable for at in range(start, end)}
    assert len(shard.xorbs) == bool(visible)
    for xorb in shard.xorbs:
        assert xorb.hash == XORB.raw
        assert len(xorb) == max(visible) + 1
        hashes, lengths = xorb.hashes(), xorb.lengths()
        for at in range(len(xorb)):
            shown = hashes[32 * at : 32 * at + 32]
            assert (shown == keyed_hash(KEY, XORB.index.hash_at(at))) == (at in visible)
            assert at not in visible or lengths[at] == XORB.index.length(at, at + 1)


def test_hidden_chunks_are_indistinguishable_and_differ_between_responses() -> None:
    seen = set()
    for _ in range(3):
        [xorb] = parse_shard(answer(KnownChunks(XORB.raw, XORB.index, [(8, 9)]))).xorbs
        seen |= {xorb.hashes()[32 * at : 32 * at + 32] for at in range(8)}
        assert len(set(xorb.lengths()[:8])) == 1
    assert len(seen) == 3 * 8


def test_chunks_are_contiguous_as_clients_compute_lengths() -> None:
    data = answer(KnownChunks(XORB.raw, XORB.index, [(2, 4), (6, 8)]))
    [xorb] = parse_shard(data).xorbs
    starts = [struct.unpack_from("<I", xorb.chunks, 48 * at + 32)[0] for at in range(len(xorb))]
    lengths = list(xorb.lengths())
    assert starts == [sum(lengths[:at]) for at in range(len(lengths))]
    assert xorb.unpacked == sum(lengths)


def test_no_hash_of_a_chunk_is_disclosed_in_clear() -> None:
    data = answer(KnownChunks(XORB.raw, XORB.index, [(0, 9)]))
    for at in range(9):
        assert XORB.index.hash_at(at) not in data
    for key in (bytes(32), b"short"):
        with pytest.raises(ValueError, match="clear"):
            write_dedup_shard([], key=key, now=0, expiry=0)


def test_the_footer_misleads_no_client() -> None:
    for data in (answer(), answer(KnownChunks(XORB.raw, XORB.index, [(0, 9)]))):
        assert struct.unpack_from("<Q", data, 40) == (200,)
        at = len(data) - 200
        fields = FOOTER.unpack_from(data, at)
        assert fields[:3] == (1, 48, 96)
        assert fields[3:9] == (at, 0) * 3  # zero offsets make hf_xet allocate without limit
        assert fields[9:] == (KEY, 1_700_000_000, 1_700_000_900, 0, 0, 0, at)


def test_chunks_that_clients_query_are_marked() -> None:
    data = answer(KnownChunks(XORB.raw, XORB.index, [(0, 9)], first=[3]))
    [xorb] = parse_shard(data).xorbs
    marks = [struct.unpack_from("<I", xorb.chunks, 48 * at + 40)[0] for at in range(9)]
    asked_for = [at == 3 or is_eligible(XORB.index.hash_at(at)) for at in range(9)]
    assert [mark == 1 << 31 for mark in marks] == asked_for


@given(raw=st.binary(min_size=32, max_size=32))
def test_clients_query_one_chunk_in_a_thousand(raw: bytes) -> None:
    assert is_eligible(raw) == (int(to_text(raw)[48:], 16) % 1024 == 0)
    assert is_eligible(raw[:24] + bytes([0, raw[25] & 0xFC]) + raw[26:])
