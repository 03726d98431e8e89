"""Faults of each kind are planted into a hub, and reported; a sound hub has no findings."""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete, insert, update

from hubstead import jobs
from hubstead.accounts.tables import accounts
from hubstead.blobs import BlobKey, BlobKind, LocalBlobs, Sha256Verifier, stored_name_of
from hubstead.blobs.layout import blob_path
from hubstead.blobs.tables import blobs, repo_blobs
from hubstead.commits import Changeset, CommitResult, Message, RefName, commit, delete_repository
from hubstead.commits.tables import deleted_repos, refs
from hubstead.commits.tables import packs as packs_table
from hubstead.db import Tx, indexed
from hubstead.doctor import CHECKS, Finding, Inspection, Severity, run_checks
from hubstead.doctor.schema import database_file
from hubstead.gitstore import LruCache, Pointer
from hubstead.ids import new_object_id
from hubstead.jobs.tables import jobs as jobs_table
from hubstead.outbox.tables import events
from hubstead.repos import Right
from hubstead.repos.tables import repo_names, repo_tags, repos
from hubstead.webhooks import add_webhook
from hubstead.webhooks.tables import deliveries
from tests.doctor.conftest import LFS, WEIGHTS, DoctorHub
from tests.support.factories import a_user

NOBODY = "f" * 40
#: For faults in rows alone: the other tests run the same statements on PostgreSQL.
in_files = pytest.mark.parametrize("sample", ["files"], indirect=True)
FAULT, WARNING, LEFTOVER = Severity.FAULT, Severity.WARNING, Severity.LEFTOVER


async def find(sample: DoctorHub, **options: Any) -> list[Finding]:
    """Examine the hub as a newly started program does."""
    git = type(sample.stores.git)(sample.stores.git.root)
    stores = dataclasses.replace(sample.stores, git=git, _fetched=LruCache(10))
    return [finding async for finding in run_checks(Inspection(stores, **options))]


async def summary(sample: DoctorHub, **options: Any) -> set[tuple[str, Severity]]:
    return {(finding.check, finding.severity) for finding in await find(sample, **options)}


async def plant(sample: DoctorHub, *changes: Any) -> None:
    """Run statements in one transaction; each must change rows."""

    async def write(tx: Tx) -> None:
        for change in changes:
            assert await tx.run(indexed(change)) >= 1

    await sample.stores.db.write(write)


async def put(sample: DoctorHub, path: str, content: bytes) -> CommitResult:
    git = await sample.stores.open_git(sample.repo)
    change = Changeset(git.draft(), sample.stores.settings.commits)
    await change.put(path, content)
    message = Message("put")
    return await commit(
        sample.stores,
        sample.anna,
        sample.repo,
        target=RefName.branch("main"),
        right=Right.WRITE,
        changeset=change,
        message=message,
    )


def packs(sample: DoctorHub) -> list[Path]:
    return sorted(sample.stores.git.packs_path(sample.repo.id).glob("*.pack"))


def aged(path: Path) -> Path:
    old = time.time() - 2 * 3600
    os.utime(path, (old, old))
    return path


async def test_a_sound_hub_has_no_findings(sample: DoctorHub) -> None:
    assert await find(sample) == []
    assert await find(sample, deep=True) == []
    assert await find(sample, quick=True) == []


async def test_files_that_other_users_may_read_are_reported(sample: DoctorHub) -> None:
    data = sample.stores.settings.data
    (data / "incoming").mkdir(mode=0o700)
    folders = [data / "git", data / "incoming"]
    for folder in folders:
        folder.chmod(0o710)
    file = data / "hubstead.toml"
    file.write_text("port = 1\n")
    file.chmod(0o644)
    findings = [finding for finding in await find(sample) if finding.check == "permissions"]
    assert [finding.subject for finding in findings] == [str(folder) for folder in folders]
    assert {finding.severity for finding in findings} == {Severity.WARNING}
    file.write_text('s3_secret_key = "x"\n')
    findings = [finding for finding in await find(sample) if finding.check == "permissions"]
    assert [finding.subject for finding in findings] == [*map(str, folders), str(file)]
    for path in (*folders, file):
        path.chmod(0o700)
    assert await find(sample) == []


async def test_a_deleted_repository_leaves_nothing_to_find(sample: DoctorHub) -> None:
    await delete_repository(sample.stores, sample.anna, sample.repo.repo_id)
    assert await find(sample) == []


async def test_a_lost_pack_is_reported(sample: DoctorHub) -> None:
    lost = packs(sample)[0]
    name = lost.stem.removeprefix("pack-")
    if sample.stores.packs_are_blobs:
        stored = await stored_name_of(sample.stores.db, BlobKey(BlobKind.PACK, name))
        await sample.stores.blobs.delete(stored)
    else:
        lost.unlink()
    findings = await find(sample)
    assert any(f.check == "pack_files" and name in f.what and f.severity is FAULT for f in findings)
    assert {f.subject for f in findings} <= {"models/anna/bert", f"blob pack/{name}"}


