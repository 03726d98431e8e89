"""Plain bytes out of stored xorbs.

Bytes are read in batches of some 2 MiB, in threads; what is stored uncompressed goes from the
file to its place without being looked at, because the system reads the headers of records aside.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hubstead.blobs import BlobKey, BlobKind, NodeCache
from hubstead.errors import BlobCorrupt, RangeNotSatisfiable
from hubstead.xet.decoder import decode_records
from hubstead.xet.records import HEADER, HEADER_BYTES, Scheme
from hubstead.xet.terms import Terms
from hubstead.xet.xorbs import XorbIndex

BATCH_BYTES = 2 << 20
PIECE_BYTES = 1 << 20
#: From how many xorbs a batch is put together at most, and how many stay open.
_XORBS = 16
_OPEN = 32
#: Terms whose xorbs are looked up together.
_TERMS = 512
#: The system takes 1024 places to read to at once, two for each chunk.
_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class StoredXorb:
    """A xorb: the name of its blob, and where its chunks are."""

    blob: str
    index: XorbIndex


@dataclass(frozen=True, slots=True)
class Piece:
    """Chunks that are stored side by side."""

    blob: str
    index: XorbIndex
    start: int
    end: int  # exclusive

    @property
    def bytes(self) -> int:
        """How many bytes they have."""
        return self.index.length(self.start, self.end)


#: Given raw names of xorbs, returns them all.
Locate = Callable[[Sequence[bytes]], Awaitable[Mapping[bytes, StoredXorb]]]


async def pieces(terms: Terms, locate: Locate, start: int, end: int) -> AsyncIterator[Piece]:
    """Yield what holds the bytes from ``start`` up to ``end`` of a file, in its order.

    Each piece has at most ``BATCH_BYTES``. The first may begin, the last end, up to a chunk
    beyond what is asked for.
    """
    needed = terms.between(start, end)
    for first in range(needed.start, needed.stop, _TERMS):
        some = range(first, min(first + _TERMS, needed.stop))
        found = await locate(terms.xorbs(some))
        for position in some:
            term, offset = terms[position], terms.offset(position)
            blob, index = found[term.xorb].blob, found[term.xorb].index
            base = index.offset(term.start) - offset
            begin, stop = term.start, term.end
            if offset < start:
                begin = index.chunk_at(base + start)
            if offset + term.bytes > end:
                stop = index.chunk_at(base + end - 1) + 1
            while begin < stop:
                most = index.offset(begin) + BATCH_BYTES
                until = stop if index.offset(stop) <= most else index.chunk_at(most)
                yield Piece(blob, index, begin, until)
                begin = until


class ChunkReader:
    """Reads chunks from the files of xorbs, for one thread at a time."""

    def __init__(self) -> None:
        self._headers = memoryview(bytearray(_AT_ONCE * HEADER_BYTES))
        self._packed = bytearray()

    def read(self, fd: int, piece: Piece, out: memoryview) -> None:
        """Fill ``out``, which has ``piece.bytes``, with the chunks of a piece.

        Raises:
            BlobCorrupt: the file is not what its index says.
        """
        first, stop = piece.index.span(piece.start, piece.end)
        looks_plain = stop - first == len(out) + HEADER_BYTES * (piece.end - piece.start)
        if not (looks_plain and self._read_plain(fd, piece, out)):
            self._read_packed(fd, first, stop, out)

    def _read_plain(self, fd: int, piece: Piece, out: memoryview) -> bool:
        """Read what looks uncompressed; return whether it is."""
        index, base = piece.index, piece.index.offset(piece.start)
        for start in range(piece.start, piece.end, _AT_ONCE):
            end = min(start + _AT_ONCE, piece.end)
            places: list[memoryview] = []
            for at in range(end - start):
                begin, stop = index.offset(start + at) - base, index.offset(start + at + 1) - base
                places.append(self._headers[HEADER_BYTES * at : HEADER_BYTES * at + HEADER_BYTES])
                places.append(out[begin:stop])
            first, last = index.span(start, end)
            _read_all(fd, places, first, last - first)
            headers = HEADER.iter_unpack(self._headers[: HEADER_BYTES * (end - start)])
            for at, (stored, unpacked) in enumerate(headers, start):
                length = index.length(at, at + 1)
                if stored != length << 8 or unpacked != length << 8 | Scheme.NONE:
                    return False
        return True

    def _read_packed(self, fd: int, first: int, stop: int, out: memoryview) -> None:
        size = stop - first
        if len(self._packed) < size:
            self._packed = bytearray(size)
        packed = memoryview(self._packed)[:size]
        _read_all(fd, [packed], first, size)
        at = 0
        for chunk in decode_records(packed):
            end = at + len(chunk)
            if end > len(out):
                raise BlobCorrupt(expected=f"{len(out)} bytes of chunks", got="more")
            out[at:end] = chunk
            at = end
        if at != len(out):
            raise BlobCorrupt(expected=f"{len(out)} bytes of chunks", got="fewer")


def _read_all(fd: int, places: list[memoryview], offset: int, size: int) -> None:
    done = os.preadv(fd, places, offset)
    while done < size:  # the system may stop early, if rarely
        places = _after(places, done)
        offset, size = offset + done, size - done
        done = os.preadv(fd, places, offset)
        if not done:
            raise BlobCorrupt(expected=f"{size} more bytes of a xorb", got="its end")


def _after(places: list[memoryview], done: int) -> list[memoryview]:
    """Return what is left of ``places`` after the first ``done`` bytes."""
    left = []
    for place in places:
        skipped = min(done, len(place))
        done -= skipped
        if skipped < len(place):
            left.append(place[skipped:])
    return left


class OpenXorbs:
    """Files of xorbs that are open, the ones used last up to a bound."""

    def __init__(self, cache: NodeCache) -> None:
        self._cache = cache
        self._fds: OrderedDict[str, int] = OrderedDict()

    async def fds(self, batch: Sequence[Piece]) -> list[int]:
        """Return the descriptors for the pieces of a batch, good until the next call.

        Raises:
            BlobNotFound: a xorb's bytes are gone.
            Unavailable: they cannot be had right now.
        """
        for blob in dict.fromkeys(piece.blob for piece in batch):
            if blob not in self._fds:
                self._fds[blob] = await self._cache.open(BlobKey(BlobKind.XORB, blob))
            self._fds.move_to_end(blob)
        while len(self._fds) > _OPEN:
            os.close(self._fds.popitem(last=False)[1])
        return [self._fds[piece.blob] for piece in batch]

    async def distrust(self, batch: Sequence[Piece]) -> None:
        """Have this node's copies of xorbs made anew: their bytes turned out to be wrong."""
        for blob in {piece.blob for piece in batch}:
            await self._cache.forget(BlobKey(BlobKind.XORB, blob))

    def close(self) -> None:
        """Close them all; nobody reads any more."""
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()


