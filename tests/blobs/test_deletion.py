"""Deletion of blobs, and its pause."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from sqlalchemy import bindparam, select

from hubstead.blobs import (
    BlobKey,
    BlobKind,
    BlobStore,
    Sha256Verifier,
    StoredKey,
    delete_plain_copies,
    delete_unreferenced,
    deletion_is_paused,
    mark_reconstructable,
    mark_unreferenced,
    may_delete_blobs,
    open_blobs,
    pause_deletion,
    register_blob,
    register_reconstructable,
    register_upload,
    resume_deletion,
    unlink_blobs,
)
from hubstead.blobs.tables import blobs
from hubstead.db import Database, Tx, open_db
from hubstead.errors import Unavailable
from hubstead.repos import Repo
from tests.blobs.test_stores import AnyBytes
from tests.support.factories import a_repo, a_user
from tests.support.rows import reading

DATA = b"weights of a model"
KEY = BlobKey(BlobKind.LFS, hashlib.sha256(DATA).hexdigest())
XORB = BlobKey(BlobKind.XORB, "7" * 64)
_ROW = reading(select(blobs).where(blobs.c.name == bindparam("which")))


@pytest.fixture
def other(
    database_url: str, run: Callable[[Coroutine[Any, Any, Any]], Any], db: Database
) -> Iterator[Database]:
    """The same database as another node sees it; with SQLite, the same object."""
    if db.dialect_name == "sqlite":
        yield db
        return
    connection = run(open_db(database_url))
    yield connection
    run(connection.close())


async def uploaded(db: Database, store: BlobStore) -> Repo:
    repo = await a_repo(db, await a_user(db))
    await upload(db, store, repo)
    return repo


async def upload(db: Database, store: BlobStore, repo: Repo) -> None:
    await store.put(KEY, DATA, Sha256Verifier(KEY.name))
    await register_upload(db, store, repo.pk, KEY, len(DATA), pusher_pk=None, hold_ms=60_000)


async def unlink(db: Database, repo: Repo) -> None:
    await db.write(lambda tx: unlink_blobs(tx, repo.pk, [KEY]))
    await asyncio.sleep(0.005)


async def test_nothing_is_deleted_during_a_pause(db: Database, other: Database) -> None:
    store = open_blobs("memory:")
    repo = await uploaded(db, store)
    await unlink(db, repo)
    await pause_deletion(other, "backup", 60)
    await pause_deletion(db, "another", 60)
    assert await deletion_is_paused(db)
    assert await delete_unreferenced(db, store, grace_ms=0) == 0
    await resume_deletion(other, "backup")
    assert await delete_unreferenced(db, store, grace_ms=0) == 0
    assert await store.size(KEY) == len(DATA)
    await resume_deletion(db, "another")
    await resume_deletion(db, "another")
    assert not await deletion_is_paused(db)
    assert await delete_unreferenced(db, store, grace_ms=0) == 1
    assert await store.size(KEY) is None


async def test_bytes_of_reconstructable_objects_stay_during_a_pause(db: Database) -> None:
    store = open_blobs("memory:")
    await uploaded(db, store)
    await db.write(lambda tx: mark_reconstructable(tx, [KEY.name]))
    await asyncio.sleep(0.005)
    await pause_deletion(db, "backup", 60)
    assert await delete_plain_copies(db, store, grace_ms=0) == 0
    assert await store.size(KEY) == len(DATA)
    await resume_deletion(db, "backup")
    assert await delete_plain_copies(db, store, grace_ms=0) == 1


async def test_a_pause_expires_unless_it_is_renewed(db: Database) -> None:
    store = open_blobs("memory:")
    repo = await uploaded(db, store)
    await unlink(db, repo)
    await pause_deletion(db, "dead", 60)
    await pause_deletion(db, "dead", 0.05)
    assert await deletion_is_paused(db)
    await asyncio.sleep(0.06)
    assert await delete_unreferenced(db, store, grace_ms=0) == 1


async def test_a_pause_begins_before_a_deletion_or_after_it_never_within(
    db: Database, other: Database
) -> None:
    began, may = asyncio.Event(), []

    async def mark_deleting(tx: Tx) -> None:
        may.append(await may_delete_blobs(tx))
        began.set()
        if db.dialect_name == "postgresql":
            await asyncio.sleep(0.2)
        may.append(not await deletion_is_paused(tx))

    writing = asyncio.create_task(db.write(mark_deleting))
    await began.wait() if db.dialect_name == "postgresql" else None
    pausing = asyncio.create_task(pause_deletion(other, "backup", 60))
    await asyncio.sleep(0.05)
    if db.dialect_name == "postgresql":
        assert not pausing.done()
    await asyncio.gather(writing, pausing)
    assert may == [True, True]
    assert not await db.write(may_delete_blobs)


async def test_a_room_with_its_own_rows_protects_and_releases_its_blobs(db: Database) -> None:
    store = open_blobs("memory:")
    await store.put(XORB, b"xorb", AnyBytes())
    assert await db.write(lambda tx: register_blob(tx, XORB, 4)) is None
    assert await delete_unreferenced(db, store, grace_ms=0) == 0
    await db.write(lambda tx: mark_unreferenced(tx, [XORB, KEY]))
    await asyncio.sleep(0.005)
    assert await delete_unreferenced(db, store, grace_ms=60_000) == 0
    assert await delete_unreferenced(db, store, grace_ms=0) == 1
    assert await store.size(XORB) is None
    assert await db.one(_ROW, which=XORB.name) is None


async def test_a_linked_blob_does_not_become_unreferenced(db: Database) -> None:
    store = open_blobs("memory:")
    await uploaded(db, store)
    await db.write(lambda tx: mark_unreferenced(tx, [KEY]))
    row = await db.one(_ROW, which=KEY.name)
    assert row
    assert row.unreferenced_ms is None


async def test_an_interrupted_deletion_is_completed_by_the_next(
    db: Database,
) -> None:
    store = open_blobs("memory:")
    repo = await uploaded(db, store)
    await unlink(db, repo)
    deleting = store.delete

    async def killed(key: StoredKey) -> bool:
        await deleting(key)
        raise KeyboardInterrupt

    store.delete = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        await delete_unreferenced(db, store, grace_ms=0)
    store.delete = deleting  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await upload(db, store, repo)
    assert await delete_unreferenced(db, store, grace_ms=86_400_000) == 1
    await upload(db, store, repo)
    assert await store.size(KEY) == len(DATA)


async def test_a_deletion_beyond_its_time_limit_stops_after_a_blob(db: Database) -> None:
    """Another node may run the job by then, and a client may upload the deleted content."""
    store = open_blobs("memory:")
    repo = await a_repo(db, await a_user(db))
    keys = [BlobKey(BlobKind.LFS, f"{n:064x}") for n in range(4)]
    for key in keys:
        await store.put(key, b"x", AnyBytes())
        await register_upload(db, store, repo.pk, key, 1, pusher_pk=None, hold_ms=1)
    await db.write(lambda tx: unlink_blobs(tx, repo.pk, keys))
    await asyncio.sleep(0.005)
    assert await delete_unreferenced(db, store, grace_ms=0, seconds=0) == 1
    with pytest.raises(Unavailable):
        await db.write(
            lambda tx: register_reconstructable(
                tx, repo.pk, [(key.name, 1) for key in keys], pusher_pk=None, hold_ms=1
            )
        )
    counts = [await delete_unreferenced(db, store, grace_ms=0, seconds=0) for _ in keys]
    assert counts == [1, 1, 1, 0]