async def test_a_pack_of_another_size_is_reported(sample: DoctorHub) -> None:
    path = packs(sample)[0]
    path.chmod(0o644)
    with path.open("ab") as file:
        file.write(b"more")
    assert ("pack_files", FAULT) in await summary(sample, quick=True)


async def test_a_damaged_pack_is_reported_by_git(sample: DoctorHub) -> None:
    path = max(packs(sample), key=lambda path: path.stat().st_size)
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    findings = await find(sample)
    assert any(f.check == "objects" and "git fsck" in f.what for f in findings)
    assert ("objects", FAULT) not in await summary(sample, quick=True)


async def test_a_ref_to_a_missing_commit_is_reported(sample: DoctorHub) -> None:
    tag = update(refs).where(refs.c.name == "refs/tags/v1")
    await plant(sample, tag.values(oid=NOBODY, target=NOBODY))
    findings = await find(sample, quick=True)
    assert [(f.check, f.severity) for f in findings] == [("targets", FAULT)]
    assert "refs/tags/v1" in findings[0].what


@in_files
async def test_a_ref_with_a_wrong_peeled_commit_is_reported(sample: DoctorHub) -> None:
    await plant(sample, update(refs).where(refs.c.name == "refs/tags/v1").values(target=NOBODY))
    assert ("targets", FAULT) in await summary(sample, quick=True)


async def test_a_ref_that_needs_a_pack_without_a_row_is_reported(sample: DoctorHub) -> None:
    """Git itself can read it, but such a pack is swept one day."""
    newest = max(packs(sample), key=lambda path: path.stat().st_mtime_ns)
    name = newest.stem.removeprefix("pack-")
    await plant(sample, delete(packs_table).where(packs_table.c.name == name))
    assert ("objects", FAULT) in await summary(sample)
    aged(newest)
    assert ("packs_without_row", LEFTOVER) in await summary(sample)


@in_files
async def test_a_head_that_differs_from_its_branch_is_reported(sample: DoctorHub) -> None:
    await plant(sample, update(repos).values(head=None))
    assert await summary(sample) == {("heads", FAULT)}


async def test_a_repository_without_its_folder_is_reported_unless_blobs_replace_it(
    sample: DoctorHub,
) -> None:
    shutil.rmtree(sample.stores.git.path(sample.repo.id))
    findings = await summary(sample)
    if sample.stores.packs_are_blobs:
        assert findings == set()
    else:
        assert {("targets", FAULT), ("pack_files", FAULT)} <= findings


async def test_a_pointer_without_a_link_is_a_warning(sample: DoctorHub) -> None:
    of_blob = repo_blobs.c.name == LFS.name
    await plant(sample, delete(repo_blobs).where(of_blob), update(blobs).values(unreferenced_ms=1))
    findings = await find(sample)
    (warning,) = [f for f in findings if f.check == "pointers"]
    assert warning.severity is WARNING
    assert "model.safetensors" in warning.what


async def test_a_pointer_in_another_form_is_reported_and_repaired_by_an_upload(
    sample: DoctorHub,
) -> None:
    """Earlier releases took such a text as a plain file and did not link its object."""
    text = f"version https://hawser.github.com/spec/v1\r\noid sha256:{LFS.name}\r\n"
    text += f"size {len(WEIGHTS)}\r\n"
    await put(sample, "odd.bin", text.encode())
    of_blob = repo_blobs.c.name == LFS.name
    await plant(sample, update(repo_blobs).where(of_blob).values(committed=0))
    findings = {f.what.split()[0]: f for f in await find(sample) if f.check == "pointers"}
    assert "in a form that git-lfs would not write" in findings["odd.bin"].what
    assert "in a form that git-lfs would not write" not in findings["model.safetensors"].what
    assert "hf upload" in findings["odd.bin"].hint
    canonical = Pointer(LFS.name, len(WEIGHTS)).format()
    await put(sample, "odd.bin", canonical)
    assert await summary(sample) == set()


async def test_an_upload_of_an_object_that_a_pointer_names_links_it(sample: DoctorHub) -> None:
    of_blob = repo_blobs.c.name == LFS.name
    await plant(sample, update(repo_blobs).where(of_blob).values(committed=0))
    pointer = Pointer(LFS.name, len(WEIGHTS))
    result = await put(sample, "model.safetensors", pointer.format())
    assert not result.changed
    assert await summary(sample) == set()


@in_files
async def test_a_link_of_an_uncommitted_upload_is_reported_twice(
    sample: DoctorHub,
) -> None:
    this_link = update(repo_blobs).where(repo_blobs.c.name == LFS.name)
    await plant(sample, this_link.values(committed=0))
    assert await summary(sample) == {("pointers", WARNING), ("links", LEFTOVER)}


