"""Reads the bytes of files out of stored xorbs.

Threads read batches of some 2 MiB. Uncompressed chunks go from the file straight to their place in
the output: a vectored read puts the headers between them into another buffer.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hubstead.admission import Lane, run_in_lane
from hubstead.blobs import BlobKey, BlobKind, NodeCache
from hubstead.errors import BlobCorrupt, BlobDamaged, BlobNotFound, RangeNotSatisfiable
from hubstead.xet.decoder import decode_records
from hubstead.xet.hashes import chunk_hash
from hubstead.xet.records import HEADER, HEADER_BYTES, Scheme
from hubstead.xet.terms import Terms
from hubstead.xet.work_units import DEFAULT_UNITS, WorkUnits
from hubstead.xet.xorbs import XorbIndex

BATCH_BYTES = 2 << 20
PIECE_BYTES = 1 << 20
#: Chunks of one vectored read: the system takes 1024 buffers, two for each chunk.
_CHUNKS = 512


@dataclass(frozen=True, slots=True)
class StoredXorb:
    """The blob of a xorb, and the offsets of its chunks."""

    blob: str
    index: XorbIndex


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive chunks of one xorb."""

    blob: str
    index: XorbIndex
    start: int
    end: int  # exclusive

    @property
    def bytes(self) -> int:
        """Their unpacked bytes."""
        return self.index.length(self.start, self.end)


#: Returns xorbs by raw hash.
Locate = Callable[[Sequence[bytes]], Awaitable[Mapping[bytes, StoredXorb]]]
#: Has a damaged blob, named as its key is written, verified and marked.
Report = Callable[[str], None]


async def pieces(
    terms: Terms, locate: Locate, start: int, end: int, *, units: WorkUnits = DEFAULT_UNITS
) -> AsyncIterator[Piece]:
    """Yield the pieces that contain the bytes from ``start`` up to ``end`` of a file, in order.

    Each piece has at most ``BATCH_BYTES``. The first may begin up to a chunk early, the last end
    up to a chunk late.
    """
    needed = terms.between(start, end)
    for first in range(needed.start, needed.stop, units.terms):
        positions = range(first, min(first + units.terms, needed.stop))
        located = await locate(terms.xorbs(positions))
        for position in positions:
            term, offset = terms[position], terms.offset(position)
            blob, index = located[term.xorb].blob, located[term.xorb].index
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
    """Reads chunks from the files of xorbs, and checks them where the index has their hashes.

    For one thread at a time.
    """

    def __init__(self) -> None:
        self._headers = memoryview(bytearray(_CHUNKS * HEADER_BYTES))
        self._packed = bytearray()

    def read(self, fd: int, piece: Piece, out: memoryview) -> None:
        """Fill ``out``, which has ``piece.bytes``, with the chunks of a piece.

        Raises:
            BlobDamaged: the file does not match its index.
        """
        try:
            self._read(fd, piece, out)
            if piece.index.has_hashes:
                _check_chunks(piece, out)
        except BlobCorrupt as error:
            key = BlobKey(BlobKind.XORB, piece.blob)
            raise BlobDamaged(blob=str(key), fault=error.message) from error

    def _read(self, fd: int, piece: Piece, out: memoryview) -> None:
        first, stop = piece.index.span(piece.start, piece.end)
        looks_plain = stop - first == len(out) + HEADER_BYTES * (piece.end - piece.start)
        if not (looks_plain and self._read_plain(fd, piece, out)):
            self._read_packed(fd, first, stop, out)

    def _read_plain(self, fd: int, piece: Piece, out: memoryview) -> bool:
        """Read chunks whose size suggests that they are uncompressed; return whether they are."""
        index, base = piece.index, piece.index.offset(piece.start)
        for start in range(piece.start, piece.end, _CHUNKS):
            end = min(start + _CHUNKS, piece.end)
            buffers: list[memoryview] = []
            for at in range(end - start):
                begin, stop = index.offset(start + at) - base, index.offset(start + at + 1) - base
                buffers.append(self._headers[HEADER_BYTES * at : HEADER_BYTES * at + HEADER_BYTES])
                buffers.append(out[begin:stop])
            first, last = index.span(start, end)
            _read_all(fd, buffers, first, last - first)
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


def _check_chunks(piece: Piece, out: memoryview) -> None:
    index, base = piece.index, piece.index.offset(piece.start)
    for chunk in range(piece.start, piece.end):
        data = out[index.offset(chunk) - base : index.offset(chunk + 1) - base]
        if chunk_hash(data) != index.hash_at(chunk):
            raise BlobCorrupt(expected=f"chunk {chunk} of the xorb", got="other bytes")


def _read_all(fd: int, buffers: list[memoryview], offset: int, size: int) -> None:
    done = os.preadv(fd, buffers, offset)
    while done < size:  # a short read is rare, but allowed
        buffers = _without(buffers, done)
        offset, size = offset + done, size - done
        done = os.preadv(fd, buffers, offset)
        if not done:
            raise BlobCorrupt(expected=f"{size} more bytes of a xorb", got="its end")


def _without(buffers: list[memoryview], done: int) -> list[memoryview]:
    """Return ``buffers`` without their first ``done`` bytes."""
    rest = []
    for buffer in buffers:
        skipped = min(done, len(buffer))
        done -= skipped
        if skipped < len(buffer):
            rest.append(buffer[skipped:])
    return rest


