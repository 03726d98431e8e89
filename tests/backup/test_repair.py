"""Single damaged objects are put back from a backup, or from what is left, and proven whole."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from sqlalchemy import select

from hubstead.backup import BackupFolder, RepairResult, repair_objects
from hubstead.blobs import BlobKey, BlobKind, LocalBlobs, stored_name_of
from hubstead.blobs.tables import blobs
from hubstead.commits import Storage
from hubstead.commits.tables import packs
from hubstead.doctor import Finding, Inspection, Severity, run_checks
from tests.backup.conftest import SHAPES, BackupHub, Filled, backed_up
from tests.support.rows import reading

both = pytest.mark.parametrize("shape", SHAPES)
damaged_in_each_way = pytest.mark.parametrize("damage", ["gone", "flipped", "cut"])
_BLOBS = reading(select(blobs.c.kind, blobs.c.name))
_PACKS = reading(select(packs.c.name))


class Anything:
    """Lets all bytes pass: this is how the wrong ones get into the store."""

    def update(self, chunk: bytes | memoryview) -> None:
        pass

    def finish(self) -> None:
        pass


def harmed(data: bytes, how: str) -> bytes:
    if how == "cut":
        return data[:-1]
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


async def harm_blob(stores: Storage, key: BlobKey, how: str) -> None:
    place = await stored_name_of(stores.db, key)
    source = await stores.blobs.open(place)
    data = b"".join([chunk async for chunk in source.chunks()])
    await stores.blobs.delete(place)
    if how != "gone":
        await stores.blobs.put(place, harmed(data, how), Anything())


def harm_file(path: Path, how: str) -> None:
    data = path.read_bytes()
    path.unlink()
    if how != "gone":
        path.write_bytes(harmed(data, how))


async def some_blob(stores: Storage, kind: BlobKind) -> BlobKey:
    rows = await stores.db.all(_BLOBS)
    return BlobKey(kind, next(row.name for row in rows if row.kind == kind))


async def faults(stores: Storage) -> list[Finding]:
    found = [each async for each in run_checks(Inspection(stores, deep=True))]
    return [each for each in found if each.severity is Severity.FAULT]


async def repaired(stores: Storage, folder: BackupFolder | None, **how: bool) -> list[RepairResult]:
    return [entry async for entry in repair_objects(stores, folder, deep=how.get("deep", False))]


@both
@damaged_in_each_way
@pytest.mark.parametrize("kind", ["lfs", "xorb", "pack"])
async def test_a_damaged_blob_is_marked_by_doctor_and_put_back_from_a_backup(
    hub: Filled, folder: BackupFolder, shape: str, damage: str, kind: str
) -> None:
    if kind == "pack" and shape == "embedded":
        pytest.skip("packs are files of git there: another test")
    async with hub(shape) as sample:
        stores = sample.stores
        await backed_up(sample, folder)
        await harm_blob(stores, key := await some_blob(stores, BlobKind(kind)), damage)
        reported = await faults(stores)
        assert any("hubstead repair --from BACKUP" in each.hint for each in reported)
        refused = await repaired(stores, None)
        assert [each.whole for each in refused if str(key) in each.subject] == [False]
        done = await repaired(stores, folder)
        assert all(each.whole for each in done)
        assert any(str(key) in each.subject for each in done)
        assert await faults(stores) == []
        assert await repaired(stores, None, deep=True) == []


def a_pack(sample: BackupHub) -> Path:
    folder = sample.stores.git.packs_path(sample.repo.id)
    return next(iter(sorted(folder.glob("pack-*.pack"))))


def fsck(sample: BackupHub) -> None:
    path = sample.stores.git.path(sample.repo.id)
    subprocess.run(["git", "fsck", "--full"], cwd=path, check=True, capture_output=True)


@both
@damaged_in_each_way
async def test_an_index_is_made_anew_of_its_pack_without_any_backup(
    hub: Filled, shape: str, damage: str
) -> None:
    async with hub(shape) as sample:
        harm_file(a_pack(sample).with_suffix(".idx"), damage)
        done = await repaired(sample.stores, None)
        assert [each.what for each in done] == ["its index was made anew of it"]
        assert all(each.whole for each in done)
        fsck(sample)
        assert await repaired(sample.stores, None) == []


@both
@damaged_in_each_way
async def test_a_damaged_pack_file_is_put_back(
    hub: Filled, folder: BackupFolder, shape: str, damage: str
) -> None:
    async with hub(shape) as sample:
        await backed_up(sample, folder)
        for path in sample.stores.git.root.rglob(a_pack(sample).name):
            harm_file(path, damage)
        without = await repaired(sample.stores, None)
        # The company has every pack in its store as well.
        assert all(each.whole for each in without) == (shape == "company")
        done = await repaired(sample.stores, folder)
        assert all(each.whole for each in done)
        fsck(sample)
        assert await repaired(sample.stores, None) == []


async def test_a_mark_goes_when_the_bytes_are_found_right(hub: Filled) -> None:
    from hubstead.blobs import mark_damaged

    async with hub("embedded") as sample:
        key = await some_blob(sample.stores, BlobKind.LFS)
        assert await mark_damaged(sample.stores.db, key)
        [told] = await repaired(sample.stores, None)
        assert told.whole
        assert "mark is removed" in told.what
        assert await repaired(sample.stores, None) == []


async def test_a_damaged_backup_is_not_put_back(hub: Filled, folder: BackupFolder) -> None:
    async with hub("embedded") as sample:
        await backed_up(sample, folder)
        key = await some_blob(sample.stores, BlobKind.LFS)
        await harm_blob(sample.stores, key, "gone")
        copy: LocalBlobs = folder.blobs()
        harm_file((await copy.open(key)).path, "flipped")
        [told] = await repaired(sample.stores, folder)
        assert not told.whole
        assert "the backup has not its right bytes" in told.what
