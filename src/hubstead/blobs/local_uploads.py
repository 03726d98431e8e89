"""Multipart uploads as files: writers write every part at its offset in one file.

So assembling copies nothing: it verifies the file, which becomes the blob. A lock on the file
(shared by the writers of parts, exclusive for assembling) prevents a late or repeated part from
changing verified bytes. The lock belongs to the open file, so it ends with its process.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from hubstead.admission import Lane, run_in_lane
from hubstead.blobs.interface import PartInfo
from hubstead.blobs.keys import BlobKey, StoredKey, check_part_number
from hubstead.blobs.layout import (
    DONE,
    WHOLE,
    PartMarker,
    blob_path,
    done_name,
    done_place,
    upload_path,
)
from hubstead.blobs.store_base import (
    CHUNK_BYTES,
    ByteCount,
    already_complete,
    already_other,
    check_parts,
)
from hubstead.blobs.verifiers import Verifier
from hubstead.errors import BlobCorrupt, ConcurrentChange, InvalidInput
from hubstead.files import storage_errors, sync_folder, write_all


class Reveal(Protocol):
    """Turns a durable file into the blob at ``target``; returns the size of that blob."""

    def __call__(self, source: Path, target: Path, *, replace: bool = False) -> int:
        """Keep existing bytes unless ``replace``."""
        ...


class LocalPartUploads:
    """The `PartUploads` of a store in the folder ``root``.

    Args:
        root: The folder.
        check_room: Raises `StorageFull` if so many more bytes would use up the reserve.
        reveal: Turns an assembled file into a blob.
        lock_wait_s: How long `assemble` waits for parts that are still being written.
    """

    def __init__(
        self,
        root: Path,
        *,
        check_room: Callable[[int], None],
        reveal: Reveal,
        lock_wait_s: float,
    ) -> None:
        self._root = root
        self._check_room = check_room
        self._reveal = reveal
        self._lock_wait_s = lock_wait_s

    def writer(self, upload: str, number: int, *, offset: int, size: int) -> LocalPartWriter:
        """See `PartUploads.writer`."""
        self._check_room(size)
        return LocalPartWriter(self._upload(upload), number, offset=offset, size=size)

    async def received(self, upload: str) -> dict[int, PartInfo]:
        """See `PartUploads.received`."""
        return await run_in_lane(Lane.TRANSFERS, self._upload(upload).parts)

    async def assemble(
        self,
        upload: str,
        numbers: Sequence[int],
        key: BlobKey,
        verify: Verifier,
        *,
        size: int,
        replace: bool = False,
        place: StoredKey | None = None,
    ) -> StoredKey:
        """See `PartUploads.assemble`. Reads the bytes once, copies none."""
        place = place or key
        as_blob = partial(self._reveal, target=self._root / blob_path(place), replace=replace)
        return await run_in_lane(
            Lane.TRANSFERS,
            self._upload(upload).assemble,
            numbers,
            key,
            verify,
            as_blob,
            size=size,
            place=place,
        )

    async def drop(self, upload: str) -> None:
        """See `PartUploads.drop`."""
        await run_in_lane(Lane.BACKGROUND, self._upload(upload).drop)

    def _upload(self, upload: str) -> LocalUpload:
        return LocalUpload(upload, self._root / upload_path(upload), self._lock_wait_s)


class LocalUpload:
    """One multipart upload in ``folder``, which need not exist."""

    def __init__(self, upload: str, folder: Path, lock_wait_s: float) -> None:
        self.upload = upload
        self.folder = folder
        self._lock_wait_s = lock_wait_s
        self.whole = folder / WHOLE

    def parts(self) -> dict[int, PartInfo]:
        """Return the parts that are durable in the file."""
        with storage_errors():
            return {m.number: PartInfo(m.size, m.etag) for m in self._markers().values()}

    def is_done(self) -> bool:
        """Return whether the upload has become a blob."""
        return any(name.startswith(DONE) for name in self._names())

    def forget_part(self, number: int, *, except_for: PartMarker | None = None) -> None:
        """Delete the markers of a part, so that it counts as not received."""
        for name in self._names():
            marker = PartMarker.parse(name)
            if marker and marker.number == number and marker != except_for:
                (self.folder / name).unlink(missing_ok=True)

    def drop(self) -> None:
        """Delete the upload; its blob stays."""
        with storage_errors(), suppress(FileNotFoundError):
            shutil.rmtree(self.folder)

    def assemble(
        self,
        numbers: Sequence[int],
        key: BlobKey,
        verify: Verifier,
        as_blob: Callable[[Path], int],
        *,
        size: int,
        place: StoredKey,
    ) -> StoredKey:
        """See `PartUploads.assemble`; ``as_blob`` moves the durable file to ``place``."""
        with storage_errors():
            if done := self._done_as(key):
                return done
            with self._locked() as fd:
                if done := self._done_as(key):  # by the previous owner of the lock
                    return done
                self._check_order(numbers, size)
                self._check_bytes(fd, verify, size)
                os.fsync(fd)
                as_blob(self.whole)
                self._mark_done(key, place)
        return place

    def _names(self) -> list[str]:
        with suppress(FileNotFoundError):
            return os.listdir(self.folder)
        return []

    def _markers(self) -> dict[int, PartMarker]:
        names = self._names()
        if any(name.startswith(DONE) for name in names):
            return {}
        return {marker.number: marker for name in names if (marker := PartMarker.parse(name))}

    def _done_as(self, key: BlobKey) -> StoredKey | None:
        for name in self._names():
            if name.startswith(DONE):
                place = done_place(name, key)
                if place is None:
                    raise already_other(self.upload)
                return place
        return None

    @contextmanager
    def _locked(self) -> Iterator[int]:
        try:
            fd = os.open(self.whole, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            if self.is_done():  # since the check in `assemble`
                raise ConcurrentChange from None
            raise InvalidInput(reason=f"no part of {self.upload} has been received") from None
        try:
            _lock_exclusively(fd, self._lock_wait_s)
            yield fd
        finally:
            os.close(fd)

    def _check_order(self, numbers: Sequence[int], size: int) -> None:
        markers = self._markers()
        check_parts({n: PartInfo(m.size, m.etag) for n, m in markers.items()}, numbers, size)
        offset = 0
        for number in numbers:
            if markers[number].offset != offset:
                raise InvalidInput(reason=f"part {number} does not start at byte {offset}")
            offset += markers[number].size

    def _check_bytes(self, fd: int, verify: Verifier, size: int) -> None:
        if os.fstat(fd).st_size > size:  # a part that ``numbers`` omits
            os.ftruncate(fd, size)
        buffer = memoryview(bytearray(CHUNK_BYTES))
        offset = 0
        try:
            while count := os.preadv(fd, [buffer], offset):
                verify.update(buffer[:count])
                offset += count
            verify.finish()
        except BlobCorrupt:
            self.drop()
            raise

    def _mark_done(self, key: BlobKey, place: StoredKey) -> None:
        (self.folder / done_name(key, place)).touch(mode=0o600)
        sync_folder(self.folder)
        self.whole.unlink(missing_ok=True)
        for name in self._names():
            if PartMarker.parse(name):
                (self.folder / name).unlink(missing_ok=True)


class LocalPartWriter:
    """Writes one part at its offset."""

    def __init__(self, upload: LocalUpload, number: int, *, offset: int, size: int) -> None:
        self._upload = upload
        self._number = check_part_number(number)
        self._offset = offset
        self._count = ByteCount(size)
        self._hash = hashlib.sha256()
        with storage_errors():
            upload.folder.mkdir(mode=0o700, exist_ok=True)
            self._fd: int | None = _open_shared(upload)
            # The writer overwrites the bytes of an earlier attempt from now on.
            upload.forget_part(number)

    def write(self, chunk: bytes | memoryview) -> None:
        """See `PartWriter.write`."""
        assert self._fd is not None, "the writer is closed"
        start = self._offset + self._count.seen
        self._count.add(len(chunk))
        self._hash.update(chunk)
        with storage_errors():
            write_all(self._fd, chunk, start)

    def commit(self) -> PartInfo:
        """See `PartWriter.commit`."""
        assert self._fd is not None, "the writer is closed"
        try:
            self._count.finish()
            with storage_errors():
                os.fsync(self._fd)
                return self._mark()
        finally:
            self.abort()

    def _mark(self) -> PartInfo:
        folder, size, etag = self._upload.folder, self._count.seen, self._hash.hexdigest()
        marker = PartMarker(self._number, self._offset, size, etag)
        try:
            (folder / marker.name).touch(mode=0o600)
        except FileNotFoundError:
            raise InvalidInput(reason=f"the upload {self._upload.upload} was given up") from None
        self._upload.forget_part(self._number, except_for=marker)
        sync_folder(folder)
        sync_folder(folder.parent)
        return PartInfo(size, etag)

    def abort(self) -> None:
        """See `PartWriter.abort`."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _open_shared(upload: LocalUpload) -> int:
    """Open the file of an upload with the shared lock of a writer.

    Raises:
        ConcurrentChange: while the upload is being assembled.
        InvalidInput: if it is complete.
    """
    if upload.is_done():
        raise already_complete(upload.upload)
    fd = os.open(upload.whole, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        # With two names, or another file under this name, the opened bytes are a blob by now.
        if upload.is_done() or os.fstat(fd).st_nlink != 1 or not _is_at(fd, upload.whole):
            raise already_complete(upload.upload)
    except BlockingIOError:
        os.close(fd)
        raise ConcurrentChange from None
    except BaseException:
        os.close(fd)
        raise
    return fd


def _is_at(fd: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(fd), path.stat())
    return False


def _lock_exclusively(fd: int, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise ConcurrentChange from None
        time.sleep(0.02)
