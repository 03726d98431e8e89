"""Damaged objects are repair from a backup, or from intact parts, and verified."""

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
damaged_in_each_way = pytest.mark.parametrize("damage", ["missing", "flipped", "cut"])
_BLOBS = reading(select(blobs.c.kind, blobs.c.name))
_PACKS = reading(select(packs.c.name))


class Anything:
    """Accepts all bytes, so that wrong ones can be stored."""

    def update(self, chunk: bytes | memoryview) -> None:
        pass

    def finish(self) -> None:
        pass


def damaged(data: bytes, how: str) -> bytes:
    if how == "cut":
        return data[:-1]
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


async def damage_blob(stores: Storage, key: BlobKey, how: str) -> None:
    stored = await stored_name_of(stores.db, key)
    source = await stores.blobs.open(stored)
    data = b"".join([chunk async for chunk in source.chunks()])
    await stores.blobs.delete(stored)
    if how != "missing":
        await stores.blobs.put(stored, damaged(data, how), Anything())


def damage_file(path: Path, how: str) -> None:
    data = path.read_bytes()
    path.unlink()
    if how != "missing":
        path.write_bytes(damaged(data, how))


async def some_blob(stores: Storage, kind: BlobKind) -> BlobKey:
    rows = await stores.db.all(_BLOBS)
    return BlobKey(kind, next(row.name for row in rows if row.kind == kind))


async def faults(stores: Storage) -> list[Finding]:
    findings = [finding async for finding in run_checks(Inspection(stores, deep=True))]
    return [finding for finding in findings if finding.severity is Severity.FAULT]


async def repair(stores: Storage, folder: BackupFolder | None, **how: bool) -> list[RepairResult]:
    return [entry async for entry in repair_objects(stores, folder, deep=how.get("deep", False))]


@both
@damaged_in_each_way
@pytest.mark.parametrize("kind", ["lfs", "xorb", "pack"])
async def test_a_damaged_blob_is_marked_by_doctor_and_repaired_from_a_backup(
    hub: Filled, folder: BackupFolder, shape: str, damage: str, kind: str
) -> None:
    if kind == "pack" and shape == "embedded":
        pytest.skip("packs are files of git there: another test")
    async with hub(shape) as sample:
        stores = sample.stores
        await backed_up(sample, folder)
        await damage_blob(stores, key := await some_blob(stores, BlobKind(kind)), damage)
        reported = await faults(stores)
        assert any("hubstead repair --from BACKUP" in finding.hint for finding in reported)
        refused = await repair(stores, None)
        assert [finding.whole for finding in refused if str(key) in finding.subject] == [False]
        results = await repair(stores, folder)
        assert all(finding.whole for finding in results)
        assert any(str(key) in finding.subject for finding in results)
        assert await faults(stores) == []
        assert await repair(stores, None, deep=True) == []


def a_pack(sample: BackupHub) -> Path:
    folder = sample.stores.git.packs_path(sample.repo.id)
    return next(iter(sorted(folder.glob("pack-*.pack"))))


def fsck(sample: BackupHub) -> None:
    path = sample.stores.git.path(sample.repo.id)
    subprocess.run(["git", "fsck", "--full"], cwd=path, check=True, capture_output=True)


@both
@damaged_in_each_way
async def test_an_index_is_rebuilt_from_its_pack_without_any_backup(
    hub: Filled, shape: str, damage: str
) -> None:
    async with hub(shape) as sample:
        damage_file(a_pack(sample).with_suffix(".idx"), damage)
        results = await repair(sample.stores, None)
        assert [item.what for item in results] == ["its index was made anew of it"]
        assert all(item.whole for item in results)
        fsck(sample)
        assert await repair(sample.stores, None) == []


@both
@damaged_in_each_way
async def test_a_damaged_pack_file_is_repaired(
    hub: Filled, folder: BackupFolder, shape: str, damage: str
) -> None:
    async with hub(shape) as sample:
        await backed_up(sample, folder)
        for path in sample.stores.git.root.rglob(a_pack(sample).name):
            damage_file(path, damage)
        without = await repair(sample.stores, None)
        # The company shape has every pack in its store as well.
        assert all(item.whole for item in without) == (shape == "company")
        results = await repair(sample.stores, folder)
        assert all(item.whole for item in results)
        fsck(sample)
        assert await repair(sample.stores, None) == []


async def test_a_mark_is_removed_when_the_bytes_are_sound(hub: Filled) -> None:
    from hubstead.blobs import mark_damaged

    async with hub("embedded") as sample:
        key = await some_blob(sample.stores, BlobKind.LFS)
        assert await mark_damaged(sample.stores.db, key)
        [result] = await repair(sample.stores, None)
        assert result.whole
        assert "mark is removed" in result.what
        assert await repair(sample.stores, None) == []


async def test_a_damaged_backup_is_not_used(hub: Filled, folder: BackupFolder) -> None:
    async with hub("embedded") as sample:
        await backed_up(sample, folder)
        key = await some_blob(sample.stores, BlobKind.LFS)
        await damage_blob(sample.stores, key, "missing")
        copy: LocalBlobs = folder.blobs()
        damage_file((await copy.open(key)).path, "flipped")
        [result] = await repair(sample.stores, folder)
        assert not result.whole
        assert "the backup has not its right bytes" in result.what
