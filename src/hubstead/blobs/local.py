"""Blobs as files in a local folder.

A writer writes and verifies a file in ``incoming``, fsyncs it, links it under its name, and fsyncs
that folder: a visible blob is whole and survives a power cut.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hubstead.admission import Lane, run_in_lane
from hubstead.blobs.interface import StoredBlob
from hubstead.blobs.keys import BlobKind, StoredKey
from hubstead.blobs.layout import INCOMING, UPLOADS, blob_key, blob_path
from hubstead.blobs.local_uploads import LocalPartUploads
from hubstead.blobs.store_base import CHUNK_BYTES, ByteCount, PutThroughWriter, check_range
from hubstead.blobs.verifiers import Verifier
from hubstead.errors import BlobNotFound, StorageFull, StorageReadOnly
from hubstead.files import (
    Folders,
    make_folder,
    put_in_place,
    reveal,
    storage_errors,
    write_all,
)

_RESERVE_CHECK_BYTES = 64 << 20


class LocalBlobs(PutThroughWriter):
    """A `BlobStore` in the folder ``root``, which it creates if missing.

    It rejects writes while the disk has less than ``min_free_bytes`` of free space, so that a
    database on the same disk can still write. ``lock_wait_s`` is how long `PartUploads.assemble`
    waits for parts that are still being written, in seconds.
    """

    is_shared = False
    direct = None

    def __init__(self, root: Path, *, min_free_bytes: int = 0, lock_wait_s: float = 20.0) -> None:
        self.root = root.absolute()
        self._min_free = min_free_bytes
        self._folders = Folders(self.root)
        self._create_folders()
        self.parts = LocalPartUploads(
            self.root, check_room=self.check_room, reveal=self.reveal, lock_wait_s=lock_wait_s
        )

    def _create_folders(self) -> None:
        try:
            with storage_errors():
                make_folder(self.root)
                self._folders.ensure(self.root / INCOMING)
                self._folders.ensure(self.root / UPLOADS)
        except StorageReadOnly:  # a copy, whose blobs can be read
            if not self.root.is_dir():
                raise

    @property
    def files(self) -> LocalBlobs:
        """See `BlobStore.files`."""
        return self

    async def path(self, key: StoredKey) -> Path:
        """See `BlobFiles.path`."""
        return (await self.open(key)).path

    def writer(
        self, key: StoredKey, verify: Verifier, *, size: int | None = None, replace: bool = False
    ) -> LocalWriter:
        """See `BlobStore.writer`."""
        self.check_room(size or 0)
        return LocalWriter(self, self.root / blob_path(key), verify, size, replace=replace)

    def check_room(self, size: int = 0) -> None:
        """Check the free space of the disk.

        Raises:
            StorageFull: if ``size`` more bytes would use up the reserve.
        """
        if self.free_bytes() < self._min_free + size:
            raise StorageFull

    def free_bytes(self) -> int:
        """Return the free space of the disk in bytes, the reserve included."""
        with storage_errors():
            disk = os.statvfs(self.root)
        return disk.f_bavail * disk.f_frsize

    def incoming(self) -> Path:
        """Return a new path for a file being written."""
        return self.root / INCOMING / secrets.token_hex(16)

    def reveal(self, source: Path, target: Path, *, replace: bool = False) -> int:
        """Turn a durable file into the blob at ``target``; return the size of that blob."""
        self._folders.ensure(target.parent)
        size = source.stat().st_size
        if replace:
            put_in_place(source, target, self.incoming())
            return size
        while True:
            reveal(source, target)
            try:
                return target.stat().st_size
            except FileNotFoundError:
                # Older bytes had the name and were deleted just now. Retry with the new ones,
                # unless they had the name already and were deleted, too.
                if not source.exists():
                    return size

    async def open(self, key: StoredKey) -> LocalBlob:
        """See `BlobStore.open`."""
        path = self.root / blob_path(key)
        with storage_errors():
            try:
                return LocalBlob(os.stat(path).st_size, path)
            except FileNotFoundError:
                raise BlobNotFound(name=key.name) from None

    async def size(self, key: StoredKey) -> int | None:
        """See `BlobStore.size`."""
        with storage_errors():
            try:
                return os.stat(self.root / blob_path(key)).st_size
            except FileNotFoundError:
                return None

    async def delete(self, key: StoredKey) -> bool:
        """See `BlobStore.delete`."""
        return await run_in_lane(Lane.BACKGROUND, _unlink, self.root / blob_path(key))

    async def keys(self, kind: BlobKind) -> AsyncIterator[StoredBlob]:
        """See `BlobStore.keys`."""
        for folder in await run_in_lane(Lane.TRANSFERS, _folders_in, self.root / kind):
            for stored in await run_in_lane(Lane.TRANSFERS, self._stored_below, kind, folder):
                yield stored

    def _stored_below(self, kind: BlobKind, folder: Path) -> list[StoredBlob]:
        return [
            StoredBlob(key, stat.st_size, stat.st_mtime_ns // 1_000_000)
            for inner in _folders_in(folder)
            for path, stat in _files_in(inner)
            if (key := blob_key(kind, path.relative_to(self.root).as_posix()))
        ]

    # -- upkeep -----------------------------------------------------------------------------

    async def sweep(self, older_than_s: float) -> int:
        """See `BlobStore.sweep`."""
        return await run_in_lane(Lane.BACKGROUND, self._sweep, time.time() - older_than_s)

    def _sweep(self, before: float) -> int:
        with storage_errors():
            old = [path for path, stat in _files_in(self.root / INCOMING) if stat.st_mtime < before]
            swept = sum(_unlink(path) for path in old)
            for folder in _folders_in(self.root / UPLOADS):
                times = [stat.st_mtime for _, stat in _files_in(folder)]
                if max([*times, folder.stat().st_mtime]) < before:
                    shutil.rmtree(folder, ignore_errors=True)
                    swept += 1
        return swept

    async def ready(self) -> None:
        """See `BlobStore.ready`."""
        await run_in_lane(Lane.BACKGROUND, self._try_out)

    def _try_out(self) -> None:
        self.check_room()
        probe = self.incoming()
        with storage_errors():
            try:
                with probe.open("xb", buffering=0) as file:
                    file.write(b"ready")
                    os.fsync(file.fileno())
                assert probe.read_bytes() == b"ready"
            finally:
                probe.unlink(missing_ok=True)

    async def close(self) -> None:
        """Do nothing: no file stays open."""


class LocalWriter:
    """Writes one blob to a file in ``incoming``."""

    def __init__(
        self,
        store: LocalBlobs,
        target: Path,
        verify: Verifier,
        size: int | None,
        *,
        replace: bool,
    ) -> None:
        self._store = store
        self._target = target
        self._replace = replace
        self._verify = verify
        self._count = ByteCount(size)
        self._checked_at = 0
        self._path = store.incoming()
        with storage_errors():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._fd: int | None = os.open(self._path, flags, 0o600)

    def write(self, chunk: bytes | memoryview) -> None:
        """See `BlobWriter.write`."""
        assert self._fd is not None, "the writer is closed"
        start = self._count.seen
        self._count.add(len(chunk))
        self._verify.update(chunk)
        if start - self._checked_at >= _RESERVE_CHECK_BYTES:
            self._checked_at = start
            self._store.check_room(len(chunk))
        with storage_errors():
            write_all(self._fd, chunk, start)

    def commit(self) -> int:
        """See `BlobWriter.commit`."""
        assert self._fd is not None, "the writer is closed"
        try:
            self._count.finish()
            self._verify.finish()
            with storage_errors():
                os.fsync(self._fd)
                return self._store.reveal(self._path, self._target, replace=self._replace)
        finally:
            self.abort()

    def abort(self) -> None:
        """See `BlobWriter.abort`."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
            self._path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class LocalBlob:
    """A blob in a file."""

    size: int
    path: Path

    async def chunks(self, start: int = 0, count: int | None = None) -> AsyncIterator[bytes]:
        """See `Blob.chunks`."""
        left = check_range(start, count, self.size)
        with storage_errors():
            try:
                fd = await run_in_lane(
                    Lane.TRANSFERS, os.open, self.path, os.O_RDONLY | os.O_CLOEXEC
                )
            except FileNotFoundError:
                raise BlobNotFound(name=self.path.name) from None
        try:
            while left:
                with storage_errors():
                    chunk = await run_in_lane(
                        Lane.TRANSFERS, os.pread, fd, min(left, CHUNK_BYTES), start
                    )
                    if not chunk:
                        raise OSError(0, "a file is shorter than it was")
                yield chunk
                start += len(chunk)
                left -= len(chunk)
        finally:
            os.close(fd)


def _unlink(path: Path) -> bool:
    with storage_errors():
        try:
            path.unlink()
        except FileNotFoundError:
            return False
    return True


def _folders_in(folder: Path) -> list[Path]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    return []


def _files_in(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # deleted since the listing
                if entry.is_file(follow_symlinks=False):
                    yield Path(entry.path), entry.stat(follow_symlinks=False)