class XetSource:
    """The bytes of a file that is made of xorbs; a `Blob` to whoever sends it."""

    path: Path | None = None

    def __init__(self, terms: Terms, locate: Locate, cache: NodeCache) -> None:
        self.size = terms.size
        self._terms = terms
        self._locate = locate
        self._cache = cache

    async def chunks(self, start: int = 0, count: int | None = None) -> AsyncIterator[bytes]:
        """Yield ``count`` bytes from ``start`` on (to the end if None), at most 1 MiB at a time.

        Raises:
            RangeNotSatisfiable: if the range reaches over the end.
            BlobNotFound: if the file was deleted meanwhile.
            BlobCorrupt: if the store is damaged.
            Unavailable: if the store does not answer.
        """
        left = self.size - start if count is None else count
        if start < 0 or left < 0 or start + left > self.size:
            raise RangeNotSatisfiable(size=self.size)
        if not left:
            return
        stream = _Stream(pieces(self._terms, self._locate, start, start + left), self._cache)
        skip = await self._skipped(start)
        try:
            while left:
                data = await stream.next()
                for at in range(skip, min(len(data), skip + left), PIECE_BYTES):
                    piece = bytes(data[at : min(at + PIECE_BYTES, skip + left)])
                    yield piece
                left -= min(len(data) - skip, left)
                skip = 0
        finally:
            await stream.close()

    async def _skipped(self, start: int) -> int:
        """Return how many bytes come before ``start`` in the chunk that holds it."""
        position = self._terms.at(start)
        term = self._terms[position]
        index = (await self._locate([term.xorb]))[term.xorb].index
        at = index.offset(term.start) + start - self._terms.offset(position)
        return at - index.offset(index.chunk_at(at))


class _Stream:
    """Reads batches of pieces, the next one while the last is being sent."""

    def __init__(self, found: AsyncIterator[Piece], cache: NodeCache) -> None:
        self._found = found
        self._held: Piece | None = None
        self._open = OpenXorbs(cache)
        self._reader = ChunkReader()
        self._ahead = asyncio.ensure_future(self._read())

    async def next(self) -> memoryview:
        """Return the next bytes, and read on."""
        await asyncio.wait([self._ahead])  # cancelled or not, the thread goes on
        data = self._ahead.result()
        self._ahead = asyncio.ensure_future(self._read())
        return data

    async def close(self) -> None:
        """Let go of the files, once no thread reads them."""
        await asyncio.wait([self._ahead])
        if not self._ahead.cancelled():
            self._ahead.exception()
        self._open.close()

    async def _read(self) -> memoryview:
        batch = await self._batch()
        if not batch:
            return memoryview(b"")
        fds = await self._open.fds(batch)
        try:
            return await asyncio.to_thread(self._fill, batch, fds)
        except BlobCorrupt:
            await self._open.distrust(batch)
            raise

    async def _batch(self) -> list[Piece]:
        batch: list[Piece] = []
        size, xorbs = 0, set()
        while True:
            piece = self._held or await anext(self._found, None)
            self._held = None
            if piece is None:
                return batch
            size += piece.bytes
            xorbs.add(piece.blob)
            if batch and (size > BATCH_BYTES or len(xorbs) > _XORBS):
                self._held = piece
                return batch
            batch.append(piece)

    def _fill(self, batch: Sequence[Piece], fds: Sequence[int]) -> memoryview:
        data = memoryview(bytearray(sum(piece.bytes for piece in batch)))
        at = 0
        for piece, fd in zip(batch, fds, strict=True):
            end = at + piece.bytes
            self._reader.read(fd, piece, data[at:end])
            at = end
        return data
