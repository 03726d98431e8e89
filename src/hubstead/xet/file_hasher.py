"""The sha256 of files that are made of xorbs: the bytes are put together once, and looked at.

A client's word for it would let one user replace what another one's pointer leads to, so no file
is registered under a sha256 that was not computed here.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from typing import NamedTuple

from hubstead.blobs import NodeCache
from hubstead.errors import BlobCorrupt
from hubstead.threads import to_thread_to_the_end
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
from hubstead.xet.xorbs import XorbIndex

#: Bytes, and pieces, that a thread takes care of before another shard gets a turn.
_UNIT_BYTES = 8 << 20
_UNIT_PIECES = 256
_UNIT_XORBS = 16
#: Fewer bytes are not worth a second thread.
_LANE_BYTES = 4 << 20

Progress = Callable[[int, int], None]
#: Of a file, returns the digest of some terms from its first on, and how many those are.
Begun = Callable[[Terms], tuple["hashlib._Hash", int]]


class FileHasher:
    """Computes digests, two threads at once for all who ask."""

    THREADS = 2

    def __init__(self, cache: NodeCache) -> None:
        self._cache = cache
        self._turns = asyncio.Semaphore(self.THREADS)

    async def digests(
        self,
        files: Sequence[FileEntry],
        locate: Locate,
        progress: Progress | None,
        begun: Begun,
    ) -> dict[bytes, str]:
        """Return the sha256 of files by their hash.

        Args:
            files: The files.
            locate: Finds their xorbs.
            progress: Told of (bytes done, bytes in all), now and then.
            begun: Gives what is known already.

        Raises:
            BlobNotFound: a xorb's bytes are gone.
            BlobCorrupt: the store is damaged.
            Unavailable: the store does not answer.
        """
        files = sorted(files, key=lambda each: each.terms[0])  # so that xorbs are read in order
        done = _Done(sum(each.terms.size for each in files), progress)
        lanes = [_Lane(self._cache, self._turns, locate, done, begun) for _ in range(self.THREADS)]
        parts = _shared(files, done.total)
        await _all([lane.run(part) for lane, part in zip(lanes, parts, strict=False)])
        return done.digests

    async def go_on(self, hashed: hashlib._Hash, blob: str, index: XorbIndex) -> None:
        """Go on with a digest through all chunks of a xorb; raises as `digests`."""

        async def locate(xorbs: Sequence[bytes]) -> dict[bytes, StoredXorb]:
            return {xorb: StoredXorb(blob, index) for xorb in xorbs}

        terms = Terms.of([Term(bytes(32), 0, len(index), index.unpacked)])
        done = _Done(index.unpacked, None)
        lane = _Lane(self._cache, self._turns, locate, done, lambda _: (hashed, 0))
        await lane.run([FileEntry(bytes(32), terms, b"", None)])


async def _all(work: Sequence[Coroutine[None, None, None]]) -> None:
    """Run all, or raise the first error when all have ended."""
    tasks = [asyncio.ensure_future(each) for each in work]
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


def _shared(files: Sequence[FileEntry], total: int) -> list[Sequence[FileEntry]]:
    """Cut the files in two halves of about as many bytes, if that is worth while."""
    if total < _LANE_BYTES:
        return [files]
    size = 0
    for count, each in enumerate(files):
        if size >= total // 2:
            return [files[:count], files[count:]]
        size += each.terms.size
    return [files]


class _Done:
    """What was found so far."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.total = total
        self.digests: dict[bytes, str] = {}
        self._bytes = 0
        self._progress = progress

    def add(self, size: int) -> None:
        self._bytes += size
        if self._progress is not None:
            self._progress(self._bytes, self.total)


class _Work(NamedTuple):
    """A piece of a file, to be hashed; the digest is due after the last one."""

    piece: Piece
    file: FileEntry
    hashed: hashlib._Hash
    is_last: bool


class _Lane:
    """Hashes files one after the other, in threads but never in two at a time."""

    def __init__(
        self,
        cache: NodeCache,
        turns: asyncio.Semaphore,
        locate: Locate,
        done: _Done,
        begun: Begun,
    ) -> None:
        self._turns = turns
        self._locate = locate
        self._done = done
        self._begun = begun
        self._open = OpenXorbs(cache)
        self._reader = ChunkReader()
        self._buffer = memoryview(bytearray(BATCH_BYTES))
        self._unit: list[_Work] = []
        self._bytes = 0
        self._xorbs: set[str] = set()

    async def run(self, files: Sequence[FileEntry]) -> None:
        """Hash files."""
        try:
            for each in files:
                await self._add(each)
            await self._flush()
        finally:
            self._open.close()

    async def _add(self, file: FileEntry) -> None:
        hashed, terms = self._begun(file.terms)
        start, end = file.terms.offset(terms), file.terms.size
        self._done.add(start)
        if start == end:
            self._done.digests[file.hash] = hashed.hexdigest()
            return
        left = end - start
        async for piece in pieces(file.terms, self._locate, start, end):
            full = (
                self._bytes + piece.bytes > _UNIT_BYTES
                or len(self._unit) == _UNIT_PIECES
                or len(self._xorbs | {piece.blob}) > _UNIT_XORBS
            )
            if full and self._unit:
                await self._flush()
            left -= piece.bytes
            self._unit.append(_Work(piece, file, hashed, not left))
            self._bytes += piece.bytes
            self._xorbs.add(piece.blob)

    async def _flush(self) -> None:
        unit, size = self._unit, self._bytes
        self._unit, self._bytes, self._xorbs = [], 0, set()
        async with self._turns:
            fds = await self._open.fds([work.piece for work in unit])
            try:
                await to_thread_to_the_end(self._hash, unit, fds)
            except BlobCorrupt:
                await self._open.distrust([work.piece for work in unit])
                raise
        self._done.add(size)

    def _hash(self, unit: Sequence[_Work], fds: Sequence[int]) -> None:
        for work, fd in zip(unit, fds, strict=True):
            out = self._buffer[: work.piece.bytes]
            self._reader.read(fd, work.piece, out)
            work.hashed.update(out)
            if work.is_last:
                self._done.digests[work.file.hash] = work.hashed.hexdigest()
