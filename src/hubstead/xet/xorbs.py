"""The index of a stored xorb: hashes, offsets and lengths of its chunks, without its bytes."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise

from hubstead.xet.hashes import HASH_BYTES, merkle_root

_ENTRY_BYTES = HASH_BYTES + 4 + 4


class XorbIndex:
    """The chunks of one xorb, numbered from 0. Immutable.

    ``start`` (inclusive) and ``end`` (exclusive) are chunk numbers; the caller has checked that
    ``0 <= start <= end <= len(index)``.
    """

    __slots__ = ("_ends", "_hashes", "_offsets")

    def __init__(self, hashes: bytes, ends: array[int], offsets: array[int]) -> None:
        """Take raw hashes, the end of each chunk's record, and the end of its unpacked bytes.

        Both arrays are of type ``I`` and begin with a 0 before the first chunk's end.
        """
        self._hashes = hashes
        self._ends = ends
        self._offsets = offsets

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, XorbIndex) and self.pack() == other.pack()

    def __hash__(self) -> int:
        return hash(self._hashes)

    @property
    def has_hashes(self) -> bool:
        """Whether it was loaded with the hashes of its chunks."""
        return bool(self._hashes)

    @property
    def size(self) -> int:
        """The bytes of all records, as stored."""
        return self._ends[-1]

    @property
    def unpacked(self) -> int:
        """The bytes of all chunks."""
        return self._offsets[-1]

    def hashes(self, start: int, end: int) -> bytes:
        """Return the concatenated raw hashes of chunks."""
        return self._hashes[HASH_BYTES * start : HASH_BYTES * end]

    def hash_at(self, chunk: int) -> bytes:
        """Return the raw hash of one chunk."""
        return self._hashes[HASH_BYTES * chunk : HASH_BYTES * chunk + HASH_BYTES]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the stored byte range of the records of chunks, its end exclusive."""
        return self._ends[start], self._ends[end]

    def offset(self, chunk: int) -> int:
        """Return the unpacked bytes before a chunk; ``len(index)`` gives all of them."""
        return self._offsets[chunk]

    def length(self, start: int, end: int) -> int:
        """Return the unpacked bytes of chunks, added up."""
        return self._offsets[end] - self._offsets[start]

    def lengths(self, start: int, end: int) -> list[int]:
        """Return the unpacked bytes of each chunk."""
        offsets = self._offsets[start : end + 1]
        return [after - before for before, after in pairwise(offsets)]

    def chunk_at(self, offset: int) -> int:
        """Return the chunk that contains the unpacked byte ``offset``, which must exist."""
        return bisect_right(self._offsets, offset) - 1

    def leaves(self, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int]]:
        """Yield (raw hash, length) of chunks, as `merkle_root` and `file_hash` take them."""
        stop = len(self) if end is None else end
        hashes, offsets = self._hashes, self._offsets
        for at in range(start, stop):
            yield (
                hashes[HASH_BYTES * at : HASH_BYTES * at + HASH_BYTES],
                (offsets[at + 1] - offsets[at]),
            )

    def name(self) -> bytes:
        """Return the raw hash of the xorb."""
        return merkle_root(self.leaves())

    def pack(self) -> bytes:
        """Return 40 bytes per chunk: all hashes, then all ends of records, then of chunks."""
        return b"".join((self._hashes, _packed(self._ends), _packed(self._offsets)))

    @classmethod
    def unpack(cls, packed: bytes) -> XorbIndex:
        """Read the form that `pack` writes.

        Raises:
            ValueError: the length is impossible.
        """
        count, rest = divmod(len(packed), _ENTRY_BYTES)
        if rest or not count:
            raise ValueError(f"{len(packed)} bytes are no index of a xorb")
        first, second = count * HASH_BYTES, count * (HASH_BYTES + 4)
        view = memoryview(packed)
        return cls(packed[:first], _unpacked(view[first:second]), _unpacked(view[second:]))

    @classmethod
    def unpack_offsets(cls, packed: bytes) -> XorbIndex:
        """Read the form that `pack` writes, cut off behind the hashes: the index has none.

        Raises:
            ValueError: the length is impossible.
        """
        half, rest = divmod(len(packed), 2)
        if rest or half % 4 or not half:
            raise ValueError(f"{len(packed)} bytes are no offsets of chunks")
        view = memoryview(packed)
        return cls(b"", _unpacked(view[:half]), _unpacked(view[half:]))


def _packed(numbers: array[int]) -> bytes:
    tail = numbers[1:]
    if sys.byteorder == "big":
        tail.byteswap()
    return tail.tobytes()


def _unpacked(packed: memoryview) -> array[int]:
    numbers = array("I", (0,))
    numbers.frombytes(packed)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
