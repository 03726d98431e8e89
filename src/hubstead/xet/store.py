"""The Xet store of a hub: receives xorbs and shards, plans and opens files."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress

import msgspec

from hubstead.admission import Lane, run_to_the_end, start_detached
from hubstead.blobs import (
    Blob,
    BlobKey,
    BlobKind,
    BlobStore,
    NewUpload,
    NodeCache,
    Sha256Verifier,
    UploadReceiver,
    open_intact,
    receive_upload,
    require_unmarked,
)
from hubstead.db import Database
from hubstead.errors import BlobDamaged, BlobNotFound, HubError
from hubstead.settings import BlobSettings, XetSettings
from hubstead.xet.damage import DamageCheck
from hubstead.xet.eager_hasher import EagerHasher
from hubstead.xet.epochs import Epochs
from hubstead.xet.file_hasher import FileHasher
from hubstead.xet.files import XetFile, locate_object
from hubstead.xet.hashes import to_raw, to_text
from hubstead.xet.index import (
    KnownXorb,
    UploadedXorb,
    add_xorb,
    find_live_xorb,
    find_xorb,
    find_xorbs,
    renew_xorbs,
)
from hubstead.xet.index_cache import IndexCache
from hubstead.xet.plans import ReconstructionPlan, make_plan
from hubstead.xet.reader import StoredXorb, XetSource
from hubstead.xet.shard_registration import ShardRegistration
from hubstead.xet.verification import verify_xorb
from hubstead.xet.work_units import DEFAULT_UNITS, WorkUnits
from hubstead.xet.xorb_parser import ChunkObserver
from hubstead.xet.xorb_upload import XorbUpload

#: Memory for cached indexes: complete ones for uploads, ones without hashes for downloads.
_INDEXES_BYTES = 32 << 20
_OFFSETS_BYTES = 32 << 20
#: Xorbs sent at once to a store that is not on this node: each takes 40 MB of memory.
_REMOTE_COMMITS = 3
_LOCAL_COMMITS = 1000


class PlannedFile(msgspec.Struct, frozen=True):
    """The plan for a part of a file, and the blobs of the xorbs in it."""

    plan: ReconstructionPlan
    blobs: dict[bytes, str]  # blob name by raw xorb hash


class XetStore:
    """Xorbs and files. For one event loop.

    The parts serve on their own: ``epochs``, ``damage``, ``shards`` (registers the files of a
    shard), ``indexes`` (of xorbs, with hashes), ``eager_hasher`` and ``cache`` (blobs as files
    of this node).

    Args:
        db: The database of xorbs and files.
        blobs: The store of their bytes.
        cache: This node's copies of blobs.
        settings: Limits and retention times.
        blob_settings: How long uploads and downloads take, and uploaded blobs stay.
        max_file_bytes: The largest file.
        units: How much work is done at a time.
    """

    def __init__(
        self,
        db: Database,
        blobs: BlobStore,
        cache: NodeCache,
        settings: XetSettings,
        blob_settings: BlobSettings,
        *,
        max_file_bytes: int,
        units: WorkUnits = DEFAULT_UNITS,
    ) -> None:
        self.cache = cache
        self.epochs = Epochs(db)
        self.damage = DamageCheck(db, blobs)
        self.indexes = IndexCache(db, _INDEXES_BYTES, hashes=True)
        self._offsets = IndexCache(db, _OFFSETS_BYTES, hashes=False)
        hasher = FileHasher(cache, units)
        self.eager_hasher = EagerHasher(hasher.extend_digest)
        self._verifications: dict[str, asyncio.Task[None]] = {}
        self.shards = ShardRegistration(
            db,
            settings,
            blob_settings,
            max_file_bytes,
            self.indexes,
            hasher,
            self.eager_hasher,
            self.damage,
            self.epochs,
            units,
            self.report_damage,
        )
        self._units = units
        self._db = db
        self._blobs = blobs
        self._settings = settings
        self._blob_settings = blob_settings
        self._commits = asyncio.Semaphore(_LOCAL_COMMITS if blobs.files else _REMOTE_COMMITS)

    async def close(self) -> None:
        """Cancel background reads and downloads."""
        await self.eager_hasher.close()
        for task in list(self._verifications.values()):
            task.cancel()
        await asyncio.gather(*self._verifications.values(), return_exceptions=True)
        await self.cache.close()

    # -- xorbs --------------------------------------------------------------------------------

    @asynccontextmanager
    async def receive_xorb(
        self, name: str, repo_pk: int, *, session: str | None = None
    ) -> AsyncIterator[XorbUpload]:
        """Receive the xorb called ``name``: feed its bytes to the upload within the block.

        When the block ends, the xorb is verified, made durable and registered for the
        repository; ``is_new`` of the upload says whether its bytes were needed. An error within
        the block discards the bytes.

        Args:
            name: The hash string of the xorb.
            repo_pk: The repository that the client uploads to.
            session: The client's upload, for `EagerHasher`; None does without.

        Raises:
            InvalidInput: ``name`` is no hash string.
            XorbRefused: the bytes are not the xorb of this name.
            StorageFull: the disk is full.
            Unavailable: the store does not answer; or the stored xorb was deleted meanwhile, and
                the client has to send it again.
            Conflict: the repository is gone.
        """
        observing = nullcontext() if session is None else self.eager_hasher.observe(session)
        with observing as observer:
            on_chunk = None if observer is None else observer.on_chunk
            upload = await self._begin_upload(name, on_chunk)
            try:
                yield upload
                await self._commit(upload)
            finally:
                await run_to_the_end(Lane.BACKGROUND, upload.abort)
            await self._register(upload, repo_pk)
            if observer is not None and upload.is_new and upload.index is not None:
                observer.confirm(upload.key.name, upload.index)

    async def adopt_xorb(self, name: str, repo_pk: int, upload_id: str) -> None:
        """Receive the xorb called ``name`` from a direct upload to the blob store.

        Raises:
            BlobNotFound: the direct upload has no bytes, or was adopted or refused before.
            HubError: as `receive_xorb`; a xorb with a footer is refused as well.
        """
        upload = XorbUpload(name, _new_key(), local_copy=await self.cache.aside())
        known = await find_xorb(self._db, name)
        if known is not None and await self.damage.is_damaged(known):
            upload.replaces = known.blob
        try:
            if self._blobs.direct is None:
                raise BlobNotFound(name=upload_id)
            await self._blobs.direct.adopt(upload_id, upload.key, upload)
            upload.mark_durable()
        finally:
            await run_to_the_end(Lane.BACKGROUND, upload.abort)
        await self._register(upload, repo_pk)

    async def renew_xorbs(self, xorbs: Iterable[KnownXorb]) -> bool:
        """Restart the retention time of xorbs, because a client is about to rely on them.

        Returns:
            Whether all of them still exist.
        """
        wanted = list(xorbs)
        remaining = await self._db.write(renew_xorbs, wanted, self._settings)
        return all(xorb.blob in remaining for xorb in wanted)

    async def _begin_upload(self, name: str, on_chunk: ChunkObserver | None) -> XorbUpload:
        to_raw(name)
        known = await find_xorb(self._db, name)
        is_damaged = known is not None and await self.damage.is_damaged(known)
        if not is_damaged and await find_live_xorb(self._db, name) is not None:
            # The store has these bytes: those of the client are verified and not written.
            return XorbUpload(name, _new_key(), on_chunk=on_chunk)
        local_copy = await self.cache.aside()
        upload = XorbUpload(name, _new_key(), self._blobs, local_copy=local_copy, on_chunk=on_chunk)
        upload.replaces = known.blob if known is not None and is_damaged else None
        return upload

    async def _commit(self, upload: XorbUpload) -> None:
        """Verify and commit in a thread, which has ended when this returns or is cancelled."""
        async with self._commits:
            await run_to_the_end(Lane.WRITES, upload.commit)

    async def _register(self, upload: XorbUpload, repo_pk: int) -> None:
        uploaded = UploadedXorb(upload.name, upload.key, upload.index, upload.replaces)
        try:
            upload.is_new = await self._db.write(add_xorb, repo_pk, uploaded, self._settings)
            if upload.is_new:
                assert upload.index is not None
                self.indexes.add(upload.key.name, upload.index)
                if upload.local_copy is not None:
                    await self.cache.offer(upload.key, upload.local_copy)
            elif upload.index is not None:
                await self._blobs.delete(upload.key)
        finally:
            upload.drop_local_copy()

    # -- files --------------------------------------------------------------------------------

    @asynccontextmanager
    async def receive_lfs_object(
        self, repo_pk: int, sha256: str, size: int, *, pusher_pk: int | None
    ) -> AsyncIterator[UploadReceiver]:
        """Receive the plain bytes of an LFS object, as `hubstead.blobs.receive_upload` does.

        If the stored object cannot be read, the new bytes replace it, and its files made of damaged
        xorbs are deleted: no client may learn of a file that cannot be read.
        """
        key = BlobKey(BlobKind.LFS, sha256)
        is_damaged = bool(await self.damage.damaged_objects([sha256]))
        verify = Sha256Verifier(sha256, size)
        upload = NewUpload(repo_pk, key, size, verify, pusher_pk, replace=is_damaged)
        async with receive_upload(self._db, self._blobs, self._blob_settings, upload) as receiver:
            yield receiver
        if is_damaged:
            await self.damage.drop_damaged_files(sha256)

    async def plan(self, file: XetFile, start: int, end: int) -> PlannedFile:
        """Plan the bytes from ``start`` up to ``end`` (exclusive) of a file.

        An ``end`` beyond the file means its end; an empty file has an empty plan.

        Raises:
            RangeNotSatisfiable: the file has no such bytes.
            BlobNotFound: the file was deleted meanwhile.
            BlobDamaged: a xorb of it is marked as damaged.
        """
        needed = file.terms.xorbs(file.terms.between(start, end))
        located = await self._locate(needed, self._offsets)
        await require_unmarked(self._db, BlobKind.XORB, [xorb.blob for xorb in located.values()])
        indexes = {xorb: stored.index for xorb, stored in located.items()}
        plan = make_plan(file.terms, indexes, start, end)
        return PlannedFile(plan, {xorb: stored.blob for xorb, stored in located.items()})

    async def open_object(self, sha256: str) -> Blob:
        """Open an LFS object: its plain blob, or its reconstruction from xorbs.

        Raises:
            BlobNotFound: there is no such object.
            BlobDamaged: its bytes are gone, or have another size.
        """
        located = await locate_object(self._db, sha256)
        if located is None:
            raise BlobNotFound(name=sha256)
        key = BlobKey(BlobKind.LFS, sha256)
        if located.place is not None:
            return await open_intact(self._blobs, key, located.place, located.bytes)
        if located.file is None:
            raise BlobDamaged(blob=str(key), fault="no file of xorbs has its bytes")
        return self.open_file(located.file)

    def open_file(self, file: XetFile) -> XetSource:
        """Open a file, which is reconstructed from xorbs and checked while it is read."""

        async def locate(xorbs: Sequence[bytes]) -> Mapping[bytes, StoredXorb]:
            return await self._locate(xorbs, self.indexes)

        return XetSource(file.terms, locate, self.cache, self._units, self.report_damage)

    def report_damage(self, blob: str) -> None:
        """Have the xorb of blob ``xorb/<name>`` verified in the store, and marked if need be."""
        name = blob.removeprefix(f"{BlobKind.XORB}/")
        if name not in self._verifications:
            task = self._verifications[name] = start_detached(self._verify(name))
            task.add_done_callback(lambda _task: self._verifications.pop(name, None))

    async def _verify(self, blob: str) -> None:
        with suppress(HubError):  # the store fails: the next reader reports the damage again
            await verify_xorb(self._db, self._blobs, blob)

    async def _locate(
        self, xorbs: Sequence[bytes], indexes: IndexCache
    ) -> Mapping[bytes, StoredXorb]:
        names = [to_text(xorb) for xorb in xorbs]
        known = await find_xorbs(self._db, names)
        for name in names:
            if name not in known:
                raise BlobNotFound(name=name)
        offsets = await indexes.get_many(xorb.blob for xorb in known.values())
        blobs = [known[name].blob for name in names]
        return {
            xorb: StoredXorb(blob, offsets[blob]) for xorb, blob in zip(xorbs, blobs, strict=True)
        }


def _new_key() -> BlobKey:
    return BlobKey(BlobKind.XORB, secrets.token_hex(32))
