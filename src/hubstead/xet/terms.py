"""The terms of a file: the ranges of chunks in xorbs that make up its bytes, in order."""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple, Self, overload

_TERM = struct.Struct("<32s3I")
_WORDS = _TERM.size // 4
_BYTES_WORD = 10

Raw = bytes  # a hash of 32 bytes, as in binary formats


class Term(NamedTuple):
    """The chunks from ``start`` up to ``end`` (exclusive) of one xorb: ``bytes`` of a file."""

    xorb: Raw
    start: int
    end: int
    bytes: int


class Terms(Sequence[Term]):
    """The terms of a file in order, packed to 44 bytes each.

    A packed term is the raw hash of its xorb and three little-endian u32: start, end, bytes.
    Offsets in the file are computed at their first use.
    """

    __slots__ = ("_offsets", "_packed")

    def __init__(self, packed: bytes = b"") -> None:
        if len(packed) % _TERM.size:
            raise ValueError(f"{len(packed)} bytes are no terms")
        self._packed = packed
        self._offsets: array[int] | None = None

    @classmethod
    def of(cls, terms: Iterable[Term]) -> Self:
        """Return ``terms`` packed."""
        return cls(b"".join(_TERM.pack(*term) for term in terms))

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Return the terms that `pack` returned as bytes."""
        return cls(packed)

    def pack(self) -> bytes:
        """Return the terms as bytes."""
        return self._packed

    @property
    def size(self) -> int:
        """The bytes of the file, added up."""
        return self._term_offsets()[-1]

    def offset(self, position: int) -> int:
        """Return the offset of a term in the file; ``len(self)`` gives the end of the file."""
        return self._term_offsets()[position]

    def at(self, offset: int) -> int:
        """Return the position of the term that contains the byte ``offset`` of the file."""
        if not 0 <= offset < self.size:
            raise IndexError(offset)
        return bisect_right(self._term_offsets(), offset) - 1

    def between(self, start: int, end: int) -> range:
        """Return the positions of the terms with the bytes from ``start`` up to ``end``."""
        end = min(end, self.size)
        return range(self.at(start), self.at(end - 1) + 1) if start < end else range(0)

    def xorbs(self, positions: range | None = None) -> list[bytes]:
        """Return the distinct xorbs of all or some terms, in order of first use."""
        positions = range(len(self)) if positions is None else positions
        size, packed = _TERM.size, self._packed
        return list(dict.fromkeys(packed[at * size : at * size + 32] for at in positions))

    def xorb_of_each(self) -> list[bytes]:
        """Return the xorb of every term."""
        packed = self._packed
        return [packed[at : at + 32] for at in range(0, len(packed), _TERM.size)]

    def chunks_of(self, xorb: bytes) -> Iterator[tuple[int, int]]:
        """Yield (start, end) of the terms in one xorb, in order."""
        size, packed = _TERM.size, self._packed
        at = packed.find(xorb)
        while at >= 0:
            if at % size == 0:
                yield _TERM.unpack_from(packed, at)[1:3]
            at = packed.find(xorb, at + 1)

    def _term_offsets(self) -> array[int]:
        if self._offsets is None:
            sizes = unpack_u32(select_words(self._packed, _WORDS, (_BYTES_WORD,)))
            self._offsets = array("Q", accumulate(sizes, initial=0))
        return self._offsets

    def __len__(self) -> int:
        return len(self._packed) // _TERM.size

    @overload
    def __getitem__(self, position: int) -> Term: ...
    @overload
    def __getitem__(self, position: slice) -> list[Term]: ...
    def __getitem__(self, position: int | slice) -> Term | list[Term]:
        if isinstance(position, slice):
            start, stop, step = position.indices(len(self))
            if step != 1:
                return [self[one] for one in range(start, stop, step)]
            part = memoryview(self._packed)[start * _TERM.size : max(start, stop) * _TERM.size]
            return list(map(Term._make, _TERM.iter_unpack(part)))
        at = range(len(self))[position] * _TERM.size
        return Term._make(_TERM.unpack_from(self._packed, at))

    def __iter__(self) -> Iterator[Term]:
        return map(Term._make, _TERM.iter_unpack(self._packed))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Terms) and self._packed == other._packed

    def __hash__(self) -> int:
        return hash(self._packed)

    def __repr__(self) -> str:
        return f"<{len(self)} terms, {self.size} bytes>"


def select_words(records: bytes | memoryview, width: int, words: Sequence[int]) -> bytes:
    """Return the given ``words`` of every record of ``width`` u32, in that order.

    This copies by columns, so half a million records take some ten milliseconds.
    """
    count = len(records) // (4 * width)
    selected = bytearray(4 * count * len(words))
    source, target = memoryview(records).cast("I"), memoryview(selected).cast("I")
    for place, word in enumerate(words):
        target[place :: len(words)] = source[word::width]
    return bytes(selected)


def unpack_u32(packed: bytes) -> array[int]:
    """Return the little-endian u32 in ``packed``."""
    values = array("I", packed)
    if sys.byteorder == "big":
        values.byteswap()
    return values
