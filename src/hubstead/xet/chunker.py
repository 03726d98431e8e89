"""Divides files into chunks (Xet protocol, "Chunking", the rule of hf_xet 1.1.10 on).

The compiled loop needs the extra ``convert``. The fallback in Python gives the same chunks, about a
hundred times slower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from hubstead.xet.gear_table import TABLE
from hubstead.xet.records import MAX_CHUNK_BYTES, Buffer

MIN_CHUNK_BYTES = 8192
_WINDOW_BYTES = 64  # older bytes are shifted out of the hash
_MASK = 0xFFFF_0000_0000_0000
_WORD = 0xFFFF_FFFF_FFFF_FFFF

#: (buffer, hash and size of the open chunk) -> (lengths of ended chunks, the new hash and size).
_Scan = Callable[[Buffer, int, int], tuple[Sequence[int], int, int]]


class Chunker:
    """Finds the chunk boundaries of one file, fed in pieces. For one thread at a time."""

    def __init__(self, *, compiled: bool | None = None) -> None:
        """Begin a file; ``compiled`` selects the loop, by default the fastest one available."""
        use = can_compile() if compiled is None else compiled
        self._scan: _Scan = _compiled_scan() if use else _plain_scan
        self._hash = 0
        self._size = 0

    def feed(self, data: Buffer) -> list[int]:
        """Take the next bytes and return the lengths of the chunks that end in them.

        The first of these chunks may begin in earlier bytes.
        """
        lengths, self._hash, self._size = self._scan(data, self._hash, self._size)
        return list(lengths)

    def finish(self) -> int:
        """Return the length of the last chunk, 0 if the bytes end at a boundary."""
        size, self._size, self._hash = self._size, 0, 0
        return size


def chunk_lengths(data: Buffer) -> list[int]:
    """Return the lengths of the chunks of a whole file."""
    chunker = Chunker()
    lengths = chunker.feed(data)
    last = chunker.finish()
    return [*lengths, last] if last else lengths


def iterate_chunks(pieces: Iterable[Buffer]) -> Iterator[bytes]:
    """Yield the chunks of a file given in pieces; memory holds one piece and one chunk."""
    chunker = Chunker()
    chunk = bytearray()
    for piece in pieces:
        at = 0
        for length in chunker.feed(piece):
            end = at + length - len(chunk)
            chunk += piece[at:end]
            yield bytes(chunk)
            chunk.clear()
            at = end
        chunk += piece[at:]
    if chunker.finish():
        yield bytes(chunk)


@cache
def can_compile() -> bool:
    """Return whether the extra ``convert`` is installed."""
    from importlib.util import find_spec

    return find_spec("numba") is not None


def _plain_scan(data: Buffer, gear: int, size: int) -> tuple[list[int], int, int]:
    lengths: list[int] = []
    at, end = 0, len(data)
    while at < end:
        skipped = min(max(MIN_CHUNK_BYTES - _WINDOW_BYTES - size, 0), end - at)
        at += skipped
        size += skipped
        while at < end:
            gear = (gear << 1) + TABLE[data[at]] & _WORD
            at += 1
            size += 1
            if size >= MIN_CHUNK_BYTES and (not gear & _MASK or size == MAX_CHUNK_BYTES):
                lengths.append(size)
                gear = size = 0
                break
    return lengths, gear, size


@cache
def _compiled_scan() -> _Scan:
    """Compile the loop for this processor; it takes about a second, once per process."""
    import numpy as np
    from numba import njit, types, uint64

    word = np.uint64
    table = np.array(TABLE, dtype=np.uint64)
    mask, one, zero = word(_MASK), word(1), word(0)
    least, most, skip = MIN_CHUNK_BYTES, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES - _WINDOW_BYTES

    def scan(data: Any, gear: Any, size: int, lengths: Any) -> tuple[int, Any, int]:
        count, at, end = 0, 0, len(data)
        while at < end:
            skipped = min(max(skip - size, 0), end - at)
            at += skipped
            size += skipped
            stop = at + min(max(least - 1 - size, 0), end - at)
            size += stop - at
            while at < stop:
                gear = (gear << one) + table[data[at]]
                at += 1
            began = at - size
            stop = min(end, began + most)
            while at < stop:
                gear = (gear << one) + table[data[at]]
                at += 1
                if gear & mask == zero:
                    break
            size = at - began
            if size == most or (size >= least and gear & mask == zero):
                lengths[count] = size
                count += 1
                gear, size = zero, 0
        return count, gear, size

    source = types.Array(types.uint8, 1, "C", readonly=True)
    signature = (source, uint64, types.int64, types.Array(types.int64, 1, "C"))
    native = njit(signature, nogil=True, boundscheck=False)(scan)

    def compiled(data: Buffer, gear: int, size: int) -> tuple[Sequence[int], int, int]:
        lengths = np.empty(len(data) // least + 2, dtype=np.int64)
        view = np.frombuffer(data, dtype=np.uint8)
        count, gear, size = native(view, word(gear), size, lengths)
        return lengths[:count].tolist(), int(gear), size

    return compiled
