"""Unreferenced bytes: counted by reason, and deleted after their grace period."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time

from hubstead import blobs
from hubstead.blobs import BlobKey, BlobKind, LocalBlobs, Sha256Verifier
from hubstead.commits import delete_repository
from hubstead.garbage import GarbageKind, GarbageState
from hubstead.garbage.orphans import count_orphans
from hubstead.jobs import list_jobs
from tests.garbage.conftest import GarbageHub, of


def hurried(hub: GarbageHub) -> GarbageHub:
    """Return the same hub without grace periods for blobs."""
    settings = hub.stores.settings.replace(blob_grace_seconds=0.0)
    return GarbageHub(dataclasses.replace(hub.stores, settings=settings), hub.anna)


async def test_bytes_are_deleted_after_the_grace_period_without_links(
    hub: GarbageHub,
) -> None:
    bert = await hub.make()
    name = await hub.put(bert, "a.bin", b"x" * 100)
    await delete_repository(hub.stores, hub.anna, bert.repo_id)
    key = BlobKey(BlobKind.LFS, name)
    counts = await hub.gc()
    assert sum(count.things for count in of(counts, GarbageKind.BLOB, GarbageState.LATER)) >= 1
    assert of(counts, GarbageKind.FOLDER, GarbageState.LATER)[0].things == 1
    assert await hub.stores.blobs.size(key) == 100
    time.sleep(0.01)
    counts = await hurried(hub).gc()
    removed = of(counts, GarbageKind.BLOB)
    assert sum(count.removed for count in removed) == sum(count.things for count in removed) >= 1
    assert of(counts, GarbageKind.FOLDER)[0].removed == 1
    assert await hub.stores.blobs.size(key) is None
    assert not hub.stores.git.exists(bert.id)
    assert await hub.gc() == []
    assert await hub.findings() == []


async def test_nothing_is_deleted_during_a_backup(hub: GarbageHub) -> None:
    bert = await hub.make()
    name = await hub.put(bert, "a.bin", b"x" * 100)
    await delete_repository(hub.stores, hub.anna, bert.repo_id)
    time.sleep(0.01)
    await blobs.pause_deletion(hub.stores.db, "backup", 60)
    [count] = [count for count in of(await hurried(hub).gc(), GarbageKind.BLOB) if count.bytes]
    assert count.removed == 0
    assert await hub.stores.blobs.size(BlobKey(BlobKind.LFS, name)) == 100
    await blobs.resume_deletion(hub.stores.db, "backup")
    assert sum(count.removed for count in of(await hurried(hub).gc(), GarbageKind.BLOB)) >= 1


async def test_gc_leaves_the_schedule_of_the_hub_s_jobs_alone(hub: GarbageHub) -> None:
    await hub.gc()
    first = {job.type: job.due_ms for job in await list_jobs(hub.stores.db)}
    assert first
    await hub.gc()
    jobs = await list_jobs(hub.stores.db)
    assert {job.type for job in jobs} == first.keys()
    for job in jobs:
        assert job.running_on is None
        assert job.due_ms > time.time() * 1000 + 300_000
        assert job.error is None


async def test_bytes_without_a_row_are_reported(
    hub: GarbageHub,
) -> None:
    content = b"cut off"
    key = BlobKey(BlobKind.LFS, hashlib.sha256(content).hexdigest())
    await hub.stores.blobs.put(key, content, Sha256Verifier(key.name))
    [young] = await hub.gc()
    assert (young.what, young.when, young.bytes) == (GarbageKind.ORPHAN, GarbageState.LATER, 7)
    if not isinstance(hub.stores.blobs, LocalBlobs):
        return
    [path] = [path for path in hub.stores.blobs.root.rglob(key.name) if path.is_file()]
    two_days_ago = time.time() - 2 * 86_400
    os.utime(path, (two_days_ago, two_days_ago))
    [orphan] = of(await hub.gc(remove=False), GarbageKind.ORPHAN)
    assert (orphan.things, orphan.bytes) == (1, 7)
    counts = await hub.gc()
    assert of(counts, GarbageKind.ORPHAN)[0].removed == 1
    assert of(counts, GarbageKind.BLOB, GarbageState.LATER)[0].bytes == 7
    assert await count_orphans(hub.stores, page_size=1) == []
