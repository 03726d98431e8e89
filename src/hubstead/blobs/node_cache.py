"""Blobs as files of this node, for readers that need a file.

A store of files returns its own. Of any other, this is a cache of copies in a folder, with a
maximum size. The folder, or any file in it, may vanish at any moment. So the cache fsyncs nothing,
and a reader that cannot open a path requests it again (`NodeCache.open` does).

::

    <folder>/
      boot                     the boot id of the machine when it wrote the copies
      ab/<kind>-<name>-<size>  a copy, whole if it has the size in its name
      incoming-<random>        a copy being written
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from hubstead.admission import Lane, run_in_lane, run_to_the_end, start_detached
from hubstead.blobs.interface import Blob, BlobStore
from hubstead.blobs.keys import BlobKind, StoredKey, parse_stored
from hubstead.errors import InvalidInput, StorageFull, Unavailable
from hubstead.files import storage_errors, write_all

_RANGES_AT_ONCE = 8
_WRITE_BYTES = 1 << 20
_TRIES = 5
_ABANDONED_S = 6 * 3600.0
#: The precision in which the order of use survives a restart, in seconds.
_TOUCH_S = 3600.0
_COPY = re.compile(r"([a-z]+)-([0-9a-f]+)-(\d+)")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


WriteAt: TypeAlias = Callable[[int, memoryview, int], None]


class NodeCache:
    """Returns paths of blobs of ``store``. For one event loop.

    Args:
        store: Where the blobs are.
        folder: The folder of the copies, created with the first one. Several processes may share
            it for one store.
        max_bytes: The maximum size of all copies, in bytes. The cache copies a single larger
            object, too, and drops the others.
        range_bytes: The cache fetches a larger object in ranges of this size, several concurrently.
        write: Writes bytes at an offset of an open file.
    """

    def __init__(
        self,
        store: BlobStore,
        folder: Path,
        max_bytes: int,
        *,
        range_bytes: int = 8 << 20,
        write: WriteAt = write_all,
    ) -> None:
        self._range_bytes = range_bytes
        self._write = write
        self._store = store
        self._folder = folder
        self._max_bytes = max_bytes
        self._sizes: OrderedDict[StoredKey, int] | None = None  # least recently used first
        self._scanning = asyncio.Lock()
        self._bytes = 0  # of finished copies and those being written
        self._fetches: dict[StoredKey, asyncio.Task[Path]] = {}
        self._ranges = asyncio.Semaphore(_RANGES_AT_ONCE)

    async def path(self, key: StoredKey) -> Path:
        """Return a file with exactly the bytes of a blob, which no caller may change.

        It may vanish before the caller opens it: then call again. Once open, it stays readable.

        Raises:
            BlobNotFound: if there is no such blob.
            StorageFull: if the node's disk has no room even without other copies.
            Unavailable: if the store does not respond, or the disk fails.
        """
        if self._store.files is not None:
            return await self._store.files.path(key)
        sizes = await self._known()
        if copy := self._copy_of(key, sizes):
            return copy
        fetch = self._fetches.get(key)
        if fetch is None:
            fetch = self._fetches[key] = start_detached(self._fetch(key))
            fetch.add_done_callback(lambda done: self._fetched(key, done))
        # Other callers may await the same fetch, and a later one profits from it.
        return await asyncio.shield(fetch)

    async def open(self, key: StoredKey) -> int:
        """Return a file descriptor to read a blob from; the caller closes it. Raises as `path`."""
        for _ in range(_TRIES):
            with storage_errors(), suppress(FileNotFoundError):
                return os.open(await self.path(key), os.O_RDONLY | os.O_CLOEXEC)
        raise Unavailable(reason="copies of objects vanish from this node as fast as they are made")

    async def aside(self) -> Path | None:
        """Return a new path for a file to `offer`; None if the store needs no copies."""
        if self._store.files is not None:
            return None
        await self._known()  # the first scan may empty the folder
        return self._folder / f"incoming-{secrets.token_hex(12)}"

    async def offer(self, key: StoredKey, path: Path) -> None:
        """Add the file ``path``, which is the blob and never changes, as its copy.

        The cache links the file; the caller removes ``path`` at any time. The file must be on the
        disk of the folder: otherwise, or on any other failure, nothing happens.
        """
        if self._store.files is not None:
            return
        sizes = await self._known()
        with suppress(OSError):
            size = path.stat().st_size
            if size > self._max_bytes or key in sizes:
                return
            async with self._room(size, sizes):
                place = self._place(key, size)
                await run_in_lane(Lane.TRANSFERS, _adopt, path, place)
                self._add(key, size, sizes)

    async def forget(self, key: StoredKey) -> None:
        """Drop the copy of a blob, for example because its bytes are wrong."""
        if self._sizes is not None and key in self._sizes:
            await self._drop([key], self._sizes)

    async def close(self) -> None:
        """Cancel the fetches under way."""
        fetches = list(self._fetches.values())
        for fetch in fetches:
            fetch.cancel()
        if fetches:
            await asyncio.wait(fetches)

    # -- the copies ------------------------------------------------------------------------

    def _place(self, key: StoredKey, size: int) -> Path:
        return self._folder / key.name[:2] / f"{key.kind}-{key.name}-{size}"

    async def _known(self) -> OrderedDict[StoredKey, int]:
        if self._sizes is None:
            async with self._scanning:
                if self._sizes is None:
                    with storage_errors():
                        scanned = await run_in_lane(Lane.TRANSFERS, _scan, self._folder)
                    self._bytes += sum(scanned.values())
                    self._sizes = scanned
        return self._sizes

    def _copy_of(self, key: StoredKey, sizes: OrderedDict[StoredKey, int]) -> Path | None:
        size = sizes.get(key)
        if size is None:
            return None
        path = self._place(key, size)
        with suppress(OSError):
            stat = os.stat(path)
            if stat.st_size == size:
                sizes.move_to_end(key)
                if stat.st_mtime < time.time() - _TOUCH_S:
                    os.utime(path)
                return path
        self._bytes -= sizes.pop(key)
        return None

    def _add(self, key: StoredKey, size: int, sizes: OrderedDict[StoredKey, int]) -> None:
        self._bytes += size - sizes.pop(key, 0)
        sizes[key] = size

    async def _drop(self, keys: Iterable[StoredKey], sizes: OrderedDict[StoredKey, int]) -> None:
        places = []
        for key in keys:
            size = sizes.pop(key)
            self._bytes -= size
            places.append(self._place(key, size))
        await run_to_the_end(Lane.BACKGROUND, _remove, places)

    @asynccontextmanager
    async def _room(self, size: int, sizes: OrderedDict[StoredKey, int]) -> AsyncIterator[None]:
        """Reserve room for ``size`` more bytes during the block."""
        self._bytes += size
        try:
            victims, freed = [], 0
            for key, copy_bytes in sizes.items():
                if self._bytes - freed <= self._max_bytes:
                    break
                victims.append(key)
                freed += copy_bytes
            if victims:
                await self._drop(victims, sizes)
            yield
        finally:
            self._bytes -= size

    # -- making copies ----------------------------------------------------------------------

    def _fetched(self, key: StoredKey, fetch: asyncio.Task[Path]) -> None:
        del self._fetches[key]
        if not fetch.cancelled():
            fetch.exception()  # all callers may have been cancelled

    async def _fetch(self, key: StoredKey) -> Path:
        sizes = await self._known()
        blob = await self._store.open(key)
        async with self._room(blob.size, sizes):
            place = self._place(key, blob.size)
            try:
                done = await self._copy(blob, place)
            except StorageFull:
                await self._drop(list(sizes), sizes)
                done = await self._copy(blob, place)
            if not done and not await self._copy(blob, place):
                raise Unavailable(reason="the folder of copies vanishes again and again")
            self._add(key, blob.size, sizes)
        return place

    async def _copy(self, blob: Blob, place: Path) -> bool:
        """Write a copy; return False if the folder vanished before the copy got its name."""
        aside = self._folder / f"incoming-{secrets.token_hex(12)}"
        with storage_errors():
            fd = await run_in_lane(Lane.TRANSFERS, _create, aside)
            try:
                try:
                    await self._fill(fd, blob)
                finally:
                    os.close(fd)
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with suppress(FileNotFoundError):
                    aside.rename(place)
                    return True
            finally:
                aside.unlink(missing_ok=True)
        return False

    async def _fill(self, fd: int, blob: Blob) -> None:
        starts = range(0, blob.size, self._range_bytes)
        ranges = [
            asyncio.ensure_future(self._fill_range(fd, blob, start, start + self._range_bytes))
            for start in starts
        ]
        try:
            await asyncio.gather(*ranges)
        finally:  # no task may write to the file after its end
            for task in ranges:
                task.cancel()
            await asyncio.gather(*ranges, return_exceptions=True)

    async def _fill_range(self, fd: int, blob: Blob, at: int, end: int) -> None:
        async with self._ranges:
            pending = bytearray()
            async for chunk in blob.chunks(at, min(end, blob.size) - at):
                pending += chunk
                if len(pending) >= _WRITE_BYTES:
                    await run_to_the_end(Lane.TRANSFERS, self._write, fd, memoryview(pending), at)
                    at += len(pending)
                    pending = bytearray()
            await run_to_the_end(Lane.TRANSFERS, self._write, fd, memoryview(pending), at)


def _create(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _adopt(path: Path, place: Path) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.link(path, place)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _scan(folder: Path) -> OrderedDict[StoredKey, int]:
    """Return the copies in ``folder``, oldest first; remove damaged and abandoned files."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _empty_after_boot(folder)
    copies: list[tuple[float, StoredKey, int]] = []
    for top in os.scandir(folder):
        if top.is_dir(follow_symlinks=False):
            with suppress(FileNotFoundError), os.scandir(top) as entries:
                for entry in entries:
                    copies += _copy_at(entry)
        elif top.name.startswith("incoming-"):
            with suppress(FileNotFoundError):
                if top.stat().st_mtime < time.time() - _ABANDONED_S:
                    os.unlink(top)
    copies.sort(key=lambda copy: copy[0])
    return OrderedDict((key, size) for _, key, size in copies)


def _copy_at(entry: os.DirEntry[str]) -> Iterable[tuple[float, StoredKey, int]]:
    with suppress(FileNotFoundError):
        match, stat = _COPY.fullmatch(entry.name), entry.stat(follow_symlinks=False)
        with suppress(InvalidInput, ValueError):
            if match and stat.st_size == int(match[3]):
                key = parse_stored(BlobKind(match[1]), match[2])
                return [(stat.st_mtime, key, stat.st_size)]
        os.unlink(entry.path)
    return []


def _empty_after_boot(folder: Path) -> None:
    """Empty the folder unless its copies are from the current boot of the machine.

    After a power cut, a file without fsync can have its size, but not its bytes.
    """
    try:
        boot = _BOOT_ID.read_text()
    except OSError:
        boot = ""
    mark = folder / "boot"
    if boot and mark.exists() and mark.read_text() == boot:
        return
    for entry in list(os.scandir(folder)):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            Path(entry.path).unlink(missing_ok=True)
    mark.write_text(boot)
