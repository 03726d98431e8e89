"""Converts plain LFS objects to chunks, so that they deduplicate too.

The converter reads the object once and writes those of its chunks that are not stored yet to new
xorbs. It registers the file as if a client had uploaded it, so the hub computes its sha256 from the
stored xorbs before the plain bytes may go.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, select

from hubstead import blobs
from hubstead.admission import Lane, run_in_lane
from hubstead.blobs import BlobKey, BlobKind, BlobStore
from hubstead.blobs.tables import blobs as blobs_table
from hubstead.db import Database, indexed, scan
from hubstead.errors import NotBuilt
from hubstead.xet.chunker import Chunker, can_compile
from hubstead.xet.dedup_shards import is_eligible
from hubstead.xet.encoder import encode_record
from hubstead.xet.hashes import HASH_BYTES, chunk_hash, file_hash, merkle_root, range_hash, to_text
from hubstead.xet.index import xorbs_containing
from hubstead.xet.records import MAX_CHUNKS, MAX_UNPACKED_BYTES
from hubstead.xet.shards import FileEntry, Shard
from hubstead.xet.store import XetStore
from hubstead.xet.terms import Term, Terms
from hubstead.xet.xorb_upload import XorbUpload

#: A smaller object is hardly larger than the rows of its chunks.
LEAST_BYTES = 64 * 1024
_PAGE = 100


class PlainObject(NamedTuple):
    """An LFS object that is stored as one blob."""

    name: str
    bytes: int


_PLAIN = scan(
    select(blobs_table.c.name, blobs_table.c.bytes)
    .where(
        blobs_table.c.kind == BlobKind.LFS.value,
        blobs_table.c.reconstructable_ms.is_(None),
        blobs_table.c.unreferenced_ms.is_(None),
        blobs_table.c.bytes >= LEAST_BYTES,
        blobs_table.c.name > bindparam("after"),
    )
    .order_by(blobs_table.c.name)
    .limit(_PAGE),
    PlainObject,
)
_ONE = indexed(
    select(blobs_table.c.bytes).where(
        blobs_table.c.kind == BlobKind.LFS.value,
        blobs_table.c.name == bindparam("which_name"),
        blobs_table.c.reconstructable_ms.is_(None),
        blobs_table.c.unreferenced_ms.is_(None),
    ),
    int,
)


class ConvertedObject(msgspec.Struct, frozen=True):
    """An LFS object that was converted."""

    sha256: str
    bytes: int
    stored: int  # bytes of the new xorbs


async def plain_objects(db: Database) -> AsyncIterator[PlainObject]:
    """Yield the LFS objects that can be converted."""
    after = ""
    while rows := await db.all(_PLAIN, after=after):
        for row in rows:
            yield row
        after = rows[-1].name


class Converter:
    """Converts LFS objects one by one.

    Raises:
        NotBuilt: the extra ``convert`` is missing; plain Python chunks only 4 MB a second.
    """

    def __init__(self, db: Database, store: BlobStore, xet: XetStore) -> None:
        if not can_compile():
            raise NotBuilt(
                what="cutting LFS objects without numba (pip install 'hubstead[convert]')"
            )
        self._db = db
        self._store = store
        self._xet = xet

    async def convert(self, sha256: str) -> ConvertedObject | None:
        """Convert one object; None if it is gone, in no repository, or converted already.

        Raises:
            ShardRefused: the converted file is wrong or has too many terms; the plain bytes stay.
            BlobNotFound: the object was deleted meanwhile.
        """
        key = BlobKey(BlobKind.LFS, sha256)
        size = await self._db.one(_ONE, which_name=sha256)
        linking = await blobs.linking_repos(self._db, key)
        if not size or not linking:
            return None
        conversion = _Conversion(self._db, self._xet, linking[0].repo_pk)
        source = await blobs.open_blob(self._db, self._store, key)
        async for piece in source.chunks():
            await conversion.add(await run_in_lane(Lane.DIGESTS, conversion.chunker.feed, piece))
        await conversion.add(await run_in_lane(Lane.DIGESTS, conversion.chunker.finish))
        entry = await conversion.finish(sha256)
        await self._xet.shards.register(conversion.repo_pk, None, Shard([entry], []))
        await self._db.write(blobs.mark_reconstructable, [sha256])
        return ConvertedObject(sha256, size, conversion.stored)


class _Chunk(msgspec.Struct, frozen=True):
    hash: bytes
    data: bytes


class _HashingChunker:
    """Yields chunks with their hashes; runs in a thread."""

    def __init__(self) -> None:
        self._chunker = Chunker()
        self._open = bytearray()  # the chunk that has not ended

    def feed(self, piece: bytes) -> list[_Chunk]:
        """Return the chunks that end in the next bytes."""
        chunks, at = [], 0
        for length in self._chunker.feed(piece):
            end = at + length - len(self._open)
            self._open += piece[at:end]
            chunks.append(self._end_chunk())
            at = end
        self._open += piece[at:]
        return chunks

    def finish(self) -> list[_Chunk]:
        """Return the last chunk, if any."""
        return [self._end_chunk()] if self._chunker.finish() else []

    def _end_chunk(self) -> _Chunk:
        data = bytes(self._open)
        self._open.clear()
        return _Chunk(chunk_hash(data), data)


@dataclass
class _XorbDraft:
    """A new xorb, whose name is known once it is full, or a stored xorb."""

    name: bytes = b""
    chunks: list[_Chunk] = field(default_factory=list)
    unpacked: int = 0

    def has_room(self, chunk: _Chunk) -> bool:
        return len(self.chunks) < MAX_CHUNKS and self.unpacked + len(chunk.data) <= (
            MAX_UNPACKED_BYTES
        )


@dataclass
class _Run:
    """Chunks that are consecutive both in the file and in one xorb."""

    xorb: _XorbDraft
    start: int
    end: int
    bytes: int
    hashes: bytearray


class _Conversion:
    """The conversion of one object."""

    def __init__(self, db: Database, xet: XetStore, repo_pk: int) -> None:
        self._db = db
        self.repo_pk = repo_pk
        self.chunker = _HashingChunker()
        self.stored = 0
        self._xet = xet
        self._draft = _XorbDraft()
        self._places: dict[bytes, tuple[_XorbDraft, int]] = {}
        self._runs: list[_Run] = []
        self._leaves: list[tuple[bytes, int]] = []

    async def add(self, chunks: Sequence[_Chunk]) -> None:
        """Add the next chunks of the file."""
        for chunk in chunks:
            is_first = not self._leaves
            self._leaves.append((chunk.hash, len(chunk.data)))
            place = self._places.get(chunk.hash)
            if place is None and (is_first or is_eligible(chunk.hash)):
                await self._find_stored(chunk.hash)
                place = self._places.get(chunk.hash)
            if place is None:
                place = await self._put(chunk)
            self._extend(place, chunk)

    async def _find_stored(self, raw: bytes) -> None:
        """Add the places of all chunks of a stored xorb that contains this chunk."""
        for xorb, _ in await xorbs_containing(self._db, raw):
            if not await self._xet.renew_xorbs([xorb]):
                continue
            index = await self._xet.indexes.get(xorb.blob)
            known = _XorbDraft(name=index.name())
            for at in range(len(index)):
                self._places.setdefault(index.hash_at(at), (known, at))
            return

    async def _put(self, chunk: _Chunk) -> tuple[_XorbDraft, int]:
        if not self._draft.has_room(chunk):
            await self._store()
        self._draft.chunks.append(chunk)
        self._draft.unpacked += len(chunk.data)
        place = self._draft, len(self._draft.chunks) - 1
        self._places[chunk.hash] = place
        return place

    def _extend(self, place: tuple[_XorbDraft, int], chunk: _Chunk) -> None:
        xorb, at = place
        last = self._runs[-1] if self._runs else None
        if last is None or last.xorb is not xorb or last.end != at:
            last = _Run(xorb, at, at, 0, bytearray())
            self._runs.append(last)
        last.end += 1
        last.bytes += len(chunk.data)
        last.hashes += chunk.hash

    async def _store(self) -> None:
        """Store the draft and begin a new one."""
        draft, self._draft = self._draft, _XorbDraft()
        leaves = ((chunk.hash, len(chunk.data)) for chunk in draft.chunks)
        draft.name = await run_in_lane(Lane.DIGESTS, merkle_root, leaves)
        async with self._xet.receive_xorb(to_text(draft.name), self.repo_pk) as upload:
            await run_in_lane(Lane.DIGESTS, _feed, upload, draft.chunks)
        if upload.is_new and upload.index is not None:
            self.stored += upload.index.size
        draft.chunks = []

    async def finish(self, sha256: str) -> FileEntry:
        """Store the last draft and return the file."""
        if self._draft.chunks:
            await self._store()
        return await run_in_lane(Lane.DIGESTS, self._entry, sha256)

    def _entry(self, sha256: str) -> FileEntry:
        terms = Terms.of(Term(run.xorb.name, run.start, run.end, run.bytes) for run in self._runs)
        ranges = b"".join(range_hash(bytes(run.hashes)) for run in self._runs)
        assert len(ranges) == HASH_BYTES * len(terms)
        return FileEntry(file_hash(self._leaves), terms, ranges, sha256)


def _feed(upload: XorbUpload, chunks: Sequence[_Chunk]) -> None:
    for chunk in chunks:
        upload.feed(encode_record(chunk.data))
