"""The cache of blobs on a node's own disk."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hubstead.blobs import (
    BlobKey,
    BlobKind,
    BlobStore,
    LocalBlobs,
    MemoryBlobs,
    NodeCache,
    StoredKey,
)
from hubstead.blobs.memory import MemoryBlob
from hubstead.errors import BlobNotFound, StorageFull, Unavailable
from hubstead.files import write_all
from tests.blobs.test_stores import AnyBytes, noise

KIB = 1 << 10


def name(number: int) -> BlobKey:
    return BlobKey(BlobKind.XORB, f"{number:064x}")


class Watched(MemoryBlobs):
    """Counts the reads, and delays them until the test releases them."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.go = asyncio.Event()
        self.go.set()
        self.fault: Exception | None = None

    async def open(self, key: StoredKey) -> MemoryBlob:
        blob, store = await super().open(key), self

        class Blob(MemoryBlob):
            async def chunks(
                self, start: int = 0, count: int | None = None
            ) -> AsyncIterator[bytes]:
                store.reads += 1
                await store.go.wait()
                if store.fault:
                    raise store.fault
                async for chunk in blob.chunks(start, count):
                    yield chunk

        return Blob(blob._data)


async def filled(store: BlobStore, *sizes: int) -> list[bytes]:
    contents = [noise(size, seed) for seed, size in enumerate(sizes)]
    for number, data in enumerate(contents):
        await store.put(name(number), data, AnyBytes())
    return contents


def copies(folder: Path) -> set[BlobKey]:
    return {BlobKey(BlobKind.XORB, path.name.split("-")[1]) for path in folder.glob("??/*")}


async def test_the_path_leads_to_the_bytes(blobs: BlobStore, tmp_path: Path) -> None:
    contents = await filled(blobs, 0, 1, 5000 * KIB + 7)
    cache = NodeCache(blobs, tmp_path / "cache", 1 << 30, range_bytes=1000 * KIB)
    for number, data in enumerate(contents):
        first = await cache.path(name(number))
        assert first.read_bytes() == data
        assert await cache.path(name(number)) == first
    with pytest.raises(BlobNotFound):
        await cache.path(name(9))
    assert list((tmp_path / "cache").glob("incoming-*")) == []


async def test_a_store_of_files_is_not_copied(tmp_path: Path) -> None:
    store = LocalBlobs(tmp_path / "blobs")
    await filled(store, 10)
    cache = NodeCache(store, tmp_path / "cache", 1 << 30)
    assert (await cache.path(name(0))).is_relative_to(store.root)
    await cache.offer(name(0), tmp_path / "not there")
    await cache.close()
    assert not (tmp_path / "cache").exists()


async def test_concurrent_requests_cause_one_fetch(tmp_path: Path) -> None:
    store = Watched()
    (data,) = await filled(store, 100)
    cache = NodeCache(store, tmp_path, 1 << 30)
    paths = await asyncio.gather(*[cache.path(name(0)) for _ in range(20)])
    assert len(set(paths)) == 1
    assert paths[0].read_bytes() == data
    assert store.reads == 1


async def test_a_cancelled_request_does_not_cancel_the_fetch_of_others(tmp_path: Path) -> None:
    store = Watched()
    (data,) = await filled(store, 100)
    cache = NodeCache(store, tmp_path, 1 << 30)
    store.go.clear()
    first, second = [asyncio.create_task(cache.path(name(0))) for _ in range(2)]
    while not store.reads:
        await asyncio.sleep(0.001)
    first.cancel()
    await asyncio.wait([first])
    store.go.set()
    assert (await second).read_bytes() == data
    assert store.reads == 1


async def test_a_failed_fetch_leaves_nothing_and_is_retried(tmp_path: Path) -> None:
    store = Watched()
    (data,) = await filled(store, 100)
    cache = NodeCache(store, tmp_path, 1 << 30)
    store.fault = Unavailable(reason="away")
    with pytest.raises(Unavailable, match="away"):
        await cache.path(name(0))
    assert copies(tmp_path) == set()
    assert list(tmp_path.glob("incoming-*")) == []
    store.fault = None
    assert (await cache.path(name(0))).read_bytes() == data


async def test_close_cancels_running_fetches(tmp_path: Path) -> None:
    store = Watched()
    await filled(store, 100)
    cache = NodeCache(store, tmp_path, 1 << 30)
    store.go.clear()
    asking = asyncio.create_task(cache.path(name(0)))
    while not store.reads:
        await asyncio.sleep(0.001)
    await cache.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert list(tmp_path.glob("incoming-*")) == []


async def test_the_least_recently_used_copy_is_evicted(tmp_path: Path) -> None:
    store = Watched()
    contents = await filled(store, *[100] * 5)
    cache = NodeCache(store, tmp_path, 300)
    for number in (0, 1, 2, 0, 3):
        await cache.path(name(number))
    assert copies(tmp_path) == {name(2), name(0), name(3)}
    open_file = await cache.open(name(2))
    for number in (0, 1, 3, 4):
        assert (await cache.path(name(number))).read_bytes() == contents[number]
    assert name(2) not in copies(tmp_path)
    assert os.pread(open_file, 200, 0) == contents[2]  # an open file stays readable
    os.close(open_file)


