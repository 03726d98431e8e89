"""A restored hub equals the one that was backed up, in either shape; damage is reported."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import func, select, update

from hubstead import jobs
from hubstead.app import open_storage
from hubstead.backup import (
    BackupFault,
    BackupFolder,
    Patience,
    check_backup,
    prune_snapshots,
    restore_snapshot,
)
from hubstead.backup.blob_copy import CopyResult, copy_missing
from hubstead.backup.required_blobs import RequiredBlob
from hubstead.backup.transfers import Sink
from hubstead.blobs import BlobKey, BlobKind, MemoryBlobs
from hubstead.blobs.tables import blobs, deletion_pauses
from hubstead.commits import delete_repository
from hubstead.db import Tx, indexed, insert
from hubstead.errors import InvalidInput, Unavailable
from hubstead.jobs.tables import jobs as jobs_table
from hubstead.outbox.tables import events
from hubstead.repos import open_repo
from hubstead.repos.tables import repos
from hubstead.xet.tables import xet_epochs
from tests.backup.conftest import (
    LFS,
    SHAPES,
    WEIGHTS,
    Filled,
    Places,
    backed_up,
    differences,
    quiet,
    restored,
)
from tests.support.rows import reading

in_files = pytest.mark.parametrize("shape", ["embedded"])
both = pytest.mark.parametrize("shape", SHAPES)


def blob_file(folder: BackupFolder, key: BlobKey) -> Path:
    return folder.root / "blobs" / key.kind / key.name[:2] / key.name[2:4] / key.name


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


@both
@pytest.mark.parametrize("other", SHAPES)
async def test_a_restored_hub_is_the_same_in_every_row_and_byte(
    hub: Filled, places: Places, folder: BackupFolder, shape: str, other: str
) -> None:
    async with hub(shape) as sample:
        manifest = await backed_up(sample, folder)
    assert set(manifest.blobs) == {"lfs", "xorb", "pack"}
    assert manifest.blobs["lfs"].count == 2
    target = places(other)
    await restored(target, folder)
    assert await differences(target, folder) == []
    async with open_storage(target) as stores:
        repo = await open_repo(stores.db, sample.anna, sample.repo.repo_id)
        git = await stores.open_git(repo)
        assert repo.head is not None
        assert {file.path for file in git.walk_files(repo.head)} >= {"model.safetensors"}
        source = await stores.blobs.open(LFS)
        assert b"".join([chunk async for chunk in source.chunks()]) == WEIGHTS


@pytest.mark.long
@both
async def test_tables_with_many_rows_are_restored_completely(
    hub: Filled, places: Places, folder: BackupFolder, shape: str
) -> None:
    """More rows than one batch reads or writes."""
    doublings = 15
    columns = (events.c.type, events.c.payload, events.c.created_ms, events.c.told_ms)
    names = [column.name for column in columns]

    async def add(tx: Tx) -> None:
        for _ in range(doublings):
            await tx.run(indexed(insert(events).from_select(names, select(*columns))))

    async with hub(shape) as sample:
        await sample.stores.db.write(add)
        manifest = await backed_up(sample, folder)
    assert manifest.tables["event"] > 2**doublings
    for other in SHAPES:
        target = places(other)
        await restored(target, folder)
        assert await differences(target, folder) == []


@both
async def test_used_numbers_are_not_used_again_after_a_restore(
    hub: Filled, places: Places, folder: BackupFolder, shape: str
) -> None:
    highest = reading(select(func.max(repos.c.pk).label("pk")))
    async with hub(shape) as sample:
        last = await sample.stores.db.one(highest)
        assert last is not None
        last_repo = await sample.stores.db.one(reading(select(repos).where(repos.c.pk == last.pk)))
        assert last_repo is not None
        repo_id = type(sample.repo.repo_id)(sample.repo.kind, "anna", last_repo.name)
        await delete_repository(sample.stores, sample.anna, repo_id)
        await backed_up(sample, folder)
    for other in SHAPES:
        target = places(other)
        await restored(target, folder)
        async with open_storage(target) as stores:
            from hubstead.commits import RepoRequest, create_repository

            repo = await create_repository(stores, sample.anna, RepoRequest(repo_id))
            assert repo.pk == last.pk + 1


@both
async def test_stored_objects_are_not_copied_again(
    hub: Filled, folder: BackupFolder, shape: str
) -> None:
    async with hub(shape) as sample:
        first = await backed_up(sample, folder)
        assert first.new == first.total
        second = await backed_up(sample, folder)
        assert second.new.count == 0
        await sample.add_file("third.bin", b"third" * 500)
        third = await backed_up(sample, folder)
        assert third.new.count == 2  # the file and the pack of its commit
        assert third.new.bytes < 2500 + 2000
        assert third.total.count == first.total.count + 2


@in_files
async def test_a_backup_is_readable_only_for_its_owner(
    hub: Filled, folder: BackupFolder, shape: str
) -> None:
    async with hub(shape) as sample:
        await backed_up(sample, folder)
    for path in [folder.root, *folder.root.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


@both
async def test_deletion_pauses_during_a_backup_and_resumes_after_it(
    hub: Filled, folder: BackupFolder, shape: str
) -> None:
    from hubstead.backup.deletion_pause import deletion_paused
    from hubstead.blobs import deletion_is_paused

    async with hub(shape) as sample:
        async with deletion_paused(sample.stores.db):
            assert await deletion_is_paused(sample.stores.db)
        assert not await deletion_is_paused(sample.stores.db)
        await backed_up(sample, folder)
        assert not await deletion_is_paused(sample.stores.db)


@in_files
async def test_a_snapshot_leaves_out_transient_rows(
    hub: Filled, folder: BackupFolder, shape: str
) -> None:
    async with hub(shape) as sample:

        async def change(tx: Tx) -> None:
            await jobs.enqueue(tx, "some.work", "it")
            await tx.run(
                indexed(update(jobs_table).values(holder="me", lease_ms=2**50, due_ms=2**50))
            )
            await tx.run(
                indexed(update(blobs).where(blobs.c.kind == "xorb").values(unreferenced_ms=5))
            )

        await sample.stores.db.write(change)
        manifest = await backed_up(sample, folder)
    with folder.snapshot().open() as rows:
        assert rows.execute("SELECT count(*) FROM job WHERE holder IS NOT NULL").fetchone() == (0,)
        assert rows.execute("SELECT count(*) FROM deletion_pause").fetchone() == (0,)
    # The xorb is stored, so its bytes are needed, whatever its mark.
    assert manifest.blobs["xorb"].count == 1


@both
async def test_content_that_no_repository_links_is_left_out(
    hub: Filled, places: Places, folder: BackupFolder, shape: str
) -> None:
    async with hub(shape) as sample:
        for name in [row.name for row in await sample.stores.db.all(reading(select(repos.c.name)))]:
            repo_id = type(sample.repo.repo_id)(sample.repo.kind, "anna", name)
            await delete_repository(sample.stores, sample.anna, repo_id)
        manifest = await backed_up(sample, folder)
    assert set(manifest.blobs) == {"xorb"}  # clients may still use it
    target = places(shape)
    await restored(target, folder)
    assert await differences(target, folder) == []


@both
async def test_a_restore_invalidates_the_caches_of_clients(
    hub: Filled, places: Places, folder: BackupFolder, shape: str
) -> None:
    epochs = reading(select(xet_epochs.c.id))
    async with hub(shape) as sample:
        await backed_up(sample, folder)
        before = {row.id for row in await sample.stores.db.all(epochs)}
    target = places(shape)
    await restored(target, folder)
    async with open_storage(target) as stores:
        after = {row.id for row in await stores.db.all(epochs)}
    assert len(after) == 1
    assert not after & before


async def test_a_restore_overwrites_nothing(
    hub: Filled, places: Places, folder: BackupFolder
) -> None:
    async with hub("embedded") as sample:
        await backed_up(sample, folder)
        with pytest.raises(InvalidInput, match="database is not empty"):
            await restore_snapshot(sample.stores, folder, folder.snapshot(), quiet())
    target = places("embedded")
    async with open_storage(target, make=True) as stores:
        from hubstead.blobs import Sha256Verifier

        await stores.blobs.put(LFS, WEIGHTS, Sha256Verifier(LFS.name))
        with pytest.raises(InvalidInput, match="blob store is not empty"):
            await restore_snapshot(stores, folder, folder.snapshot(), quiet())


@both
async def test_an_interrupted_restore_resumes_at_the_next_run(
    hub: Filled, places: Places, folder: BackupFolder, shape: str
) -> None:
    async with hub("embedded") as sample:
        await backed_up(sample, folder)
    lost = blob_file(folder, LFS)
    hidden = lost.rename(folder.root / "hidden")
    lost.write_bytes(b"x" * len(WEIGHTS))  # the right size: detected when most is restored
    target = places(shape)
    with pytest.raises(BackupFault) as error:
        await restored(target, folder)
    assert str(LFS) in error.value.faults[0]
    with pytest.raises(Unavailable, match="not complete"):
        await differences(target, folder)
    hidden.rename(lost)
    await restored(target, folder)
    assert await differences(target, folder) == []
    assert not (target.data / "restoring").exists()


@both
@pytest.mark.parametrize("kind", list(BlobKind))
async def test_a_flipped_bit_in_the_backup_is_detected(
    hub: Filled, places: Places, folder: BackupFolder, shape: str, kind: BlobKind
) -> None:
    async with hub(shape) as sample:
        await backed_up(sample, folder)
    (path, *_) = [entry for entry in (folder.root / "blobs" / kind).rglob("*") if entry.is_file()]
    flip(path)
    with pytest.raises(BackupFault) as error:
        await restored(places(shape), folder)
    assert [fault for fault in error.value.faults if path.name in fault]
    with folder.locked(alone=False):
        detected = [fault async for fault in check_backup(folder, quiet())]
    assert len(detected) == 1
    assert path.name in detected[0]


async def test_a_lost_object_in_the_backup_is_detected_before_any_write(
    hub: Filled, places: Places, folder: BackupFolder
) -> None:
    async with hub("embedded") as sample:
        await backed_up(sample, folder)
    blob_file(folder, LFS).unlink()
    target = places("embedded")
    with pytest.raises(BackupFault, match="damaged") as error:
        await restored(target, folder)
    assert error.value.faults == (f"{LFS}: it is missing in the backup",)
    assert not list((target.data / "blobs").rglob("??/??/*"))


async def test_damaged_rows_are_not_restored(
    hub: Filled, places: Places, folder: BackupFolder
) -> None:
    async with hub("embedded") as sample:
        await backed_up(sample, folder)
    flip(folder.snapshot().database)
    with pytest.raises(BackupFault, match="is damaged"):
        await restored(places("embedded"), folder)
    assert len([fault async for fault in check_backup(folder, quiet())]) == 1


async def test_a_verification_detects_changed_rows_and_lost_and_damaged_bytes(
    hub: Filled, places: Places, folder: BackupFolder
) -> None:
    async with hub("embedded") as sample:
        await backed_up(sample, folder)
    target = places("embedded")
    await restored(target, folder)
    async with open_storage(target) as stores:

        async def rename(tx: Tx) -> None:
            await tx.run(indexed(update(repos).values(likes=7)))

        await stores.db.write(rename)
    lines = await differences(target, folder)
    assert lines == ["hub: repo has other rows"]
    path = target.data / "blobs" / "lfs" / LFS.name[:2] / LFS.name[2:4] / LFS.name
    flip(path)
    assert any(
        str(LFS) in difference and difference.startswith("hub")
        for difference in await differences(target, folder)
    )
    path.unlink()
    assert f"hub: {LFS}: its bytes are missing" in await differences(target, folder)
    flip(blob_file(folder, LFS))
    assert any(
        difference.startswith(f"backup: {LFS}") for difference in await differences(target, folder)
    )


@both
async def test_bytes_that_the_hub_lacks_are_reported_and_stop_the_backup_unless_allowed(
    hub: Filled, places: Places, folder: BackupFolder, shape: str
) -> None:
    async with hub(shape) as sample:
        await sample.stores.blobs.delete(LFS)
        with pytest.raises(BackupFault) as error:
            await backed_up(sample, folder)
        assert error.value.faults == (f"{LFS}: its bytes are missing",)
        assert folder.snapshots() == []
        manifest = await backed_up(sample, folder, keep_going=True)
        assert manifest.lacking == error.value.faults
    target = places(shape)
    await restored(target, folder)
    assert f"hub: {LFS}: its bytes are missing" in await differences(target, folder)


async def test_a_lost_pack_of_git_is_reported(hub: Filled, folder: BackupFolder) -> None:
    async with hub("embedded") as sample:
        for path in sample.stores.git.root.glob("??/*.git/objects/pack/pack-*.pack"):
            path.unlink()
        with pytest.raises(BackupFault) as error:
            await backed_up(sample, folder)
    assert all(fault.startswith("pack/") for fault in error.value.faults)


async def test_old_snapshots_are_pruned_with_the_bytes_that_only_they_need(
    hub: Filled, places: Places, folder: BackupFolder
) -> None:
    async with hub("embedded") as sample:
        await sample.add_file("old.bin", b"old" * 1000)
        await backed_up(sample, folder)
        for name in [row.name for row in await sample.stores.db.all(reading(select(repos.c.name)))]:
            repo_id = type(sample.repo.repo_id)(sample.repo.kind, "anna", name)
            await delete_repository(sample.stores, sample.anna, repo_id)
        await backed_up(sample, folder)
        first = await prune_snapshots(folder, 2)
        assert first.count == 0
        second = await prune_snapshots(folder, 1)
    assert second.count > 5
    assert len(folder.snapshots()) == 1
    assert [path.parts[-4] for path in (folder.root / "blobs").glob("*/??/??/*")] == ["xorb"]
    await restored(places("embedded"), folder)


async def test_nothing_is_pruned_if_a_snapshot_cannot_be_read(
    hub: Filled, folder: BackupFolder
) -> None:
    async with hub("embedded") as sample:
        await backed_up(sample, folder)
        await backed_up(sample, folder)
    manifest = folder.snapshot().path / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"format": 1', b'"format": 9'))
    before = sorted(folder.root.rglob("*"))
    with pytest.raises(BackupFault, match="is damaged"):
        await prune_snapshots(folder, 1)
    assert sorted(folder.root.rglob("*")) == before


async def test_a_lost_manifest_is_detected_and_no_older_snapshot_takes_its_place(
    hub: Filled, places: Places, folder: BackupFolder
) -> None:
    async with hub("embedded") as sample:
        first = await backed_up(sample, folder)
        newest = await backed_up(sample, folder)
        (folder.root / "snapshots" / newest.id / "manifest.json").unlink()
        third = await backed_up(sample, folder)  # and no run removes what has lost it
    assert [fault async for fault in check_backup(folder, quiet())] == [
        f"{newest.id}: manifest.json: it is lost"
    ]
    folder.snapshot(third.id).remove()
    with pytest.raises(BackupFault, match=newest.id):
        await restored(places("embedded"), folder)
    target = places("embedded")
    await restored(target, folder, folder.snapshot(first.id))
    assert await differences(target, folder, folder.snapshot(first.id)) == []


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("field", ["tables", "schema", "blobs"])
async def test_a_changed_manifest_is_detected(
    hub: Filled, folder: BackupFolder, field: str, *, listed: bool
) -> None:
    async with hub("embedded") as sample:
        await backed_up(sample, folder)
    path = folder.snapshot().path / "manifest.json"
    content = msgspec.json.decode(path.read_bytes())
    if field == "schema":
        content["schema"] = "0001"
    elif field == "tables":
        content["tables"]["account"] += 1
    else:
        content["blobs"]["lfs"]["count"] += 1
    path.write_bytes(msgspec.json.encode(content))
    if not listed:  # a backup of an earlier release has no digest outside the manifest
        (folder.root / "snapshots.tsv").unlink()
    faults = [fault async for fault in check_backup(folder, quiet())]
    assert len(faults) == 1
    assert "manifest.json" in faults[0]


@dataclass
class FailingOrigin:
    """A source whose store fails for one object, a number of times."""

    failing: BlobKey
    failures: int
    sent: list[BlobKey] = field(default_factory=list)

    async def pour(self, blob: RequiredBlob, sink: Sink) -> None:
        if blob.key == self.failing and self.failures:
            self.failures -= 1
            raise Unavailable(reason="the object store answered 500")
        self.sent.append(blob.key)
        sink(CONTENT[blob.key])


CONTENT = {
    BlobKey(BlobKind.LFS, hashlib.sha256(data).hexdigest()): data for data in (b"a", b"bb", b"c")
}


async def copy_from(origin: FailingOrigin) -> CopyResult:
    """Copy with a patience of 10 seconds on a clock that the pauses alone move."""
    times = [0.0]

    async def sleep(seconds: float) -> None:
        times[0] += seconds

    patience = Patience(seconds=10, pause_s=4, clock=lambda: times[0], sleep=sleep)
    wanted = [RequiredBlob(key, key, len(data)) for key, data in CONTENT.items()]
    return await copy_missing(origin, MemoryBlobs(), wanted, quiet(), patience)


async def test_a_copy_goes_on_beside_an_object_whose_store_fails_and_returns_to_it() -> None:
    origin = FailingOrigin(next(iter(CONTENT)), failures=2)
    result = await copy_from(origin)
    assert result.lacking == ()
    assert origin.sent[-1] == origin.failing
    assert len(origin.sent) == 3


async def test_a_copy_ends_with_a_list_of_the_objects_that_the_store_failed_to_send() -> None:
    origin = FailingOrigin(next(iter(CONTENT)), failures=99)
    result = await copy_from(origin)
    assert len(origin.sent) == 2
    (line,) = result.lacking
    assert line.startswith(f"{origin.failing}: ")
    assert "answered 500" in line


async def test_an_older_snapshot_is_restored_unchanged(
    hub: Filled, places: Places, folder: BackupFolder
) -> None:
    async with hub("embedded") as sample:
        first = await backed_up(sample, folder)
        await sample.add_file("later.bin", b"later" * 1000)
        await backed_up(sample, folder)
    target = places("embedded")
    wanted = folder.snapshot(first.id)
    await restored(target, folder, wanted)
    assert await differences(target, folder, wanted) == []
    assert await differences(target, folder) != []


async def test_two_concurrent_backups_into_one_folder_are_refused(
    hub: Filled, folder: BackupFolder
) -> None:
    async with hub("embedded") as sample:
        with folder.locked(alone=True), pytest.raises(Unavailable, match="another backup"):
            await backed_up(sample, BackupFolder(folder.root))


def test_a_folder_with_other_content_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "anna.txt").write_text("Dear Anna")
    with pytest.raises(InvalidInput, match="neither a backup nor empty"):
        BackupFolder(tmp_path / "letters", make=True)
    with pytest.raises(InvalidInput, match="there is no backup"):
        BackupFolder(tmp_path / "nothing")


async def test_a_snapshot_of_a_newer_schema_is_refused(
    hub: Filled, places: Places, folder: BackupFolder
) -> None:
    async with hub("embedded") as sample:
        await backed_up(sample, folder)
    manifest = folder.snapshot().path / "manifest.json"
    schema = folder.snapshot().read().schema
    newer = manifest.read_bytes().replace(f'"{schema}"'.encode(), b'"9999"')
    manifest.write_bytes(newer)
    (folder.root / "snapshots.tsv").unlink()  # as in a backup of an earlier release
    with pytest.raises(InvalidInput, match="schema 9999"):
        await restored(places("embedded"), folder)


async def test_rows_are_plain_sqlite_and_the_list_is_plain_text(
    hub: Filled, folder: BackupFolder
) -> None:
    async with hub("embedded") as sample:
        await backed_up(sample, folder)
    snapshot = folder.snapshot()
    rows = sqlite3.connect(snapshot.database)
    assert rows.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert rows.execute("SELECT count(*) FROM repo").fetchone() == (2,)
    rows.close()
    assert f"lfs\t{LFS.name}\t{len(WEIGHTS)}" in snapshot.listing.read_text().splitlines()
    assert deletion_pauses.name == "deletion_pause"
