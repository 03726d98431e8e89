"""Headers of model files with any content are read, or refused with a reason, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubstead.formats import (
    GgufArray,
    HeaderBytes,
    IncompleteHeader,
    UnreadableHeader,
    parse_gguf,
    parse_safetensors,
    read_header,
)
from tests.support.models import U32, U64, gguf, gguf_string, llama, safetensors

Parse = Callable[[HeaderBytes, int], Any]
SHAPES = st.lists(st.integers(0, 5), max_size=3)
NAMES = st.text(max_size=8).filter(lambda name: name != "__metadata__")
TENSORS = st.dictionaries(NAMES, st.tuples(st.sampled_from(["F32", "BF16", "U8"]), SHAPES))
VALUES: st.SearchStrategy[object] = st.one_of(
    st.booleans(),
    st.integers(-(1 << 31), (1 << 32) - 1),
    st.floats(width=32, allow_nan=False),
    st.text(),
    st.lists(st.text(max_size=4), max_size=5),
    st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=3),
)
METADATA = st.dictionaries(st.text(max_size=12), VALUES, max_size=6)
FILES = [
    (parse_safetensors, safetensors({"a": ("F32", (2, 3)), "b": ("BF16", ())}, {"format": "pt"})),
    (parse_gguf, llama()),
]


@dataclass
class Bytes:
    """A source that counts the bytes read from it."""

    data: bytes
    reads: list[tuple[int, int]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.data)

    async def chunks(self, start: int, count: int) -> AsyncIterator[bytes]:
        self.reads.append((start, count))
        for at in range(start, start + count, 7):
            yield self.data[at : min(at + 7, start + count)]


@given(TENSORS, st.none() | st.dictionaries(st.text(), st.text()))
def test_a_safetensors_header_is_read_as_written(
    tensors: dict[str, tuple[str, list[int]]], metadata: dict[str, str] | None
) -> None:
    data = safetensors(tensors, metadata)
    header = parse_safetensors(data, len(data))
    assert {name: (t.dtype, list(t.shape)) for name, t in header.tensors.items()} == tensors
    assert header.metadata == (metadata or {})
    assert sum(header.parameters().values()) == sum(t.elements for t in header.tensors.values())


@given(METADATA, st.dictionaries(st.text(max_size=9), SHAPES, max_size=4), st.sampled_from([2, 3]))
def test_a_gguf_header_is_read_as_written(
    metadata: dict[str, object], tensors: dict[str, list[int]], version: int
) -> None:
    data = gguf(metadata, tensors, version=version)
    header = parse_gguf(data, len(data))
    assert header.version == version
    assert header.tensors == len(tensors)
    for key, value in metadata.items():
        read = header.metadata[key]
        if isinstance(value, list):
            assert isinstance(read, GgufArray)
            assert read.length == len(value)
        else:
            assert read == value
            assert isinstance(read, bool) == isinstance(value, bool)


def test_the_parameters_of_a_gguf_header_are_summed() -> None:
    data = llama()
    header = parse_gguf(data, len(data))
    assert header.parameters == 64 * 300 + 64 * 120
    assert (header.bos_token, header.eos_token) == ("<s>", "</s>")
    assert header.text("general.architecture") == "llama"
    assert header.integer("llama.context_length") == 4096
    assert header.integer("general.architecture") is None


@pytest.mark.parametrize(("parse", "data"), FILES)
def test_a_header_that_is_cut_anywhere_is_incomplete(parse: Parse, data: bytes) -> None:
    for end in range(len(data)):
        with suppress(IncompleteHeader):
            parse(data[:end], len(data))
        with pytest.raises((IncompleteHeader, UnreadableHeader)):
            parse(data[: end // 4], end // 4)


@pytest.mark.parametrize(("parse", "data"), FILES)
@given(changes=st.dictionaries(st.integers(0, 300), st.integers(0, 255), max_size=6))
def test_no_bytes_cause_a_fault(parse: Parse, data: bytes, changes: dict[int, int]) -> None:
    changed = bytearray(data)
    for at, value in changes.items():
        changed[at % len(data)] = value
    with suppress(UnreadableHeader, IncompleteHeader):
        parse(bytes(changed), len(changed))


@given(st.sampled_from(FILES), st.integers(0, 3), st.binary(max_size=200))
def test_no_random_tail_causes_a_fault(file: tuple[Parse, bytes], start: int, tail: bytes) -> None:
    parse, data = file
    data = data[: start * 8] + tail
    with suppress(UnreadableHeader, IncompleteHeader):
        parse(data, len(data))


@pytest.mark.parametrize(("parse", "data"), FILES)
@given(first=st.integers(1, 500))
def test_a_header_is_read_in_growing_pieces(parse: Parse, data: bytes, first: int) -> None:
    source = Bytes(data + bytes(5000))
    header = asyncio.run(read_header(source, parse, first_bytes=first))
    assert header == parse(data + bytes(5000), source.size)
    starts = [start for start, _count in source.reads]
    assert starts == sorted(set(starts))
    assert len(starts) <= 12
    assert sum(count for _start, count in source.reads) <= max(first, 2 * len(data))


def _huge(count: int) -> bytes:
    return b"GGUF" + U32.pack(3) + U64.pack(0) + U64.pack(1) + gguf_string("k") + _array(8, count)


def _array(type_: int, count: int) -> bytes:
    return U32.pack(9) + U32.pack(type_) + U64.pack(count)


NESTED = b"".join([_array(9, 1)] + [U32.pack(9) + U64.pack(1)] * 6)
KEY = b"GGUF" + U32.pack(3) + U64.pack(0) + U64.pack(1) + gguf_string("k")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GGML" + bytes(40), "does not begin"),
        (gguf({}, version=1), "version 1"),
        (b"GGUF" + (3).to_bytes(4, "big") + bytes(16), "another byte order"),
        (b"GGUF" + U32.pack(3) + U64.pack(1 << 60) + U64.pack(0), "tensors are more"),
        (b"GGUF" + U32.pack(3) + U64.pack(0) + U64.pack(1 << 60), "keys are more"),
        (_huge(1 << 63), "more than 4000000 elements"),
        (KEY + _array(0, 1 << 63) + bytes(64), "ends inside"),
        (KEY + NESTED, "nested too deeply"),
        (KEY + U32.pack(8) + U64.pack(1 << 31) + bytes(64), "bytes of a string are more"),
        (KEY + U32.pack(99), "unknown type 99"),
        (gguf({"k": "v"}, {"t": [1] * 9}), "9 dimensions"),
        (
            gguf({str(n): "x" * (4 << 20) for n in range(5)}),
            "strings have more than 16777216",
        ),
        (gguf({}, {"t": [(1 << 32) - 1, 1 << 31, 4]}), "more elements than a file"),
        (KEY[:-17] + U64.pack(2) + (gguf_string("k") + U32.pack(7) + b"\1") * 2, "occurs twice"),
    ],
)
def test_a_hostile_gguf_header_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableHeader, match=reason):
        parse_gguf(data, len(data))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"[]", "what it should be"),
        (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}', "another size"),
        (b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}', "outside"),
        (b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', "no valid shape"),
        (b'{"a":{"dtype":"","shape":[],"data_offsets":[0,4]}}', "outside"),
        (b'{"a":{"dtype":"X","shape":[4611686018427387904,2],"data_offsets":[0,4]}}', "size"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "what it should be"),
        (b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,4]}}', "should be"),
        (b'{"__metadata__":{"a":1}}', "what it should be"),
    ],
)
def test_a_hostile_safetensors_header_is_refused(header: bytes, reason: str) -> None:
    data = U64.pack(len(header)) + header + bytes(8)
    with pytest.raises(UnreadableHeader, match=reason):
        parse_safetensors(data, len(data))


def test_only_so_many_tensors_are_read() -> None:
    entry = b'"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},'
    header = b"{" + b"".join(entry % n for n in range(131_073))[:-1] + b"}"
    with pytest.raises(UnreadableHeader, match="131073 tensors are more"):
        parse_safetensors(U64.pack(len(header)) + header, len(header) + 8)


def test_a_length_beyond_the_file_is_refused_before_any_read() -> None:
    source = Bytes(U64.pack(1 << 40) + bytes(3000))
    with pytest.raises(UnreadableHeader, match="longer than the file"):
        asyncio.run(read_header(source, parse_safetensors, first_bytes=64))
    assert source.reads == [(0, 64)]


def test_a_header_beyond_the_limit_is_not_read() -> None:
    data = gguf({"k": ["word" * 10] * 400})
    source = Bytes(data)
    with pytest.raises(UnreadableHeader, match="exceeds 1000 bytes"):
        asyncio.run(read_header(source, parse_gguf, first_bytes=100, max_bytes=1000))
    assert sum(count for _start, count in source.reads) == 1000
