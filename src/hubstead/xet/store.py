"""The Xet store of a hub: what the wires and the other rooms ask of this one."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

import msgspec

from hubstead.blobs import (
    Blob,
    BlobKey,
    BlobKind,
    BlobStore,
    NewUpload,
    NodeCache,
    Sha256Verifier,
    UploadReceiver,
    open_stored,
    receive_upload,
)
from hubstead.db import Database, Tx
from hubstead.errors import BlobNotFound
from hubstead.settings import Settings
from hubstead.threads import to_thread_to_the_end
from hubstead.xet import files as file_rows
from hubstead.xet import index as xorb_rows
from hubstead.xet.damage import DamageCheck
from hubstead.xet.eager_hashing import EagerHasher
from hubstead.xet.epochs import Epochs
from hubstead.xet.file_hasher import FileHasher, Progress
from hubstead.xet.files import XetFile
from hubstead.xet.hashes import to_raw, to_text
from hubstead.xet.index import KnownXorb, UploadedXorb
from hubstead.xet.index_cache import IndexCache
from hubstead.xet.plans import ReconstructionPlan, make_plan
from hubstead.xet.reader import StoredXorb, XetSource
from hubstead.xet.shard_registration import ShardRegistration
from hubstead.xet.shards import Shard
from hubstead.xet.terms import Terms
from hubstead.xet.xorb_parser import Look
from hubstead.xet.xorb_upload import XorbUpload
from hubstead.xet.xorbs import XorbIndex

#: Memory for indexes of xorbs: whole ones for uploads, places of chunks for downloads.
_HASHES_BYTES = 32 << 20
_PLACES_BYTES = 32 << 20
#: How many xorbs are sent at once to a store that is not on this node: 40 MB of memory each.
_SENT_AT_ONCE = 3
_MANY = 1000


class PlannedFile(msgspec.Struct, frozen=True):
    """How to put a part of a file together, and where the bytes of its xorbs are."""

    made: ReconstructionPlan
    blobs: dict[bytes, str]  # the name of the blob, by the raw name of the xorb


class XetStore:
    """Xorbs and files. For one event loop.

    Args:
        db: Where their rows are.
        blobs: Where their bytes are.
        cache: Those bytes as files of this node.
        settings: Limits, and how long things are kept.
    """

    def __init__(
        self, db: Database, blobs: BlobStore, cache: NodeCache, settings: Settings
    ) -> None:
        self.cache = cache
        self._db = db
        self._blobs = blobs
        self._settings = settings
        self._commits = asyncio.Semaphore(_MANY if blobs.gives_paths else _SENT_AT_ONCE)
        self._epochs = Epochs(db)
        self._hashes = IndexCache(db, _HASHES_BYTES, hashes=True)
        self._places = IndexCache(db, _PLACES_BYTES, hashes=False)
        hasher = FileHasher(cache)
        self.ahead = EagerHasher(hasher.go_on)
        self._damage = DamageCheck(db, blobs)
        self._registrar = ShardRegistration(
            db, settings, self._hashes, self._places, hasher, self.ahead, self._damage, self._epochs
        )

    async def close(self) -> None:
        """Give up what is being fetched."""
        await self.ahead.close()
        await self.cache.close()

    # -- epochs -------------------------------------------------------------------------------

    async def epoch(self) -> str:
        """Return the epoch to give out; at most a minute after another node began it."""
        return await self._epochs.current()

    async def knows_epoch(self, epoch: str) -> bool:
        """Say whether there is such an epoch."""
        return await self._epochs.knows(epoch)

    async def new_epoch(self) -> str:
        """Begin a new epoch, so that clients forget what they believe to be stored."""
        return await self._epochs.begin()

    # -- xorbs --------------------------------------------------------------------------------

    async def incoming(self, name: str, look: Look | None = None) -> XorbUpload:
        """Start to take the xorb called ``name``, which `accept` makes known.

        Args:
            name: A hash string.
            look: Is shown every chunk and its raw hash, in the thread that takes the bytes.

        Raises:
            InvalidInput: ``name`` is no hash string.
            StorageFull: there is no room.
        """
        to_raw(name)
        key = BlobKey(BlobKind.XORB, secrets.token_hex(32))
        known = await xorb_rows.find_xorb(self._db, name)
        damaged = known is not None and await self.is_damaged(known)
        if not damaged and await xorb_rows.find_settled(self._db, name) is not None:
            # Its bytes are there already: then these are checked, and not written.
            return XorbUpload(name, key, look=look)
        aside = await self.cache.aside()
        incoming = XorbUpload(name, key, self._blobs, aside=aside, look=look)
        incoming.damaged = known.blob if known is not None and damaged else None
        return incoming

    async def commit(self, incoming: XorbUpload) -> None:
        """Judge a xorb that has come whole, and make it durable.

        Only some are sent to a store elsewhere at a time, since that takes memory. When this is
        cancelled, ``incoming`` is not in use any more.

        Raises:
            XorbRefused, StorageFull, Unavailable: as `IncomingXorb.commit`.
        """
        async with self._commits:
            await to_thread_to_the_end(incoming.commit)

    async def adopt(self, name: str, upload_id: str) -> XorbUpload:
        """Take the xorb called ``name`` from a direct upload to the store; `accept` comes next.

        Raises:
            InvalidInput: ``name`` is no hash string.
            BlobNotFound: nothing was sent, or that was adopted or refused before.
            XorbRefused: it is not the xorb of that name, or has a footer.
        """
        key = BlobKey(BlobKind.XORB, secrets.token_hex(32))
        known = await xorb_rows.find_xorb(self._db, name)
        incoming = XorbUpload(name, key, aside=await self.cache.aside())
        if known is not None and await self.is_damaged(known):
            incoming.damaged = known.blob
        try:
            await self._blobs.adopt(upload_id, key, incoming)
            incoming.adopted()
        finally:
            await asyncio.to_thread(incoming.abort)
        return incoming

    async def accept(self, incoming: XorbUpload, repo_pk: int) -> bool:
        """Make known a xorb that was sent to a repository whole, and committed.

        Returns:
            Whether its bytes are kept: it is new, or those that came first were damaged. If not,
            those stay, and these go.

        Raises:
            Unavailable: it was just being removed; send it again.
            Conflict: the repository is gone.
        """

        sent = UploadedXorb(incoming.name, incoming.key, incoming.index, incoming.damaged)

        async def add(tx: Tx) -> bool:
            return await xorb_rows.add_xorb(tx, repo_pk, sent, self._settings)

        try:
            is_new = await self._db.write(add)
            if is_new:
                assert incoming.index is not None
                self._hashes.keep(incoming.key.name, incoming.index)
                if incoming.aside is not None:
                    await self.cache.offer(incoming.key, incoming.aside)
            elif incoming.index is not None:
                await self._blobs.delete(incoming.key)
        finally:
            incoming.drop_aside()
        return is_new

    async def find_xorb(self, name: str) -> KnownXorb | None:
        """Return a xorb by its hash string, whoever may know of it."""
        return await xorb_rows.find_xorb(self._db, name)

    async def is_damaged(self, xorb: KnownXorb) -> bool:
        """Say whether the bytes of a xorb are gone, cut or marked damaged.

        Raises:
            Unavailable: the store does not answer.
        """
        return bool(await self._damage.of_xorbs([xorb]))

    async def damaged_objects(self, sha256s: Sequence[str]) -> frozenset[str]:
        """Return those of the LFS objects that cannot be read, plain or put together.

        No client may be told of one of these that it need not be sent.

        Raises:
            Unavailable: the store does not answer.
        """
        return await self._damage.of_objects(sha256s)

    @asynccontextmanager
    async def receive_lfs_object(
        self, repo_pk: int, sha256: str, size: int, *, pusher_pk: int | None
    ) -> AsyncIterator[UploadReceiver]:
        """Receive the plain bytes of an LFS object, as `hubstead.blobs.receive_upload` does.

        If the stored object cannot be read, the new bytes take its place, and its files made of
        damaged xorbs are dropped: no client may learn of a file that cannot be read.
        """
        key = BlobKey(BlobKind.LFS, sha256)
        damaged = bool(await self.damaged_objects([sha256]))
        verify = Sha256Verifier(sha256, size)
        upload = NewUpload(repo_pk, key, size, verify, pusher_pk, replace=damaged)
        async with receive_upload(self._db, self._blobs, self._settings, upload) as receiver:
            yield receiver
        if damaged:
            await self._drop_damaged_files(sha256)

    async def _drop_damaged_files(self, sha256: str) -> None:
        files = await file_rows.files_of(self._db, [sha256])
        answers = await self._damage.of_terms([file.terms for _, file in files])
        lost = [pk for (pk, _), damaged in zip(files, answers, strict=True) if damaged]

        async def drop(tx: Tx) -> None:
            await file_rows.drop_files(tx, lost)

        if lost:
            await self._db.write(drop)

    async def was_uploaded(self, repo_pk: int, xorb: KnownXorb) -> bool:
        """Say whether a xorb was uploaded to a repository."""
        return await xorb_rows.was_uploaded(self._db, repo_pk, xorb.pk)

    async def touch(self, xorbs: Iterable[KnownXorb]) -> bool:
        """Keep xorbs for longer, because a client is about to learn that they are stored.

        Returns:
            Whether they all still exist.
        """
        wanted = list(xorbs)

        async def touch(tx: Tx) -> bool:
            there = await xorb_rows.touch(tx, wanted, self._settings)
            return all(each.blob in there for each in wanted)

        return await self._db.write(touch)

    async def xorbs_containing(self, chunk: bytes) -> list[tuple[KnownXorb, int]]:
        """Return some xorbs that hold a chunk (32 raw bytes), and which of their chunks it is.

        Only chunks are found that clients ask for: the first of a file, or one in a thousand.
        Who may be told is the caller's to ask (`chunk_users`, `was_uploaded`), and to `touch` them.
        """
        return await xorb_rows.xorbs_containing(self._db, chunk)

    async def chunk_users(
        self, xorb: KnownXorb, *, only: int | None = None
    ) -> dict[int, list[tuple[int, int]]]:
        """Return which chunks of a xorb repositories need, by number of the repository.

        Those of files that commits name, in up to 100 repositories; or, of the repository
        ``only``, those of all files. Ranges are in order, their ends exclusive.
        """
        return await file_rows.chunk_users(self._db, xorb.pk, to_raw(xorb.name), only=only)

    async def index(self, xorb: KnownXorb) -> XorbIndex:
        """Return what is in a xorb.

        Raises:
            BlobNotFound: it is gone.
        """
        return (await self._hashes.of([xorb.blob]))[xorb.blob]

    # -- files --------------------------------------------------------------------------------

    async def register(
        self,
        repo_pk: int,
        pusher_pk: int | None,
        shard: Shard,
        *,
        progress: Progress | None = None,
    ) -> bool:
        """Register the files of a shard in a repository, as LFS objects waiting for their commit.

        All of it is checked first, down to the sha256 of every new file; a file without bytes is
        passed over. If anything is wrong nothing is registered.

        Args:
            repo_pk: The repository.
            pusher_pk: Who sends it.
            shard: What it says.
            progress: Told how many bytes were read to compute sha256s, and of how many.

        Returns:
            Whether a file was unknown.

        Raises:
            ShardRefused: it is wrong, or a xorb is missing.
            TooLarge: a file is larger than ``max_lfs_file_bytes``.
            Unavailable: something cannot be had right now, or is just being removed.
            Conflict: the repository is gone.
        """
        return await self._registrar.register(repo_pk, pusher_pk, shard, progress)

    async def file(self, name: str) -> XetFile | None:
        """Return a file by its hash string, whoever has it.

        Which repositories do, their links to the LFS object ``sha256`` say (`find`).
        """
        return await file_rows.file_named(self._db, name)

    async def plan(self, file: XetFile, start: int, end: int) -> PlannedFile:
        """Plan the bytes from ``start`` up to ``end`` (beyond the file is its end) of a file.

        Raises:
            RangeNotSatisfiable: there are no such bytes; an empty file has an empty plan.
            BlobNotFound: the file was deleted meanwhile.
        """
        needed = file.terms.xorbs(file.terms.between(start, end))
        found = await self._locate(needed)
        indexes = {xorb: stored.index for xorb, stored in found.items()}
        made = make_plan(file.terms, indexes, start, end)
        return PlannedFile(made, {xorb: stored.blob for xorb, stored in found.items()})

    async def open_object(self, sha256: str) -> Blob:
        """Return the bytes of an LFS object: as they lie in the store, or put together.

        Raises:
            BlobNotFound: there is no such object.
        """
        found = await file_rows.object_of(self._db, sha256)
        if found is None:
            raise BlobNotFound(name=sha256)
        place, file = found
        if place is not None:
            return await open_stored(self._blobs, sha256, place)
        if file is None:
            raise BlobNotFound(name=sha256)
        return self.open_file(file)

    def open_file(self, file: XetFile) -> XetSource:
        """Return the bytes of a file, put together from xorbs as they are read."""
        return self.source(file.terms)

    def source(self, terms: Terms) -> XetSource:
        """Return the bytes that terms stand for, which need not be of a registered file."""
        return XetSource(terms, self._locate, self.cache)

    async def _locate(self, xorbs: Sequence[bytes]) -> Mapping[bytes, StoredXorb]:
        texts = [to_text(xorb) for xorb in xorbs]
        found = await xorb_rows.find_xorbs(self._db, texts)
        for text in texts:
            if text not in found:
                raise BlobNotFound(name=text)
        places = await self._places.of(each.blob for each in found.values())
        blobs = [found[text].blob for text in texts]
        return {
            xorb: StoredXorb(blob, places[blob]) for xorb, blob in zip(xorbs, blobs, strict=True)
        }