async def test_an_object_above_the_limit_is_still_returned(tmp_path: Path) -> None:
    store = Watched()
    contents = await filled(store, 100, 5000)
    cache = NodeCache(store, tmp_path, 300)
    await cache.path(name(0))
    assert (await cache.path(name(1))).read_bytes() == contents[1]
    assert (await cache.path(name(0))).read_bytes() == contents[0]
    assert copies(tmp_path) == {name(0)}


async def test_copies_and_their_order_survive_a_restart(tmp_path: Path) -> None:
    store = Watched()
    await filled(store, *[100] * 4)
    before = NodeCache(store, tmp_path, 300)
    for age, number in enumerate((1, 0, 2)):
        path = await before.path(name(number))
        os.utime(path, (0, time.time() - 100 + age))
    store.reads = 0
    after = NodeCache(store, tmp_path, 300)
    await after.path(name(0))
    assert store.reads == 0
    await after.path(name(3))
    assert store.reads == 1
    assert copies(tmp_path) == {name(0), name(2), name(3)}


async def test_a_lower_limit_applies_after_a_restart(tmp_path: Path) -> None:
    store = Watched()
    await filled(store, *[100] * 4)
    before = NodeCache(store, tmp_path, 1000)
    for number in range(3):
        await before.path(name(number))
    await NodeCache(store, tmp_path, 200).path(name(3))
    assert len(copies(tmp_path)) == 2


async def test_copies_of_a_wrong_size_are_fetched_again(tmp_path: Path) -> None:
    store = Watched()
    (data,) = await filled(store, 100)
    cache = NodeCache(store, tmp_path, 1 << 30)
    path = await cache.path(name(0))
    path.write_bytes(data[:50])
    assert (await cache.path(name(0))).read_bytes() == data
    path.write_bytes(data[:50])
    assert (await NodeCache(store, tmp_path, 1 << 30).path(name(0))).read_bytes() == data
    assert store.reads == 3


async def test_copies_from_before_the_machine_s_start_are_not_trusted(tmp_path: Path) -> None:
    store = Watched()
    (data,) = await filled(store, 100)
    path = await NodeCache(store, tmp_path, 1 << 30).path(name(0))
    path.write_bytes(bytes(100))  # as after a power cut
    (tmp_path / "boot").write_text("another boot\n")
    assert (await NodeCache(store, tmp_path, 1 << 30).path(name(0))).read_bytes() == data


async def test_copies_may_be_evicted_at_any_moment(tmp_path: Path) -> None:
    store = Watched()
    contents = await filled(store, *[1000] * 8)
    folder = tmp_path / "cache"
    cache = NodeCache(store, folder, 1 << 30)

    async def vanish() -> None:
        for _ in range(60):
            shutil.rmtree(folder, ignore_errors=True)
            await asyncio.sleep(0.002)

    async def use(number: int) -> None:
        for _ in range(30):
            try:
                fd = await cache.open(name(number))
            except Unavailable:
                continue  # evicted five times in a row
            assert os.pread(fd, 2000, 0) == contents[number]
            os.close(fd)

    await asyncio.gather(vanish(), *[use(number) for number in range(8)])
    assert (await cache.path(name(0))).read_bytes() == contents[0]


async def test_an_evicted_copy_is_fetched_again(tmp_path: Path) -> None:
    store = Watched()
    (data,) = await filled(store, 100)
    cache = NodeCache(store, tmp_path, 1 << 30)
    await cache.forget(name(0))
    path = await cache.path(name(0))
    path.write_bytes(bytes(100))
    await cache.forget(name(0))
    assert (await cache.path(name(0))).read_bytes() == data


async def test_a_file_on_this_disk_can_become_the_copy(tmp_path: Path) -> None:
    store = Watched()
    (data,) = await filled(store, 100)
    cache = NodeCache(store, tmp_path / "cache", 250)
    uploaded = tmp_path / "uploaded"
    uploaded.write_bytes(data)
    await cache.offer(name(0), uploaded)
    uploaded.unlink()
    assert (await cache.path(name(0))).read_bytes() == data
    assert store.reads == 0
    for number in (1, 2):
        uploaded.write_bytes(data)
        await cache.offer(name(number), uploaded)
        uploaded.unlink()
    assert copies(tmp_path / "cache") == {name(1), name(2)}
    await cache.offer(name(5), tmp_path / "missing")
    uploaded.write_bytes(bytes(1000))
    await cache.offer(name(5), uploaded)
    assert name(5) not in copies(tmp_path / "cache")


async def test_a_full_disk_makes_older_copies_go(
    tmp_path: Path,
) -> None:
    def small_disk(fd: int, data: memoryview, offset: int) -> None:
        if is_small and copies(tmp_path):
            raise StorageFull
        write_all(fd, data, offset)

    is_small = False
    store = Watched()
    contents = await filled(store, *[100] * 3)
    cache = NodeCache(store, tmp_path, 1 << 30, write=small_disk)
    for number in (0, 1):
        await cache.path(name(number))
    is_small = True
    assert (await cache.path(name(2))).read_bytes() == contents[2]
    assert copies(tmp_path) == {name(2)}


async def test_drafts_of_a_crash_are_removed(tmp_path: Path) -> None:
    store = Watched()
    await filled(store, 100)
    await NodeCache(store, tmp_path, 1 << 30).path(name(0))
    old, young = tmp_path / "incoming-old", tmp_path / "incoming-young"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, time.time() - 86_400))
    await NodeCache(store, tmp_path, 1 << 30).path(name(0))
    assert not old.exists()
    assert young.exists()