async def test_links_without_a_live_blob_are_reported(sample: DoctorHub) -> None:
    which = blobs.c.name == LFS.name
    await plant(sample, update(blobs).where(which).values(unreferenced_ms=5))
    assert ("links", FAULT) in await summary(sample, quick=True)
    await plant(sample, update(blobs).where(which).values(unreferenced_ms=None, bytes=3))
    assert {("links", FAULT), ("blob_bytes", FAULT)} <= await summary(sample, quick=True)
    await plant(sample, delete(blobs).where(which))
    assert ("links", FAULT) in await summary(sample, quick=True)


@in_files
async def test_a_blob_that_nothing_will_delete_is_a_leftover(sample: DoctorHub) -> None:
    row = {"kind": "lfs", "name": "0" * 64, "bytes": 0, "created_ms": 1}
    await plant(sample, insert(blobs).values(row))
    key = BlobKey(BlobKind.LFS, "0" * 64)
    assert {("links", LEFTOVER), ("blob_bytes", FAULT)} == await summary(sample)
    assert any(str(key) in f.subject for f in await find(sample))


async def test_lost_bytes_are_reported(sample: DoctorHub) -> None:
    await sample.stores.blobs.delete(LFS)
    (finding,) = await find(sample)
    assert (finding.check, finding.severity) == ("blob_bytes", FAULT)
    assert finding.subject == f"blob {LFS}"
    assert finding.what == "its bytes are missing"


