"""Computes the sha256 of files from their xorbs.

A claimed sha256 would let one user replace the content behind another user's pointer, so no file
is registered under a sha256 that the hub has not computed.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from typing import NamedTuple

from hubstead.admission import Lane, run_to_the_end
from hubstead.blobs import NodeCache
from hubstead.errors import BlobDamaged
from hubstead.xet.reader import (
    BATCH_BYTES,
    ChunkReader,
    Locate,
    OpenXorbs,
    Piece,
    StoredXorb,
    pieces,
)
from hubstead.xet.shards import FileEntry
from hubstead.xet.terms import Term, Terms
from hubstead.xet.work_units import DEFAULT_UNITS, WorkUnits
from hubstead.xet.xorbs import XorbIndex

#: The work that one thread does before another shard gets a turn.
_UNIT_BYTES = 8 << 20
_UNIT_PIECES = 256

#: Called with (bytes done, bytes in all).
Progress = Callable[[int, int], None]
#: Returns the digest of the first terms of a file, and the number of these terms.
PartialDigest = Callable[[Terms], tuple["hashlib._Hash", int]]


class FileHasher:
    """Computes digests, with two threads for all callers."""

    THREADS = 2

    def __init__(self, cache: NodeCache, units: WorkUnits = DEFAULT_UNITS) -> None:
        self._cache = cache
        self._units = units
        self._turns = asyncio.Semaphore(self.THREADS)

    async def digests(
        self,
        files: Sequence[FileEntry],
        locate: Locate,
        progress: Progress | None,
        partial_digest: PartialDigest,
    ) -> dict[bytes, str]:
        """Return the sha256 of files by their hash.

        Args:
            files: The files.
            locate: Finds their xorbs.
            progress: Called now and then.
            partial_digest: Returns digests that exist already, of beginnings of files.

        Raises:
            BlobDamaged: the store is damaged.
            Unavailable: the store does not answer.
        """
        files = sorted(files, key=lambda file: file.terms[0])  # to read xorbs in order
        results = _Results(sum(file.terms.size for file in files), progress)
        lanes = [
            _Lane(self._cache, self._turns, locate, results, partial_digest, units=self._units)
            for _ in range(self.THREADS)
        ]
        shares = _split(files, results.total, self._units.split_bytes)
        await _run_all([lane.run(share) for lane, share in zip(lanes, shares, strict=False)])
        return results.digests

    async def extend_digest(self, digest: hashlib._Hash, blob: str, index: XorbIndex) -> None:
        """Update a digest with all chunks of a xorb; raise as `digests`."""

        async def locate(xorbs: Sequence[bytes]) -> dict[bytes, StoredXorb]:
            return {xorb: StoredXorb(blob, index) for xorb in xorbs}

        terms = Terms.of([Term(bytes(32), 0, len(index), index.unpacked)])
        results = _Results(index.unpacked, None)
        lane = _Lane(
            self._cache, self._turns, locate, results, lambda _: (digest, 0), units=self._units
        )
        await lane.run([FileEntry(bytes(32), terms, b"", None)])


async def _run_all(work: Sequence[Coroutine[None, None, None]]) -> None:
    """Run all, or raise the first error when all have ended."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    errors = [task.exception() for task in tasks if not task.cancelled()]
    for error in errors:
        if error is not None:
            raise error


def _split(files: Sequence[FileEntry], total: int, least: int) -> list[Sequence[FileEntry]]:
    """Split the files into two shares of about as many bytes, if that is worth while."""
    if total < least:
        return [files]
    size = 0
    for count, file in enumerate(files):
        if size >= total // 2:
            return [files[:count], files[count:]]
        size += file.terms.size
    return [files]


class _Results:
    """Digests by file hash, and the progress towards all of them."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.total = total
        self.digests: dict[bytes, str] = {}
        self._bytes = 0
        self._progress = progress

    def add_bytes(self, size: int) -> None:
        self._bytes += size
        if self._progress is not None:
            self._progress(self._bytes, self.total)


class _Task(NamedTuple):
    """A piece of a file to hash; the digest is complete after the last one."""

    piece: Piece
    file: FileEntry
    digest: hashlib._Hash
    is_last: bool


class _Lane:
    """Hashes files one after the other, in threads but never in two at a time."""

    def __init__(
        self,
        cache: NodeCache,
        turns: asyncio.Semaphore,
        locate: Locate,
        results: _Results,
        partial_digest: PartialDigest,
        *,
        units: WorkUnits,
    ) -> None:
        self._units = units
        self._turns = turns
        self._locate = locate
        self._results = results
        self._partial_digest = partial_digest
        self._xorbs = OpenXorbs(cache, units.open_xorbs)
        self._reader = ChunkReader()
        self._buffer = memoryview(bytearray(BATCH_BYTES))
        self._unit: list[_Task] = []
        self._unit_bytes = 0
        self._unit_blobs: set[str] = set()

    async def run(self, files: Sequence[FileEntry]) -> None:
        try:
            for file in files:
                await self._add(file)
            await self._flush()
        finally:
            self._xorbs.close()

    async def _add(self, file: FileEntry) -> None:
        digest, terms = self._partial_digest(file.terms)
        start, end = file.terms.offset(terms), file.terms.size
        self._results.add_bytes(start)
        if start == end:
            self._results.digests[file.hash] = digest.hexdigest()
            return
        left = end - start
        async for piece in pieces(file.terms, self._locate, start, end, units=self._units):
            is_full = (
                self._unit_bytes + piece.bytes > _UNIT_BYTES
                or len(self._unit) == _UNIT_PIECES
                or len(self._unit_blobs | {piece.blob}) > self._units.xorbs
            )
            if is_full and self._unit:
                await self._flush()
            left -= piece.bytes
            self._unit.append(_Task(piece, file, digest, not left))
            self._unit_bytes += piece.bytes
            self._unit_blobs.add(piece.blob)

    async def _flush(self) -> None:
        unit, size = self._unit, self._unit_bytes
        self._unit, self._unit_bytes, self._unit_blobs = [], 0, set()
        async with self._turns:
            fds = await self._xorbs.fds([task.piece for task in unit])
            try:
                await run_to_the_end(Lane.DIGESTS, self._hash, unit, fds)
            except BlobDamaged:
                await self._xorbs.drop_copies([task.piece for task in unit])
                raise
        self._results.add_bytes(size)

    def _hash(self, unit: Sequence[_Task], fds: Sequence[int]) -> None:
        for task, fd in zip(unit, fds, strict=True):
            out = self._buffer[: task.piece.bytes]
            self._reader.read(fd, task.piece, out)
            task.digest.update(out)
            if task.is_last:
                self._results.digests[task.file.hash] = task.digest.hexdigest()
