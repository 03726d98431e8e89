"""LFS objects that lie in the store as they came, cut into chunks so that they deduplicate too.

The object is read once and put into xorbs, but for the chunks that are stored already; the file
made of these is registered as one that a client sends, so its sha256 is computed from the stored
xorbs before the plain bytes may go.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, select

from hubstead import blobs
from hubstead.blobs import BlobKey, BlobKind, BlobStore
from hubstead.blobs.tables import blobs as blobs_table
from hubstead.db import Database, indexed, scan
from hubstead.errors import NotBuilt
from hubstead.xet.chunker import Chunker, can_compile
from hubstead.xet.dedup_shards import is_eligible
from hubstead.xet.encoder import encode_record
from hubstead.xet.hashes import HASH_BYTES, chunk_hash, file_hash, merkle_root, range_hash, to_text
from hubstead.xet.records import MAX_CHUNKS, MAX_UNPACKED_BYTES
from hubstead.xet.shards import FileEntry, Shard
from hubstead.xet.store import XetStore
from hubstead.xet.terms import Term, Terms

#: A smaller object is hardly larger than the rows that its chunks would take.
LEAST_BYTES = 64 * 1024
_PAGE = 100


class PlainObject(NamedTuple):
    """An LFS object whose bytes lie in the store as they are."""

    name: str
    bytes: int


_PLAIN = scan(
    select(blobs_table.c.name, blobs_table.c.bytes)
    .where(
        blobs_table.c.kind == BlobKind.LFS.value,
        blobs_table.c.folded_ms.is_(None),
        blobs_table.c.doomed_ms.is_(None),
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
        blobs_table.c.folded_ms.is_(None),
        blobs_table.c.doomed_ms.is_(None),
    ),
    int,
)


class ConvertedObject(msgspec.Struct, frozen=True):
    """An LFS object that is now made of chunks."""

    sha256: str
    bytes: int
    stored: int  # bytes of the xorbs that had to be stored for it


async def plain_objects(db: Database) -> AsyncIterator[PlainObject]:
    """Yield the LFS objects that could be converted."""
    after = ""
    while rows := await db.all(_PLAIN, after=after):
        for row in rows:
            yield row
        after = rows[-1].name


class Converter:
    """Converts LFS objects one by one.

    Raises:
        NotBuilt: the extra ``convert`` is not installed: plain Python cuts 4 MB a second.
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
            ShardRefused: what was made of it is wrong, or has too many terms; the plain bytes
                stay.
            BlobNotFound: it went meanwhile.
        """
        key = BlobKey(BlobKind.LFS, sha256)
        size = await self._db.one(_ONE, which_name=sha256)
        holders = await blobs.linking_repos(self._db, key)
        if not size or not holders:
            return None
        making = _Making(self._xet, holders[0].repo_pk)
        source = await blobs.open_blob(self._db, self._store, key)
        async for piece in source.chunks():
            await making.add(await asyncio.to_thread(making.cutter.feed, piece))
        await making.add(await asyncio.to_thread(making.cutter.finish))
        entry = await making.finish(sha256)
        await self._xet.register(making.repo_pk, None, Shard([entry], []))
        await self._db.write(lambda tx: blobs.mark_reconstructable(tx, [sha256]))
        return ConvertedObject(sha256, size, making.stored)


class _Chunk(msgspec.Struct, frozen=True):
    hash: bytes
    data: bytes


class _Cutter:
    """Cuts and hashes; runs in a thread."""

    def __init__(self) -> None:
        self._chunker = Chunker()
        self._held = bytearray()

    def feed(self, piece: bytes) -> list[_Chunk]:
        """Return the chunks that end in the next bytes."""
        found, at = [], 0
        for length in self._chunker.feed(piece):
            end = at + length - len(self._held)
            self._held += piece[at:end]
            found.append(self._taken())
            at = end
        self._held += piece[at:]
        return found

    def finish(self) -> list[_Chunk]:
        """Return the last chunk."""
        return [self._taken()] if self._chunker.finish() else []

    def _taken(self) -> _Chunk:
        data = bytes(self._held)
        self._held.clear()
        return _Chunk(chunk_hash(data), data)


@dataclass
class _Draft:
    """A xorb being filled; its name is known when it is full."""

    name: bytes = b""
    chunks: list[_Chunk] = field(default_factory=list)
    unpacked: int = 0

    def has_room(self, chunk: _Chunk) -> bool:
        return len(self.chunks) < MAX_CHUNKS and self.unpacked + len(chunk.data) <= (
            MAX_UNPACKED_BYTES
        )


@dataclass
class _Run:
    """Chunks of the file that follow each other in one xorb as well."""

    xorb: _Draft
    start: int
    end: int
    bytes: int
    hashes: bytearray


class _Making:
    """The file that one object becomes."""

    def __init__(self, xet: XetStore, repo_pk: int) -> None:
        self.repo_pk = repo_pk
        self.cutter = _Cutter()
        self.stored = 0
        self._xet = xet
        self._draft = _Draft()
        self._places: dict[bytes, tuple[_Draft, int]] = {}
        self._runs: list[_Run] = []
        self._leaves: list[tuple[bytes, int]] = []

    async def add(self, chunks: Sequence[_Chunk]) -> None:
        """Take the next chunks."""
        for chunk in chunks:
            first = not self._leaves
            self._leaves.append((chunk.hash, len(chunk.data)))
            place = self._places.get(chunk.hash)
            if place is None and (first or is_eligible(chunk.hash)):
                await self._look_for(chunk.hash)
                place = self._places.get(chunk.hash)
            if place is None:
                place = await self._put(chunk)
            self._extend(place, chunk)

    async def _look_for(self, raw: bytes) -> None:
        """Learn all chunks of a xorb that is stored already and has this one."""
        for xorb, _ in await self._xet.xorbs_containing(raw):
            if not await self._xet.touch([xorb]):
                continue
            index = await self._xet.index(xorb)
            known = _Draft(name=index.name())
            for at in range(len(index)):
                self._places.setdefault(index.hash_at(at), (known, at))
            return

    async def _put(self, chunk: _Chunk) -> tuple[_Draft, int]:
        if not self._draft.has_room(chunk):
            await self._store()
        self._draft.chunks.append(chunk)
        self._draft.unpacked += len(chunk.data)
        place = self._draft, len(self._draft.chunks) - 1
        self._places[chunk.hash] = place
        return place

    def _extend(self, place: tuple[_Draft, int], chunk: _Chunk) -> None:
        xorb, at = place
        last = self._runs[-1] if self._runs else None
        if last is None or last.xorb is not xorb or last.end != at:
            last = _Run(xorb, at, at, 0, bytearray())
            self._runs.append(last)
        last.end += 1
        last.bytes += len(chunk.data)
        last.hashes += chunk.hash

    async def _store(self) -> None:
        """Store the xorb that is being filled, and begin another one."""
        draft, self._draft = self._draft, _Draft()
        leaves = ((chunk.hash, len(chunk.data)) for chunk in draft.chunks)
        draft.name = await asyncio.to_thread(merkle_root, leaves)
        incoming = await self._xet.incoming(to_text(draft.name))

        def write() -> None:
            for chunk in draft.chunks:
                incoming.feed(encode_record(chunk.data))
            incoming.commit()

        try:
            await asyncio.to_thread(write)
            new = await self._xet.accept(incoming, self.repo_pk)
        finally:
            await asyncio.to_thread(incoming.abort)
        if new and incoming.index is not None:
            self.stored += incoming.index.size
        draft.chunks = []

    async def finish(self, sha256: str) -> FileEntry:
        """Store what is left and return the file."""
        if self._draft.chunks:
            await self._store()
        return await asyncio.to_thread(self._entry, sha256)

    def _entry(self, sha256: str) -> FileEntry:
        terms = Terms.of(Term(run.xorb.name, run.start, run.end, run.bytes) for run in self._runs)
        proofs = b"".join(range_hash(bytes(run.hashes)) for run in self._runs)
        assert len(proofs) == HASH_BYTES * len(terms)
        return FileEntry(file_hash(self._leaves), terms, proofs, sha256)
