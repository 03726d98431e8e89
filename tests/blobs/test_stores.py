"""The promises of every store; each test runs on memory, on files and on a real S3 server."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from hubstead.blobs import BlobKey, BlobKind, BlobStore, Sha256Verifier, StoredKey, Verifier
from hubstead.errors import BlobCorrupt, BlobNotFound, InvalidInput, RangeNotSatisfiable
from tests.blobs.conftest import in_thread, read

MIB = 1 << 20


class AnyBytes:
    """Accepts all bytes, like a room whose names do not follow from the bytes alone."""

    def update(self, chunk: bytes | memoryview) -> None:
        pass

    def finish(self) -> None:
        pass


def lfs(data: bytes) -> tuple[BlobKey, Sha256Verifier]:
    name = hashlib.sha256(data).hexdigest()
    return BlobKey(BlobKind.LFS, name), Sha256Verifier(name, len(data))


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


async def put(blobs: BlobStore, data: bytes) -> BlobKey:
    key, verify = lfs(data)
    assert await blobs.put(key, data, verify) == len(data)
    return key


async def list_all(blobs: BlobStore) -> list[StoredKey]:
    return [stored.key for kind in BlobKind async for stored in blobs.keys(kind)]


# -- single blobs ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 70_000, 3 * MIB + 1])
async def test_written_bytes_are_read_back(blobs: BlobStore, size: int) -> None:
    data = noise(size)
    key = await put(blobs, data)
    assert (await blobs.open(key)).size == size == await blobs.size(key)
    assert await read(blobs, key) == data


async def test_any_range_can_be_read(blobs: BlobStore) -> None:
    data = noise(3 * MIB)
    key = await put(blobs, data)
    for start, count in [(0, 1), (MIB - 1, 2), (5, 2 * MIB), (3 * MIB - 1, 1), (7, 0)]:
        assert await read(blobs, key, start, count) == data[start : start + count]
    assert await read(blobs, key, 3 * MIB) == b""


@pytest.mark.parametrize(("start", "count"), [(0, 11), (10, 1), (11, None), (-1, 1), (0, -1)])
async def test_a_range_outside_is_refused(blobs: BlobStore, start: int, count: int | None) -> None:
    key = await put(blobs, b"ten bytes!")
    with pytest.raises(RangeNotSatisfiable):
        await read(blobs, key, start, count)


async def test_pieces_have_at_most_one_mebibyte(blobs: BlobStore) -> None:
    key = await put(blobs, noise(4 * MIB))
    blob = await blobs.open(key)
    sizes = [len(chunk) async for chunk in blob.chunks()]
    assert sum(sizes) == 4 * MIB
    assert max(sizes) <= MIB


async def test_a_file_can_be_put(blobs: BlobStore, tmp_path: Path) -> None:
    data = noise(2 * MIB + 5)
    key, verify = lfs(data)
    (tmp_path / "file").write_bytes(data)
    assert await blobs.put_file(key, tmp_path / "file", verify) == len(data)
    assert (tmp_path / "file").read_bytes() == data == await read(blobs, key)


async def test_an_absent_blob_is_an_error(blobs: BlobStore) -> None:
    key, _ = lfs(b"never stored")
    assert await blobs.size(key) is None
    with pytest.raises(BlobNotFound):
        await blobs.open(key)
    assert await blobs.delete(key) is False


async def test_kinds_are_separate(blobs: BlobStore) -> None:
    key = await put(blobs, b"an LFS object")
    assert await blobs.size(BlobKey(BlobKind.XORB, key.name)) is None


async def test_a_deleted_blob_is_absent_and_can_be_written_again(blobs: BlobStore) -> None:
    key = await put(blobs, b"here")
    assert await blobs.delete(key) is True
    assert await blobs.size(key) is None
    assert await blobs.delete(key) is False
    assert await put(blobs, b"here") == key
    assert await read(blobs, key) == b"here"


async def test_a_read_of_a_blob_deleted_after_its_opening_is_an_error(blobs: BlobStore) -> None:
    key = await put(blobs, b"here")
    blob = await blobs.open(key)
    await blobs.delete(key)
    if blob.path is None and not hasattr(blob, "_key"):
        return  # memory: an open blob retains its bytes
    with pytest.raises(BlobNotFound):
        _ = [chunk async for chunk in blob.chunks()]


async def test_all_blobs_of_a_kind_are_listed(blobs: BlobStore) -> None:
    keys = {await put(blobs, f"number {n}".encode()): 8 + len(str(n)) - 1 for n in range(12)}
    pack = BlobKey(BlobKind.PACK, "ab" * 20)
    await blobs.put(pack, b"packed", AnyBytes())
    listed = [stored async for stored in blobs.keys(BlobKind.LFS)]
    assert {stored.key: stored.size for stored in listed} == keys
    assert all(abs(stored.modified_ms / 1000 - time.time()) < 60 for stored in listed)
    assert [stored.key async for stored in blobs.keys(BlobKind.PACK)] == [pack]
    assert [stored.key async for stored in blobs.keys(BlobKind.XORB)] == []


@pytest.mark.parametrize(
    "name",
    ["", "..", "a/b", "A" * 64, "g" * 64, "a" * 63, "a" * 65, "../" + "a" * 61, "a" * 63 + "\n",
     "a" * 63 + "\0", "٠" * 64, "a" * 40],
)  # fmt: skip
def test_names_that_are_not_digests_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        BlobKey(BlobKind.LFS, name)


# -- verification before visibility ---------------------------------------------------------


@pytest.mark.parametrize("size", [10, 9 * MIB])
async def test_a_wrong_hash_leaves_nothing_behind(blobs: BlobStore, size: int) -> None:
    key, verify = lfs(noise(size, seed=1))
    with pytest.raises(BlobCorrupt):
        await blobs.put(key, noise(size, seed=2), verify)
    assert await blobs.size(key) is None
    assert await list_all(blobs) == []
    assert await blobs.sweep(-60) == 0, "nothing was left to sweep"


@pytest.mark.parametrize("announced", [3, 5])
async def test_a_wrong_size_leaves_nothing_behind(blobs: BlobStore, announced: int) -> None:
    key, verify = lfs(b"four")

    def write() -> None:
        writer = blobs.writer(key, verify, size=announced)
        try:
            writer.write(b"four")
            writer.commit()
        finally:
            writer.abort()

    with pytest.raises(BlobCorrupt):
        await in_thread(write)
    assert await blobs.size(key) is None
    assert await blobs.sweep(-60) == 0


@pytest.mark.parametrize("size", [10, 9 * MIB])
async def test_an_aborted_blob_never_exists(blobs: BlobStore, size: int) -> None:
    data = noise(size)
    key, verify = lfs(data)

    def write() -> None:
        writer = blobs.writer(key, verify)
        for at in range(0, size, MIB):
            writer.write(memoryview(data)[at : at + MIB])
        writer.abort()
        writer.abort()

    await in_thread(write)
    assert await blobs.size(key) is None
    assert await blobs.sweep(-60) == 0


async def test_a_blob_is_invisible_until_it_is_committed(blobs: BlobStore) -> None:
    data = noise(9 * MIB)
    key, verify = lfs(data)
    writer = blobs.writer(key, verify, size=len(data))
    await in_thread(lambda: writer.write(data))
    assert await blobs.size(key) is None
    assert await list_all(blobs) == []
    assert await in_thread(writer.commit) == len(data)
    assert await blobs.size(key) == len(data)
    writer.abort()
    assert await read(blobs, key) == data


async def test_a_writer_may_reuse_its_buffer(blobs: BlobStore) -> None:
    data = noise(9 * MIB)
    key, verify = lfs(data)

    def write() -> int:
        writer = blobs.writer(key, verify)
        buffer = bytearray(300_000)
        for at in range(0, len(data), len(buffer)):
            piece = data[at : at + len(buffer)]
            buffer[: len(piece)] = piece
            writer.write(memoryview(buffer)[: len(piece)])
        return writer.commit()

    assert await in_thread(write) == len(data)
    assert await read(blobs, key) == data


@pytest.mark.parametrize("size", [100, 9 * MIB])
async def test_the_first_bytes_under_a_name_win(blobs: BlobStore, size: int) -> None:
    key = BlobKey(BlobKind.XORB, "5" * 64)
    first, second = noise(size, seed=1), noise(size + 1, seed=2)
    assert await blobs.put(key, first, AnyBytes()) == size
    assert await blobs.put(key, second, AnyBytes()) == size, "the size of the first"
    assert await read(blobs, key) == first
    assert await blobs.sweep(-60) == 0


async def test_many_writers_of_one_blob_all_succeed(blobs: BlobStore) -> None:
    data = noise(2 * MIB)
    key, _ = lfs(data)
    sizes = await asyncio.gather(*[blobs.put(key, data, lfs(data)[1]) for _ in range(6)])
    assert sizes == [len(data)] * 6
    assert await read(blobs, key) == data
    assert await blobs.sweep(-60) == 0


async def test_racing_writers_of_a_name_agree_on_one_content(blobs: BlobStore) -> None:
    key = BlobKey(BlobKind.XORB, "6" * 64)
    bodies = [noise(100_000, seed) for seed in range(6)]
    await asyncio.gather(*[blobs.put(key, body, AnyBytes()) for body in bodies])
    seen = await read(blobs, key)
    assert seen in bodies
    await blobs.put(key, b"late", AnyBytes())
    assert await read(blobs, key) == seen


async def test_a_large_blob_streams_through_bounded_memory(
    request: pytest.FixtureRequest, blobs: BlobStore
) -> None:
    if "memory" in request.node.callspec.id:
        pytest.skip("stores its blobs in memory")
    size, piece = 128 * MIB, noise(MIB)
    digest = hashlib.sha256()
    for _ in range(size // MIB):
        digest.update(piece)
    key = BlobKey(BlobKind.LFS, digest.hexdigest())

    def write() -> None:
        writer = blobs.writer(key, Sha256Verifier(key.name, size), size=size)
        for _ in range(size // MIB):
            writer.write(piece)
        writer.commit()

    with Watch() as watch:
        await in_thread(write)
        seen = hashlib.sha256()
        async for chunk in (await blobs.open(key)).chunks():
            seen.update(chunk)
    assert seen.hexdigest() == key.name
    assert watch.grown < 72 * MIB, "the largest growth of this process on the way"


class Watch:
    """Samples the memory of this process in a thread."""

    def __enter__(self) -> Watch:
        self._stop = threading.Event()
        self._first = self._top = _resident()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._stop.wait(0.01):
            self._top = max(self._top, _resident())

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def grown(self) -> int:
        return self._top - self._first


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# -- multipart uploads ------------------------------------------------------------------------

PART = 2 * MIB


async def send_part(blobs: BlobStore, upload: str, number: int, data: bytes, at: int) -> str:
    def write() -> str:
        writer = blobs.parts.writer(upload, number, offset=at, size=len(data))
        try:
            for start in range(0, len(data), MIB):
                writer.write(memoryview(data)[start : start + MIB])
            info = writer.commit()
        finally:
            writer.abort()
        assert info.size == len(data)
        return info.etag

    return str(await in_thread(write))


def cut(data: bytes) -> dict[int, tuple[bytes, int]]:
    return {n: (data[at : at + PART], at) for n, at in enumerate(range(0, len(data), PART), 1)}


async def send(blobs: BlobStore, upload: str, data: bytes, order: Sequence[int]) -> None:
    pieces = cut(data)
    for number in order:
        assert await send_part(blobs, upload, number, *pieces[number])


async def test_parts_in_any_order_become_the_blob(blobs: BlobStore) -> None:
    data = noise(2 * PART + 99)
    key, verify = lfs(data)
    await send(blobs, "upload-1", data, [3, 1, 2])
    assert await list_all(blobs) == []
    assert await blobs.parts.assemble("upload-1", [1, 2, 3], key, verify, size=len(data)) == key
    assert await read(blobs, key) == data
    assert await blobs.parts.received("upload-1") == {}


async def test_parallel_parts_become_the_blob(blobs: BlobStore) -> None:
    data = noise(4 * PART)
    key, verify = lfs(data)
    await asyncio.gather(*[send_part(blobs, "u", n, *piece) for n, piece in cut(data).items()])
    await blobs.parts.assemble("u", [1, 2, 3, 4], key, verify, size=len(data))
    assert await read(blobs, key) == data


async def test_a_part_may_be_large(blobs: BlobStore) -> None:
    data = noise(18 * MIB)
    key, verify = lfs(data)
    await send_part(blobs, "u", 1, data, 0)
    assert (await blobs.parts.received("u"))[1].size == len(data)
    await blobs.parts.assemble("u", [1], key, verify, size=len(data))
    assert await read(blobs, key) == data


async def test_an_upload_resumes_from_the_parts_received(blobs: BlobStore) -> None:
    data = noise(3 * PART)
    key, verify = lfs(data)
    assert await blobs.parts.received("u") == {}
    await send(blobs, "u", data, [2])
    etag = await send_part(blobs, "u", 1, *cut(data)[1])
    received = await blobs.parts.received("u")
    assert {number: part.size for number, part in received.items()} == {1: PART, 2: PART}
    assert received[1].etag == etag != received[2].etag
    with pytest.raises(InvalidInput, match="part 3"):
        await blobs.parts.assemble("u", [1, 2, 3], key, verify, size=len(data))
    await send(blobs, "u", data, [3])
    verify = lfs(data)[1]
    assert await blobs.parts.assemble("u", [1, 2, 3], key, verify, size=len(data)) == key


async def test_a_repeated_part_replaces_the_first(blobs: BlobStore) -> None:
    data = noise(2 * PART)
    key, verify = lfs(data)
    await send_part(blobs, "u", 1, noise(PART, seed=9), 0)
    await send(blobs, "u", data, [2, 1, 1])
    assert len(await blobs.parts.received("u")) == 2
    await blobs.parts.assemble("u", [1, 2], key, verify, size=len(data))
    assert await read(blobs, key) == data


@pytest.mark.parametrize("sent", [b"short", b"much too long"])
async def test_a_part_of_the_wrong_size_is_not_received(blobs: BlobStore, sent: bytes) -> None:
    def write() -> None:
        writer = blobs.parts.writer("u", 1, offset=0, size=10)
        try:
            writer.write(sent)
            writer.commit()
        finally:
            writer.abort()

    with pytest.raises(BlobCorrupt):
        await in_thread(write)
    assert await blobs.parts.received("u") == {}


async def test_a_repeated_completion_succeeds(blobs: BlobStore) -> None:
    data = noise(PART + 1)
    key, verify = lfs(data)
    await send(blobs, "u", data, [1, 2])
    for verifier in (verify, lfs(data)[1]):
        assert await blobs.parts.assemble("u", [1, 2], key, verifier, size=len(data)) == key
    other, verify = lfs(b"other")
    with pytest.raises(InvalidInput):
        await blobs.parts.assemble("u", [1, 2], other, verify, size=len(data))


async def test_parallel_completions_succeed(blobs: BlobStore) -> None:
    data = noise(PART + 1)
    key, _ = lfs(data)
    await send(blobs, "u", data, [1, 2])
    calls = [blobs.parts.assemble("u", [1, 2], key, lfs(data)[1], size=len(data)) for _ in range(3)]
    assert await asyncio.gather(*calls) == [key] * 3
    assert await read(blobs, key) == data


async def test_an_existing_blob_does_not_replace_the_parts(blobs: BlobStore) -> None:
    data = noise(PART)
    key = await put(blobs, data)
    with pytest.raises(InvalidInput):
        await blobs.parts.assemble("u", [1], key, lfs(data)[1], size=len(data))
    await send(blobs, "u", data, [1])
    assert await blobs.parts.assemble("u", [1], key, lfs(data)[1], size=len(data)) == key


async def test_wrong_parts_leave_nothing_and_can_be_sent_again(blobs: BlobStore) -> None:
    data = noise(2 * PART)
    key, verify = lfs(data)
    await send(blobs, "u", data[:-1] + bytes([data[-1] ^ 1]), [1, 2])
    with pytest.raises(BlobCorrupt):
        await blobs.parts.assemble("u", [1, 2], key, verify, size=len(data))
    assert await list_all(blobs) == []
    assert await blobs.parts.received("u") == {}
    await send(blobs, "u", data, [1, 2])
    await blobs.parts.assemble("u", [1, 2], key, lfs(data)[1], size=len(data))
    assert await read(blobs, key) == data


@pytest.mark.parametrize(
    ("numbers", "size"), [([1], 2 * PART), ([1, 2], PART), ([1, 2, 2], 3 * PART), ([], 0), ([0], 1)]
)
async def test_incomplete_parts_are_refused(
    blobs: BlobStore, numbers: list[int], size: int
) -> None:
    data = noise(2 * PART)
    key, verify = lfs(data)
    if numbers:
        await send(blobs, "u", data, [1, 2])
    with pytest.raises((InvalidInput, BlobCorrupt)):
        await blobs.parts.assemble("u", numbers, key, verify, size=size)
    assert await blobs.size(key) is None


async def test_an_aborted_upload_leaves_only_the_blob(blobs: BlobStore) -> None:
    data = noise(PART + 1)
    key, verify = lfs(data)
    await send(blobs, "done", data, [1, 2])
    await blobs.parts.assemble("done", [1, 2], key, verify, size=len(data))
    await send(blobs, "given-up", data, [2])
    for upload in ("done", "given-up", "unknown"):
        await blobs.parts.drop(upload)
        assert await blobs.parts.received(upload) == {}
    assert await read(blobs, key) == data
    assert await blobs.sweep(-60) == 0


@pytest.mark.parametrize("upload", ["", ".", "..", "a/b", "a" * 65, "-a", "ä", "a\n"])
async def test_uploads_with_invalid_ids_are_refused(blobs: BlobStore, upload: str) -> None:
    key, verify = lfs(b"x")
    with pytest.raises(InvalidInput):
        blobs.parts.writer(upload, 1, offset=0, size=1)
    with pytest.raises(InvalidInput):
        await blobs.parts.received(upload)
    with pytest.raises(InvalidInput):
        await blobs.parts.assemble(upload, [1], key, verify, size=1)
    with pytest.raises(InvalidInput):
        await blobs.parts.drop(upload)


@pytest.mark.parametrize("number", [0, -1, 10_001])
def test_parts_with_invalid_numbers_are_refused(blobs: BlobStore, number: int) -> None:
    with pytest.raises(InvalidInput):
        blobs.parts.writer("u", number, offset=0, size=1)


# -- maintenance ----------------------------------------------------------------------------


async def test_a_sweep_deletes_old_leftovers_only(blobs: BlobStore) -> None:
    key = await put(blobs, b"kept")
    await send(blobs, "forgotten", noise(PART), [1])
    assert await blobs.sweep(3600) == 0
    assert await blobs.parts.received("forgotten") != {}
    assert await blobs.sweep(-60) == 1
    assert await blobs.parts.received("forgotten") == {}
    assert await read(blobs, key) == b"kept"


async def test_a_working_store_is_ready_and_its_check_leaves_no_trace(blobs: BlobStore) -> None:
    await blobs.ready()
    assert await list_all(blobs) == []
    assert await blobs.sweep(-60) == 0


def test_every_store_implements_the_interface(blobs: BlobStore) -> None:
    verifier: Verifier = AnyBytes()
    writer = blobs.writer(lfs(b"")[0], verifier)
    writer.abort()
    free = blobs.free_bytes()
    assert free is None or free > 0