class OpenXorbs:
    """Open files of xorbs: ``at_most`` stay open between calls, the most recently used."""

    def __init__(self, cache: NodeCache, at_most: int) -> None:
        self._cache = cache
        self._at_most = at_most
        self._fds: OrderedDict[str, int] = OrderedDict()

    async def fds(self, batch: Sequence[Piece]) -> list[int]:
        """Return the descriptors for the pieces of a batch, good until the next call.

        Raises:
            BlobDamaged: the bytes of a xorb are gone.
            Unavailable: the store does not answer.
        """
        for blob in dict.fromkeys(piece.blob for piece in batch):
            if blob not in self._fds:
                self._fds[blob] = await self._open(BlobKey(BlobKind.XORB, blob))
            self._fds.move_to_end(blob)
        while len(self._fds) > self._at_most:
            os.close(self._fds.popitem(last=False)[1])
        return [self._fds[piece.blob] for piece in batch]

    async def _open(self, key: BlobKey) -> int:
        try:
            return await self._cache.open(key)
        except BlobNotFound:
            raise BlobDamaged(blob=str(key), fault="its bytes are missing") from None

    async def drop_copies(self, batch: Sequence[Piece]) -> None:
        """Drop this node's copies of xorbs, whose bytes are wrong; the next read fetches them."""
        for blob in {piece.blob for piece in batch}:
            await self._cache.forget(BlobKey(BlobKind.XORB, blob))
            if blob in self._fds:
                os.close(self._fds.pop(blob))

    def close(self) -> None:
        """Close all files; the caller has stopped reading."""
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()


class XetSource:
    """The bytes of a file, reconstructed from xorbs. Implements `Blob`."""

    path: Path | None = None

    def __init__(
        self,
        terms: Terms,
        locate: Locate,
        cache: NodeCache,
        units: WorkUnits = DEFAULT_UNITS,
        report: Report | None = None,
    ) -> None:
        self._units = units
        self._report = report
        self.size = terms.size
        self._terms = terms
        self._locate = locate
        self._cache = cache

    async def chunks(self, start: int = 0, count: int | None = None) -> AsyncIterator[bytes]:
        """Yield ``count`` bytes from ``start`` on (to the end if None), at most 1 MiB at a time.

        Raises:
            RangeNotSatisfiable: the range reaches beyond the end.
            BlobNotFound: the file was deleted meanwhile.
            BlobDamaged: the store is damaged; all bytes before are right.
            Unavailable: the store does not answer.
        """
        left = self.size - start if count is None else count
        if start < 0 or left < 0 or start + left > self.size:
            raise RangeNotSatisfiable(size=self.size)
        if not left:
            return
        stream = _Stream(
            pieces(self._terms, self._locate, start, start + left, units=self._units),
            self._cache,
            self._units,
            self._report,
        )
        skip = await self._bytes_before(start)
        try:
            while left:
                data = await stream.next()
                for at in range(skip, min(len(data), skip + left), PIECE_BYTES):
                    yield bytes(data[at : min(at + PIECE_BYTES, skip + left)])
                left -= min(len(data) - skip, left)
                skip = 0
        finally:
            await stream.close()

    async def _bytes_before(self, start: int) -> int:
        """Return the bytes before ``start`` in the chunk that contains it."""
        position = self._terms.at(start)
        term = self._terms[position]
        index = (await self._locate([term.xorb]))[term.xorb].index
        at = index.offset(term.start) + start - self._terms.offset(position)
        return at - index.offset(index.chunk_at(at))


class _Stream:
    """Reads batches of pieces, one batch ahead of the caller."""

    def __init__(
        self,
        pieces: AsyncIterator[Piece],
        cache: NodeCache,
        units: WorkUnits,
        report: Report | None,
    ) -> None:
        self._report = report
        self._most_xorbs = units.xorbs
        self._pieces = pieces
        self._pending: Piece | None = None  # the first of the next batch
        self._xorbs = OpenXorbs(cache, units.open_xorbs)
        self._reader = ChunkReader()
        self._ahead = asyncio.ensure_future(self._read())

    async def next(self) -> memoryview:
        """Return the next batch, empty at the end, and start to read the one after it."""
        await asyncio.wait([self._ahead])  # the thread goes on even if this is cancelled
        data = self._ahead.result()
        self._ahead = asyncio.ensure_future(self._read())
        return data

    async def close(self) -> None:
        """Close the files once no thread reads them."""
        await asyncio.wait([self._ahead])
        if not self._ahead.cancelled():
            self._ahead.exception()
        self._xorbs.close()

    async def _read(self) -> memoryview:
        batch = await self._batch()
        if not batch:
            return memoryview(b"")
        try:
            return await self._filled(batch)
        except BlobDamaged:
            await self._xorbs.drop_copies(batch)
        try:
            return await self._filled(batch)  # from the store, if only this node's copy was wrong
        except BlobDamaged as error:
            if self._report is not None:
                self._report(error.blob)
            raise

    async def _filled(self, batch: list[Piece]) -> memoryview:
        fds = await self._xorbs.fds(batch)
        return await run_in_lane(Lane.TRANSFERS, self._fill, batch, fds)

    async def _batch(self) -> list[Piece]:
        batch: list[Piece] = []
        size, xorbs = 0, set()
        while True:
            piece = self._pending or await anext(self._pieces, None)
            self._pending = None
            if piece is None:
                return batch
            size += piece.bytes
            xorbs.add(piece.blob)
            if batch and (size > BATCH_BYTES or len(xorbs) > self._most_xorbs):
                self._pending = piece
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
