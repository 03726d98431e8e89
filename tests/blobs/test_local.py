"""Files beyond the common suite: full disks, crashes, power cuts, late parts."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hubstead.blobs import BlobKey, BlobKind, LocalBlobs, Sha256Verifier
from hubstead.errors import ConcurrentChange, InvalidInput, StorageFull, Unavailable
from tests.blobs.conftest import in_thread, read
from tests.blobs.test_stores import PART, AnyBytes, lfs, noise, put, send

MIB = 1 << 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def blobs(root: Path) -> LocalBlobs:
    return LocalBlobs(root)


def files_below(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


async def test_a_blob_is_one_private_file_at_its_path(blobs: LocalBlobs, root: Path) -> None:
    key = await put(blobs, b"hello")
    path = f"lfs/{key.name[:2]}/{key.name[2:4]}/{key.name}"
    assert files_below(root) == {path}
    assert (root / path).stat().st_mode & 0o777 == 0o600
    assert (root / path).stat().st_nlink == 1
    blob = await blobs.open(key)
    assert blob.path == root / path


async def test_foreign_files_in_the_folder_are_not_blobs(blobs: LocalBlobs, root: Path) -> None:
    key = await put(blobs, b"hello")
    (root / "lfs" / "README").write_text("not ours")
    misplaced = root / "lfs" / "00" / "00"
    misplaced.mkdir(parents=True)
    (misplaced / key.name).write_text("wrong folder")
    assert [stored.key async for stored in blobs.keys(BlobKind.LFS)] == [key]


# -- full disks ------------------------------------------------------------------------------


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    place = tmp_path / "tiny"
    place.mkdir()
    mount: list[str | Path] = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("cannot mount a small file system here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


async def test_a_full_disk_refuses_cleanly_and_recovers(tiny_disk: Path) -> None:
    blobs = LocalBlobs(tiny_disk / "blobs")
    content = await put(blobs, noise(4 * MIB))
    key, verify = lfs(noise(6 * MIB, seed=1))
    with pytest.raises(StorageFull):
        await blobs.put_file(key, _file(tiny_disk.parent, noise(6 * MIB, seed=1)), verify)
    assert len(files_below(tiny_disk)) == 1, "only the first blob"
    with pytest.raises(StorageFull):
        await in_thread(lambda: part_of(blobs, 1, noise(5 * MIB), 0))
    await blobs.parts.drop("u")
    assert await read(blobs, content) == noise(4 * MIB)
    await blobs.delete(content)
    assert await blobs.put(key, noise(6 * MIB, seed=1), lfs(noise(6 * MIB, seed=1))[1]) == 6 * MIB


def _file(folder: Path, data: bytes) -> Path:
    path = folder / "source"
    path.write_bytes(data)
    return path


def test_a_short_write_is_an_ordinary_error(root: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from hubstead.blobs import BlobKey, BlobKind, LocalBlobs, Sha256Verifier
from hubstead.errors import StorageFull
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
blobs = LocalBlobs(Path(sys.argv[1]))
writer = blobs.writer(BlobKey(BlobKind.LFS, "0" * 64), Sha256Verifier("0" * 64))
try:
    for _ in range(100):
        writer.write(b"x" * 7000)
except StorageFull:
    writer.abort()
    print("refused")
"""
    child: list[str | Path] = [sys.executable, "-c", code, root]
    result = subprocess.run(child, capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout == "refused\n"
    assert files_below(root) == set()


async def test_the_reserve_is_never_used(root: Path) -> None:
    content = await put(LocalBlobs(root), b"kept")
    free = LocalBlobs(root).free_bytes()
    blobs = LocalBlobs(root, min_free_bytes=free - 100 * MIB)
    key, verify = lfs(b"small")
    await blobs.put(key, b"small", verify)
    await blobs.ready()
    with pytest.raises(StorageFull):
        blobs.writer(key, verify, size=free - 50 * MIB)
    with pytest.raises(StorageFull):
        blobs.parts.writer("u", 1, offset=0, size=free - 50 * MIB)
    blobs = LocalBlobs(root, min_free_bytes=2 * free)
    for refused in (blobs.ready(), blobs.put(key, b"small", verify)):
        with pytest.raises(StorageFull):
            await refused
    assert await read(blobs, content) == b"kept"


async def test_a_missing_folder_makes_the_store_unavailable(blobs: LocalBlobs, root: Path) -> None:
    await blobs.ready()
    shutil.rmtree(root)
    with pytest.raises(Unavailable):
        await blobs.ready()
    with pytest.raises(Unavailable):
        await put(blobs, b"nowhere to go")


# -- crashes and power cuts -----------------------------------------------------------------

WRITE_FOR_EVER = """
import sys
from pathlib import Path
from hubstead.blobs import BlobKey, BlobKind, LocalBlobs, Sha256Verifier
blobs = LocalBlobs(Path(sys.argv[1]))
part = blobs.parts.writer("u", 1, offset=0, size=4)
part.write(b"part")
part.commit()
part = blobs.parts.writer("u", 2, offset=4, size=10 ** 9)
writer = blobs.writer(BlobKey(BlobKind.LFS, "0" * 64), Sha256Verifier("0" * 64))
for n in range(10 ** 6):
    writer.write(b"x" * 1000)
    part.write(b"x" * 10)
    if n == 10:
        print("writing", flush=True)
"""


def test_a_killed_process_leaves_no_blob_and_preserves_complete_parts(
    blobs: LocalBlobs, root: Path, run: Callable[..., object]
) -> None:
    child: list[str | Path] = [sys.executable, "-c", WRITE_FOR_EVER, root]
    with subprocess.Popen(child, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGKILL)

    async def look() -> None:
        assert [stored async for stored in blobs.keys(BlobKind.LFS)] == []
        assert {n: part.size for n, part in (await blobs.parts.received("u")).items()} == {1: 4}
        await in_thread(lambda: part_of(blobs, 2, b" two", 4))
        key, verify = lfs(b"part two")
        assert await blobs.parts.assemble("u", [1, 2], key, verify, size=8) == key
        assert await blobs.sweep(-60) == 2, "the file being written, and the done upload"
        assert len(files_below(root)) == 1

    run(look())


def part_of(blobs: LocalBlobs, number: int, data: bytes, at: int) -> None:
    writer = blobs.parts.writer("u", number, offset=at, size=len(data))
    writer.write(data)
    writer.commit()


PUT_ONE = """
import asyncio, hashlib, sys
from pathlib import Path
from hubstead.blobs import BlobKey, BlobKind, LocalBlobs, Sha256Verifier
name = hashlib.sha256(b"data").hexdigest()
key, blobs = BlobKey(BlobKind.LFS, name), LocalBlobs(Path(sys.argv[1]))
async def main():
    if sys.argv[2] == "whole":
        await blobs.put(key, b"data", Sha256Verifier(name))
    else:
        writer = blobs.parts.writer("u", 1, offset=0, size=4)
        writer.write(b"data")
        writer.commit()
        await blobs.parts.assemble("u", [1], key, Sha256Verifier(name), size=4)
    print("ANSWER", flush=True)
asyncio.run(main())
"""


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("how", ["whole", "parts"])
def test_bytes_are_durable_before_their_name_and_the_name_before_the_return(
    root: Path, tmp_path: Path, how: str
) -> None:
    trace = tmp_path / "trace"
    calls = "trace=pwrite64,fsync,link,linkat,openat,write"
    command: list[str | Path] = ["strace", "-f", "-y", "-o", trace, "-e", calls]
    command += [sys.executable, "-c", PUT_ONE, root, how]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    name = hashlib.sha256(b"data").hexdigest()
    folder = f"{root}/lfs/{name[:2]}/{name[2:4]}"
    source = rf"{root}/(incoming/[0-9a-f]+|uploads/u/whole)"
    as_part = [
        rf'pwrite64\(\d+<{source}>, "data"',
        rf"fsync\(\d+<{source}>",
        rf'openat\(.*"{root}/uploads/u/part-00001-0-4-.*O_CREAT',
        rf"fsync\(\d+<{root}/uploads/u>",
        rf"fsync\(\d+<{root}/uploads>",
    ]
    as_blob = [
        *([rf'pwrite64\(\d+<{source}>, "data"'] if how == "whole" else []),
        rf"fsync\(\d+<{source}>",
        rf"fsync\(\d+<{root}>",  # the folder lfs is new, like the two below it
        rf"fsync\(\d+<{root}/lfs>",
        rf"fsync\(\d+<{root}/lfs/{name[:2]}>",
        rf'link(at)?\(.*"{source}", .*"{folder}/{name}"',
        rf"fsync\(\d+<{folder}>",
        r'write\(1<.*>, "ANSWER',
    ]
    expected = as_blob if how == "whole" else as_part + as_blob
    seen = 0
    for line in trace.read_text().splitlines():
        if seen < len(expected) and re.search(expected[seen], line):
            seen += 1
    assert seen == len(expected), f"not seen in this order: {expected[seen]}"


# -- late parts -------------------------------------------------------------------------------


async def test_no_part_is_accepted_during_the_check_of_an_upload(blobs: LocalBlobs) -> None:
    data = noise(PART)
    key, _ = lfs(data)
    await send(blobs, "u", data, [1])
    refused = []

    class Meddling(AnyBytes):
        def update(self, chunk: bytes | memoryview) -> None:
            with contextlib.suppress(ConcurrentChange):
                blobs.parts.writer("u", 1, offset=0, size=PART)
                return
            refused.append(True)

    await blobs.parts.assemble("u", [1], key, Meddling(), size=PART)
    assert refused
    assert all(refused)
    assert await read(blobs, key) == data


async def test_nothing_is_checked_while_a_part_is_being_written(
    root: Path,
) -> None:
    blobs = LocalBlobs(root, lock_wait_s=0.1)
    data = noise(PART)
    key, verify = lfs(data)
    await send(blobs, "u", data, [1])
    late = blobs.parts.writer("u", 2, offset=PART, size=1)
    with pytest.raises(ConcurrentChange):
        await blobs.parts.assemble("u", [1], key, verify, size=PART)
    late.abort()
    await blobs.parts.assemble("u", [1], key, verify, size=PART)


async def test_a_part_after_a_crash_cannot_change_the_blob(blobs: LocalBlobs, root: Path) -> None:
    data = noise(PART)
    key, verify = lfs(data)
    await send(blobs, "u", data, [1])
    # As if the process had died between the rename of the file and its record.
    path = root / "lfs" / key.name[:2] / key.name[2:4]
    path.mkdir(parents=True)
    os.link(root / "uploads" / "u" / "whole", path / key.name)
    with pytest.raises(InvalidInput):
        blobs.parts.writer("u", 1, offset=0, size=PART)
    assert await blobs.parts.assemble("u", [1], key, verify, size=PART) == key
    with pytest.raises(InvalidInput):
        blobs.parts.writer("u", 1, offset=0, size=PART)
    assert await read(blobs, key) == data


async def test_a_part_that_is_being_overwritten_is_not_received(blobs: LocalBlobs) -> None:
    await in_thread(lambda: part_of(blobs, 1, b"first", 0))
    again = blobs.parts.writer("u", 1, offset=0, size=5)
    again.write(b"SEC")
    again.abort()
    assert await blobs.parts.received("u") == {}
    await in_thread(lambda: part_of(blobs, 1, b"third", 0))
    key, verify = lfs(b"third")
    assert await blobs.parts.assemble("u", [1], key, verify, size=5) == key


async def test_parts_with_gaps_are_refused(blobs: LocalBlobs) -> None:
    await in_thread(lambda: part_of(blobs, 1, b"one", 0))
    await in_thread(lambda: part_of(blobs, 2, b"two", 4))
    key, verify = lfs(b"onetwo")
    with pytest.raises(InvalidInput, match="does not start at byte 3"):
        await blobs.parts.assemble("u", [1, 2], key, verify, size=6)


async def test_a_file_system_without_hard_links_is_supported(
    blobs: LocalBlobs, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    key = BlobKey(BlobKind.XORB, "7" * 64)
    await blobs.put(key, b"first", AnyBytes())
    await blobs.put(key, b"second", AnyBytes())
    assert await read(blobs, key) == b"first"
    assert len(files_below(root)) == 1


async def test_concurrent_blobs_share_folders_safely(blobs: LocalBlobs) -> None:
    bodies = [str(n).encode() for n in range(200)]
    keys = await asyncio.gather(*[put(blobs, body) for body in bodies])
    assert [await read(blobs, key) for key in keys] == bodies
    listed = {stored.key async for stored in blobs.keys(BlobKind.LFS)}
    assert listed == set(keys)


def test_a_store_creates_its_folder(root: Path) -> None:
    name = hashlib.sha256(b"x").hexdigest()
    writer = LocalBlobs(root / "deep" / "down").writer(
        BlobKey(BlobKind.LFS, name), Sha256Verifier(name)
    )
    writer.write(b"x")
    assert writer.commit() == 1


async def test_a_deletion_during_a_write_of_the_same_bytes_does_not_fail_the_write(
    tmp_path: Path,
) -> None:
    store = LocalBlobs(tmp_path)
    data = b"the same bytes again and again"
    key = BlobKey(BlobKind.LFS, hashlib.sha256(data).hexdigest())
    ended = asyncio.Event()

    async def keep_deleting() -> None:
        while not ended.is_set():
            await store.delete(key)

    deleting = asyncio.create_task(keep_deleting())
    for _ in range(300):
        assert await store.put(key, data, Sha256Verifier(key.name, len(data))) == len(data)
    ended.set()
    await deleting
