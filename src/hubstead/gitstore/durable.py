"""Files and folders that survive a power cut."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from hubstead import errors

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def translate_disk_full() -> Iterator[None]:
    """Turn "no space left" into the error that callers know.

    Raises:
        errors.StorageFull: when the body met ENOSPC or EDQUOT.
    """
    try:
        yield
    except OSError as fault:
        if fault.errno in FULL:
            raise errors.StorageFull() from fault
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable (not what stands in the files)."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
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
