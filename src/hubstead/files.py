"""Files that survive a power cut, and errors of a disk as ordinary errors."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hubstead.errors import StorageFull, StorageReadOnly, Unavailable

# EFBIG: the file system, or a limit set on the process, takes no file as large as this.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: The disk itself fails, or is gone.
_DISK_FAILED = (
    errno.EIO,
    errno.ENODEV,
    errno.ENXIO,
    errno.EREMOTEIO,
    errno.ESHUTDOWN,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EUCLEAN,
)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


def disk_error(error: OSError) -> StorageFull | Unavailable | None:
    """Return what an error of the system says of the disk; None if it is about something else."""
    if error.errno in DISK_FULL:
        return StorageFull()
    if error.errno == errno.EROFS:
        return StorageReadOnly()
    if error.errno in _DISK_FAILED:
        return _failed(error)
    return None


def _failed(error: OSError) -> Unavailable:
    return Unavailable(reason=f"the storage failed ({error.strerror})")


@contextmanager
def translate_disk_errors() -> Iterator[None]:
    """Turn errors of the disk into those that callers know; other errors of the system pass.

    Raises:
        StorageFull: there is no room left.
        StorageReadOnly: the disk takes no writes.
        Unavailable: the disk fails.
    """
    try:
        yield
    except OSError as error:
        if (known := disk_error(error)) is not None:
            raise known from error
        raise


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn what the file system says into our words.

    Raises:
        StorageFull: if there is no room left.
        StorageReadOnly: if the disk takes no writes.
        Unavailable: for any other fault of the disk.
    """
    try:
        yield
    except OSError as error:
        raise (disk_error(error) or _failed(error)) from error


def write_all(fd: int, data: bytes | memoryview, offset: int) -> None:
    """Write ``data`` at ``offset``, however many calls that takes."""
    rest = memoryview(data).cast("B")
    while rest:
        written = os.pwrite(fd, rest, offset)
        rest = rest[written:]
        offset += written


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a new file durably; its name becomes durable with :func:`sync_folder`."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(fd)


def sync_file(path: Path) -> None:
    """Make the content of a file that is already written durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


#: The permissions of group and others; nobody but the hub's user has any on what the hub keeps.
OTHERS = 0o077


def others_may_use(path: Path) -> bool:
    """Tell whether others than its owner have any permission on a file or folder, if it exists."""
    try:
        return bool(path.stat().st_mode & OTHERS)
    except FileNotFoundError:
        return False


def make_private(paths: Iterable[Path]) -> None:
    """Take the permissions of group and others from files and folders that exist.

    What belongs to another user stays as it is; `hubstead doctor` reports it.
    """
    for path in paths:
        if others_may_use(path):
            with suppress(PermissionError, FileNotFoundError):
                path.chmod(path.stat().st_mode & ~OTHERS & 0o7777)


def require_writable(paths: Iterable[Path]) -> None:
    """Check that this process may write the files and folders that exist.

    Raises:
        Unavailable: one is on a read-only disk, or belongs to another user.
    """
    for path in paths:
        if path.exists() and not os.access(path, os.W_OK):
            raise Unavailable(
                reason=f"{path} cannot be written: the disk is read-only, or another user owns it"
            )


def make_folder(folder: Path) -> None:
    """Make a folder and what is missing above it, durably."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)


def reveal(source: Path, target: Path) -> None:
    """Give the file ``source``, already durable, the name ``target`` as well, unless it exists.

    Durably either way: when this returns, ``target`` survives a power cut. ``source`` may be
    gone afterwards.
    """
    try:
        os.link(source, target)  # unlike rename, never takes the place of what came first
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if not target.exists():
            source.replace(target)
    sync_folder(target.parent)


def put_in_place(source: Path, target: Path, aside: Path) -> None:
    """Have ``target``, whatever it may be, be the file ``source``, already durable.

    Durably, and at one stroke: who reads ``target`` meanwhile has all of the one or the other.
    ``aside`` is a free name on the same disk; ``source`` may be gone afterwards.
    """
    try:
        os.link(source, aside)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        source.replace(aside)
    aside.replace(target)
    sync_folder(target.parent)


class Folders:
    """Makes folders that are there after a power cut, remembering which are."""

    def __init__(self, root: Path) -> None:
        self._durable = {root}

    def ensure(self, folder: Path) -> None:
        """Make ``folder``, which lies below the root, and what is missing above it."""
        if folder in self._durable:
            return
        self.ensure(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        # Also when it existed: whoever made it may not have come this far.
        sync_folder(folder.parent)
        self._durable.add(folder)