async def test_changed_bytes_are_reported_by_a_deep_examination(
    sample: DoctorHub, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    wrong = b"w" + WEIGHTS[1:][::-1]
    if isinstance(sample.stores.blobs, LocalBlobs):
        path = tmp_path / "blobs" / blob_path(LFS)
        path.chmod(0o644)
        path.write_bytes(wrong)
    else:
        server = request.getfixturevalue("s3_server")
        stored = f"{sample.address.partition(server.bucket)[2].strip('/')}/{blob_path(LFS)}"
        server.client().put_object(Bucket=server.bucket, Key=stored, Body=wrong)
    assert await find(sample) == []
    assert ("blob_bytes", FAULT) in await summary(sample, deep=True)


async def test_bytes_without_a_row_are_leftovers_after_the_grace_period(sample: DoctorHub) -> None:
    other = BlobKey(
        BlobKind.LFS, "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
    )
    await sample.stores.blobs.put(other, b"foo", Sha256Verifier(other.name))
    assert await find(sample) == []
    sample.stores.settings = sample.stores.settings.replace(blob_grace_seconds=0)
    (finding,) = await find(sample, young_ms=-5000)
    assert (finding.check, finding.severity) == ("blobs_without_row", LEFTOVER)
    assert finding.subject == f"blob {other}"


@in_files
async def test_wrong_derived_facts_are_reported(sample: DoctorHub) -> None:
    await plant(sample, update(repos).values(pipeline_tag="fill-mask", tags="[]", card="{}"))
    findings = [f.what for f in await find(sample) if f.check == "derived_facts"]
    assert sorted(findings) == [
        f"its {n} is not what the default branch declares" for n in _DERIVED
    ]
    await plant(sample, delete(repo_tags))
    assert any("index of tags" in f.what for f in await find(sample))


_DERIVED = ("card", "pipeline_tag", "tags")


@in_files
async def test_waiting_events_jobs_and_deliveries_are_warnings(sample: DoctorHub) -> None:
    db = sample.stores.db
    await plant(sample, update(events).values(created_ms=1))
    assert await summary(sample) == {("events", WARNING)}
    await plant(sample, update(events).values(told_ms=1))

    async def enqueue_old(tx: Tx) -> None:
        await jobs.enqueue(tx, "repack", "r1", after_s=-1e9)
        await jobs.enqueue(tx, "repack", "r2")

    await db.write(enqueue_old)
    failing = (
        update(jobs_table).where(jobs_table.c.subject == "r2").values(attempts=9, error="no space")
    )
    await plant(sample, failing)
    findings = {f.subject: f.what for f in await find(sample)}
    assert "no node runs it" in findings["job repack/r1"]
    assert "no space" in findings["job repack/r2"]
    hook = await add_webhook(db, "http://127.0.0.1:9/")
    row = {"webhook_pk": hook.pk, "event_pk": 1, "seq": 0, "repo_pk": 1, "name_key": "x"}
    late = {"body": "{}", "state": "waiting", "due_ms": 1, "created_ms": 1}
    await plant(sample, insert(deliveries).values(row | late))
    assert ("deliveries", WARNING) in await summary(sample)


@in_files
async def test_names_without_an_entry_are_reported(sample: DoctorHub) -> None:
    own = repo_names.c.name_key == "anna/bert"
    await plant(sample, update(repo_names).where(own).values(name_key="anna/Bert"))
    assert await summary(sample) == {("repository_names", FAULT)}
    await plant(sample, delete(repo_names))
    (finding,) = await find(sample)
    assert finding.what == "the table of names knows it as nothing"


@in_files
async def test_two_current_names_of_a_repository_are_reported(sample: DoctorHub) -> None:
    row = {"kind": "model", "name_key": "anna/two", "repo_pk": sample.repo.pk, "is_alias": 0}
    await plant(sample, insert(repo_names).values(row))
    assert await summary(sample) == {("repository_names", FAULT)}
    await plant(
        sample, update(repo_names).where(repo_names.c.name_key == "anna/two").values(is_alias=1)
    )
    assert await find(sample) == []


@in_files
async def test_an_account_under_a_wrong_name_is_reported(sample: DoctorHub) -> None:
    await a_user(sample.stores.db, "Bob")
    await plant(sample, update(accounts).where(accounts.c.name == "Bob").values(name_key="Bob"))
    assert await summary(sample) == {("account_names", FAULT)}


@in_files
@pytest.mark.parametrize("name", ["git", "Notifications", ".hidden", "dot."])
async def test_an_account_whose_name_addresses_need_is_named(sample: DoctorHub, name: str) -> None:
    await a_user(sample.stores.db, "bob")
    assert await find(sample) == []
    renamed = update(accounts).where(accounts.c.name == "bob")
    await plant(sample, renamed.values(name=name, name_key=name.casefold()))
    (finding,) = await find(sample)
    assert (finding.check, finding.severity) == ("reserved_names", WARNING)
    assert finding.subject == f"account {name}"


@in_files
async def test_folders_without_a_row_are_leftovers_once_they_are_old(sample: DoctorHub) -> None:
    unknown = new_object_id()
    sample.stores.git.create(unknown)
    assert await find(sample) == []
    aged(sample.stores.git.path(unknown))
    (finding,) = await find(sample)
    assert (finding.check, finding.severity) == ("folders_without_row", LEFTOVER)
    assert unknown in finding.subject
    await plant(sample, insert(deleted_repos).values(repo_id=unknown, since_ms=1))
    (finding,) = await find(sample)
    assert "the grace period is over" in finding.what


@in_files
async def test_a_repository_that_is_both_live_and_deleted_is_a_fault(sample: DoctorHub) -> None:
    await plant(sample, insert(deleted_repos).values(repo_id=sample.repo.id, since_ms=1))
    assert await summary(sample) == {("folders_without_row", FAULT)}


@in_files
async def test_files_of_a_crash_are_leftovers_once_they_are_old(sample: DoctorHub) -> None:
    draft = sample.stores.git.packs_path(sample.repo.id) / "tmp_pack_1"
    half = sample.stores.git.root / "ab" / "tmp_1"
    draft.write_bytes(b"PACK")
    half.mkdir(parents=True)
    assert await find(sample) == []
    aged(draft)
    aged(half)
    findings = await find(sample)
    assert [f.check for f in findings] == ["leftovers", "leftovers"]


async def test_rows_with_dangling_references_are_reported(sample: DoctorHub) -> None:
    if sample.stores.db.dialect_name != "sqlite":
        assert [f async for f in database_file(Inspection(sample.stores))] == []
        return
    import sqlite3

    with sqlite3.connect(sample.stores.db.path) as raw:  # type: ignore[attr-defined]
        raw.execute("INSERT INTO hold VALUES (999, 'lfs', 'x', 1)")
    raw.close()
    findings = [f async for f in database_file(Inspection(sample.stores))]
    assert [f.what for f in findings] == ["1 rows of hold refer to missing rows"]
    assert (findings[0].severity, findings[0].check) == (FAULT, "database_file")


@in_files
async def test_a_passing_inconsistency_is_not_reported(sample: DoctorHub) -> None:
    seen = iter([True, False])

    async def fleeting(_inspection: Inspection) -> AsyncIterator[Finding]:
        if next(seen):
            yield Finding("fleeting", FAULT, "x", "a write was under way", "")

    findings = [f async for f in run_checks(Inspection(sample.stores), checks=[fleeting])]
    assert findings == []


@in_files
async def test_findings_are_readable_by_programs(sample: DoctorHub) -> None:
    await sample.stores.blobs.delete(LFS)
    (finding,) = await find(sample)
    assert set(msgspec.to_builtins(finding)) == {"check", "severity", "subject", "what", "hint"}


def test_every_check_describes_its_rule() -> None:
    assert len({check.__name__ for check in CHECKS}) == len(CHECKS)
    assert all((check.__doc__ or "").strip() for check in CHECKS)
