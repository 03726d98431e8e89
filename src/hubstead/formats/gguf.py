"""The header of a GGUF file, versions 2 and 3, little endian: metadata, then tensor infos.

Counts in the header are never trusted: nothing is allocated by them, and every loop ends with the
bytes or at a limit (protocol/runtimes.md 7.3).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from hubstead.formats.header import HeaderBytes, IncompleteHeader, UnreadableHeader

MAX_KEYS = 65_536
MAX_TENSORS = 65_536
MAX_KEY_BYTES = 65_535
MAX_STRING_BYTES = 4 << 20
#: Bytes of all keys and strings, without those in arrays.
MAX_TEXT_BYTES = 16 << 20
#: Dimensions of a tensor; the format has four.
MAX_DIMENSIONS = 8
MAX_NESTED_ARRAYS = 4
#: Strings and inner arrays of arrays, over the whole header; a large vocabulary takes a million.
MAX_ELEMENTS = 4_000_000

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_SCALARS = {
    number: struct.Struct(f"<{code}")
    for number, code in {
        **{0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B"},
        **{10: "Q", 11: "q", 12: "d"},
    }.items()
}
_BOOL = 7
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
_TOKENS = "tokenizer.ggml.tokens"


class GgufArray(NamedTuple):
    """An array in the metadata: the number of its type, and how many elements; none is read."""

    type: int
    length: int


GgufValue: TypeAlias = "int | float | bool | str | GgufArray"


@dataclass(frozen=True)
class GgufHeader:
    """The metadata by key, and what the tensor infos add up to."""

    version: int
    metadata: Mapping[str, GgufValue]
    tensors: int
    parameters: int
    bos_token: str | None
    eos_token: str | None

    def text(self, key: str) -> str | None:
        """Return a string of the metadata; None if the key is absent or has another type."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def integer(self, key: str) -> int | None:
        """Return an integer of the metadata; None if the key is absent or has another type."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


def parse_gguf(data: HeaderBytes, size: int) -> GgufHeader:
    """Parse the header of a GGUF file.

    Args:
        data: The first bytes of the file.
        size: The size of the whole file in bytes.

    Raises:
        IncompleteHeader: the header is longer than ``data``.
        UnreadableHeader: the file is no such GGUF file, or its header exceeds a limit.
    """
    cursor = _Cursor(data, size)
    if cursor.take(4) != _MAGIC:
        raise UnreadableHeader("it does not begin with GGUF")
    version = cursor.number(_U32)
    if version not in _VERSIONS:
        raise UnreadableHeader(f"version {version} of GGUF, or another byte order, is not read")
    tensors = cursor.count("tensors", MAX_TENSORS)
    keys = cursor.count("keys", MAX_KEYS)
    metadata: dict[str, GgufValue] = {}
    for _ in range(keys):
        key = cursor.string(MAX_KEY_BYTES)
        if key in metadata:
            raise UnreadableHeader(f"the key {key[:80]!r} occurs twice")
        metadata[key] = _value(cursor, key)
    parameters = sum(_elements(cursor) for _ in range(tensors))
    return GgufHeader(
        version=version,
        metadata=metadata,
        tensors=tensors,
        parameters=parameters,
        bos_token=_token(cursor, metadata, "tokenizer.ggml.bos_token_id"),
        eos_token=_token(cursor, metadata, "tokenizer.ggml.eos_token_id"),
    )


class _Cursor:
    """A position in the bytes of a header."""

    def __init__(self, data: HeaderBytes, size: int) -> None:
        self._data = data
        self._size = size
        self.at = 0
        self.budget = MAX_ELEMENTS
        self.text_budget = MAX_TEXT_BYTES
        self.tokens_at: int | None = None

    def skip(self, count: int) -> int:
        """Pass ``count`` bytes over; return where they begin."""
        start, self.at = self.at, self.at + count
        if self.at > len(self._data):
            if self.at > self._size:
                raise UnreadableHeader("the file ends inside its header")
            raise IncompleteHeader(self.at)
        return start

    def take(self, count: int) -> bytes:
        start = self.skip(count)
        return bytes(self._data[start : self.at])

    def number(self, shape: struct.Struct) -> int:
        value: int = shape.unpack_from(self._data, self.skip(shape.size))[0]
        return value

    def scalar(self, type_: int) -> int | float | bool:
        shape = _SCALARS[type_]
        value: int | float = shape.unpack_from(self._data, self.skip(shape.size))[0]
        return bool(value) if type_ == _BOOL else value

    def count(self, what: str, most: int) -> int:
        count = self.number(_U64)
        if count > most:
            raise UnreadableHeader(f"{count} {what} are more than {most}")
        return count

    def string(self, most: int = MAX_STRING_BYTES) -> str:
        length = self.count("bytes of a string", most)
        self.text_budget -= length
        if self.text_budget < 0:
            raise UnreadableHeader(f"its strings have more than {MAX_TEXT_BYTES} bytes")
        return self.take(length).decode("utf-8", "replace")

    def skip_strings(self, count: int) -> None:
        """Pass strings over: the longest loop of a header, so without a call for each."""
        self.spend(count)
        data, end, read, at = self._data, len(self._data), _U64.unpack_from, self.at
        for _ in range(count):
            if at + 8 > end:
                self.at = min(at, self._size + 1)
                self.skip(8)
            at += 8 + read(data, at)[0]
        self.at = min(at, self._size + 1)
        self.skip(0)

    def spend(self, elements: int) -> None:
        self.budget -= elements
        if self.budget < 0:
            raise UnreadableHeader(f"its arrays have more than {MAX_ELEMENTS} elements")


def _value(cursor: _Cursor, key: str) -> GgufValue:
    type_ = cursor.number(_U32)
    if type_ == _STRING:
        return cursor.string()
    if type_ == _ARRAY:
        return _array(cursor, key)
    if type_ not in _SCALARS:
        raise UnreadableHeader(f"the key {key[:80]!r} has the unknown type {type_}")
    return cursor.scalar(type_)


def _array(cursor: _Cursor, key: str) -> GgufArray:
    type_, count = cursor.number(_U32), cursor.number(_U64)
    if key == _TOKENS and type_ == _STRING:
        cursor.tokens_at = cursor.at
    _skip_elements(cursor, type_, count, depth=1)
    return GgufArray(type_, count)


def _skip_elements(cursor: _Cursor, type_: int, count: int, depth: int) -> None:
    if type_ in _SCALARS:
        cursor.skip(count * _SCALARS[type_].size)
    elif type_ == _STRING:
        cursor.skip_strings(count)
    elif type_ == _ARRAY and depth < MAX_NESTED_ARRAYS:
        cursor.spend(count)
        for _ in range(count):
            _skip_elements(cursor, cursor.number(_U32), cursor.number(_U64), depth + 1)
    else:
        raise UnreadableHeader(f"an array of the type {type_}, or nested too deeply, is not read")


def _elements(cursor: _Cursor) -> int:
    """Pass a tensor info over; return how many elements the tensor has."""
    cursor.skip(cursor.count("bytes of a name", MAX_KEY_BYTES))
    dimensions = cursor.number(_U32)
    if dimensions > MAX_DIMENSIONS:
        raise UnreadableHeader(f"a tensor of {dimensions} dimensions is not read")
    elements = math.prod(cursor.number(_U64) for _ in range(dimensions))
    cursor.skip(_U32.size + _U64.size)  # the type, and the offset of the data
    if elements > 1 << 62:
        raise UnreadableHeader("a tensor has more elements than a file can hold")
    return elements


def _token(cursor: _Cursor, metadata: Mapping[str, GgufValue], key: str) -> str | None:
    """Return the token whose number ``key`` has."""
    number, tokens = metadata.get(key), metadata.get(_TOKENS)
    if cursor.tokens_at is None or not isinstance(tokens, GgufArray):
        return None
    if not isinstance(number, int) or not 0 <= number < tokens.length:
        return None
    cursor.at, cursor.budget = cursor.tokens_at, MAX_ELEMENTS
    cursor.skip_strings(number)
    return cursor.string()
