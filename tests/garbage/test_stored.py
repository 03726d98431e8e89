"""Bytes that nothing needs: counted by reason, and deleted when their time has come."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time

import pytest

from hubstead import blobs
from hubstead.blobs import BlobKey, BlobKind, LocalBlobs, Sha256Verifier
from hubstead.commits import delete_repository
from hubstead.garbage import What, When
from hubstead.garbage import strays as straying
from hubstead.jobs import list_jobs
from tests.garbage.conftest import Place, of


def hurried(place: Place) -> Place:
    """Return the same hub without any grace for blobs."""
    settings = dataclasses.replace(place.stores.settings, blob_grace_seconds=0.0)
    return Place(dataclasses.replace(place.stores, settings=settings), place.anna)


async def test_bytes_are_deleted_when_nothing_has_linked_to_them_for_long_enough(
    place: Place,
) -> None:
    bert = await place.make()
    name = await place.put(bert, "a.bin", b"x" * 100)
    await delete_repository(place.stores, place.anna, bert.repo_id)
    key = BlobKey(BlobKind.LFS, name)
    heaps = await place.gc()
    assert sum(heap.things for heap in of(heaps, What.BLOB, When.LATER)) >= 1
    assert of(heaps, What.FOLDER, When.LATER)[0].things == 1
    assert await place.stores.blobs.size(key) == 100
    time.sleep(0.01)
    heaps = await hurried(place).gc()
    gone = of(heaps, What.BLOB)
    assert sum(heap.removed for heap in gone) == sum(heap.things for heap in gone) >= 1
    assert of(heaps, What.FOLDER)[0].removed == 1
    assert await place.stores.blobs.size(key) is None
    assert not place.stores.git.exists(bert.id)
    assert await place.gc() == []
    assert await place.ailments() == []


async def test_nothing_is_deleted_while_a_backup_reads(place: Place) -> None:
    bert = await place.make()
    name = await place.put(bert, "a.bin", b"x" * 100)
    await delete_repository(place.stores, place.anna, bert.repo_id)
    time.sleep(0.01)
    await blobs.pause_deletion(place.stores.db, "backup", 60)
    [found] = [heap for heap in of(await hurried(place).gc(), What.BLOB) if heap.bytes]
    assert found.removed == 0
    assert await place.stores.blobs.size(BlobKey(BlobKind.LFS, name)) == 100
    await blobs.resume_deletion(place.stores.db, "backup")
    assert sum(heap.removed for heap in of(await hurried(place).gc(), What.BLOB)) >= 1


async def test_gc_leaves_the_jobs_of_the_hub_as_they_were_planned(place: Place) -> None:
    await place.gc()
    first = {job.type: job.due_ms for job in await list_jobs(place.stores.db)}
    assert first
    await place.gc()
    jobs = await list_jobs(place.stores.db)
    assert {job.type for job in jobs} == first.keys()
    for job in jobs:
        assert job.running_on is None
        assert job.due_ms > time.time() * 1000 + 300_000
        assert job.error is None


async def test_bytes_that_a_crash_left_without_a_row_are_found(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"cut off"
    key = BlobKey(BlobKind.LFS, hashlib.sha256(content).hexdigest())
    await place.stores.blobs.put(key, content, Sha256Verifier(key.name))
    [young] = await place.gc()
    assert (young.what, young.when, young.bytes) == (What.STRAY, When.LATER, 7)
    if not isinstance(place.stores.blobs, LocalBlobs):
        return
    [path] = [path for path in place.stores.blobs.root.rglob(key.name) if path.is_file()]
    two_days_ago = time.time() - 2 * 86_400
    os.utime(path, (two_days_ago, two_days_ago))
    [stray] = of(await place.gc(remove=False), What.STRAY)
    assert (stray.things, stray.bytes) == (1, 7)
    heaps = await place.gc()
    assert of(heaps, What.STRAY)[0].removed == 1
    assert of(heaps, What.BLOB, When.LATER)[0].bytes == 7
    monkeypatch.setattr(straying, "_PAGE", 1)
    assert of(await place.gc(), What.STRAY) == []
