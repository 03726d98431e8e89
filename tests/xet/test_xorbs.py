"""An index describes the chunks of a xorb."""

from __future__ import annotations

import itertools
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubstead.xet import XorbIndex, merkle_root
from tests.support.xet_files import a_xorb
from tests.xet.wire_xorbs import record, running

CHUNKS = st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=12)


def an_index(chunks: list[bytes]) -> XorbIndex:
    records = [record(chunk) for chunk in chunks]
    hashes = b"".join(bytes([at]) * 32 for at in range(len(chunks)))
    return XorbIndex(hashes, array("I", [0, *running(records)]), array("I", [0, *running(chunks)]))


@given(CHUNKS)
def test_spans_offsets_and_lengths_equal_those_of_the_chunks(chunks: list[bytes]) -> None:
    index = an_index(chunks)
    records = [record(chunk) for chunk in chunks]
    body, content = b"".join(records), b"".join(chunks)
    assert (len(index), index.size, index.unpacked) == (len(chunks), len(body), len(content))
    for start, end in itertools.combinations_with_replacement(range(len(chunks) + 1), 2):
        first, stop = index.span(start, end)
        assert body[first:stop] == b"".join(records[start:end])
        assert index.length(start, end) == len(b"".join(chunks[start:end]))
        assert index.offset(end) == len(b"".join(chunks[:end]))
        assert index.hashes(start, end) == b"".join(map(index.hash_at, range(start, end)))


@given(CHUNKS)
def test_an_offset_leads_to_its_chunk(chunks: list[bytes]) -> None:
    index = an_index(chunks)
    holders = [at for at, chunk in enumerate(chunks) for _ in chunk]
    assert [index.chunk_at(offset) for offset in range(index.unpacked)] == holders


@given(CHUNKS)
def test_an_index_is_packed_in_forty_bytes_a_chunk_and_unpacked(chunks: list[bytes]) -> None:
    index = an_index(chunks)
    packed = index.pack()
    assert len(packed) == 40 * len(chunks)
    again = XorbIndex.unpack(packed)
    assert again == index
    assert hash(again) == hash(index)
    assert again.size == index.size
    assert list(again.leaves()) == list(index.leaves())


def test_the_packed_form_does_not_depend_on_the_processor() -> None:
    packed = an_index([b"abc", b"de"]).pack()
    assert packed[64:].hex() == "0b00000015000000" + "0300000005000000"


@pytest.mark.parametrize("size", [0, 1, 39, 41, 79])
def test_other_bytes_are_not_an_index(size: int) -> None:
    with pytest.raises(ValueError, match="no index"):
        XorbIndex.unpack(bytes(size))


@given(CHUNKS, st.data())
def test_leaves_of_a_part_give_the_name_of_that_part(
    chunks: list[bytes], data: st.DataObject
) -> None:
    xorb = a_xorb(chunks)
    start = data.draw(st.integers(0, len(chunks)))
    end = data.draw(st.integers(start, len(chunks)))
    assert list(xorb.index.leaves(start, end)) == list(xorb.index.leaves())[start:end]
    assert xorb.index.name() == merkle_root(xorb.index.leaves()) == xorb.raw


def test_indexes_of_different_xorbs_are_different() -> None:
    assert an_index([b"ab", b"c"]) != an_index([b"a", b"bc"])
    assert an_index([b"ab"]) != "ab"
