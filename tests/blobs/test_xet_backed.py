"""Reconstructable LFS objects, which need no plain bytes."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import Any

import pytest
from sqlalchemy import bindparam, select, update

from hubstead.blobs import (
    BlobKey,
    BlobKind,
    BlobStore,
    Link,
    Sha256Verifier,
    StoredKey,
    delete_plain_copies,
    delete_unreferenced,
    expire_holds,
    link_blobs,
    linked,
    linked_many,
    mark_reconstructable,
    open_blobs,
    register_reconstructable,
    register_upload,
    unlink_blobs,
)
from hubstead.blobs.tables import DELETING, blobs
from hubstead.db import Conflict, Database, indexed
from hubstead.errors import Unavailable
from hubstead.repos import Repo
from tests.support.factories import a_repo, a_user
from tests.support.round_trips import record_calls
from tests.support.rows import reading

DATA = b"weights of a model"
SHA = hashlib.sha256(DATA).hexdigest()
KEY = BlobKey(BlobKind.LFS, SHA)
_ROW = reading(select(blobs).where(blobs.c.name == bindparam("which")))
_MARK_DELETING = indexed(
    update(blobs).values(unreferenced_ms=DELETING).where(blobs.c.name == bindparam("which"))
)


async def a_repository(db: Database) -> Repo:
    return await a_repo(db, await a_user(db))


async def row_of(db: Database, name: str = SHA) -> Any:
    return await db.one(_ROW, which=name)


async def accept(
    db: Database, repo_pk: int, *files: tuple[str, int], hold_ms: int = 60_000
) -> None:
    await db.write(
        lambda tx: register_reconstructable(tx, repo_pk, files, pusher_pk=None, hold_ms=hold_ms)
    )


async def upload(db: Database, store: BlobStore, repo: Repo, hold_ms: int = 60_000) -> None:
    await store.put(KEY, DATA, Sha256Verifier(SHA))
    await register_upload(db, store, repo.pk, KEY, len(DATA), pusher_pk=None, hold_ms=hold_ms)


async def test_files_without_bytes_are_held_like_uploads(db: Database) -> None:
    repo = await a_repository(db)
    await accept(db, repo.pk, (SHA, 18), ("a" * 64, 0), (SHA, 18))
    assert (await row_of(db)).reconstructable_ms == 0
    links = await linked_many(db, repo.pk, BlobKind.LFS, [SHA, "a" * 64])
    assert {row.name: (row.bytes, row.committed) for row in links.values()} == {
        SHA: (18, 0),
        "a" * 64: (0, 0),
    }
    await db.write(lambda tx: link_blobs(tx, repo.pk, [Link(KEY, 18, "w.bin")], pusher_pk=None))
    await accept(db, repo.pk, (SHA, 18), hold_ms=0)
    await asyncio.sleep(0.005)
    await expire_holds(db)
    row = await linked(db, repo.pk, KEY)
    assert row
    assert (row.committed, row.path) == (1, "w.bin")
    await accept(db, repo.pk)


async def test_uncommitted_files_are_unlinked(db: Database) -> None:
    repo = await a_repository(db)
    await accept(db, repo.pk, (SHA, 18), hold_ms=0)
    await asyncio.sleep(0.005)
    assert await expire_holds(db) == 1
    assert (await row_of(db)).unreferenced_ms
    await accept(db, repo.pk, (SHA, 18))
    assert (await row_of(db)).unreferenced_ms is None
    assert (await row_of(db)).reconstructable_ms == 0


async def test_an_object_in_deletion_is_refused_temporarily(db: Database) -> None:
    repo = await a_repository(db)
    await accept(db, repo.pk, (SHA, 18))
    await db.write(lambda tx: unlink_blobs(tx, repo.pk, [KEY]))
    await db.write(lambda tx: tx.run(_MARK_DELETING, which=SHA))
    with pytest.raises(Unavailable):
        await accept(db, repo.pk, ("a" * 64, 1), (SHA, 18))
    assert await row_of(db, "a" * 64) is None
    assert await delete_unreferenced(db, open_blobs("memory:"), grace_ms=0) == 1
    await accept(db, repo.pk, (SHA, 18))


async def test_files_for_a_deleted_repository_are_refused(db: Database) -> None:
    with pytest.raises(Conflict):
        await accept(db, 12345, (SHA, 18))
    assert await row_of(db) is None


async def test_an_object_with_bytes_has_them_until_it_is_reconstructable(db: Database) -> None:
    repo, store = await a_repository(db), open_blobs("memory:")
    await upload(db, store, repo)
    await accept(db, repo.pk, (SHA, len(DATA)))
    assert (await row_of(db)).reconstructable_ms is None
    await asyncio.sleep(0.005)
    assert await delete_plain_copies(db, store, grace_ms=0) == 0
    assert await db.write(lambda tx: mark_reconstructable(tx, [SHA, "a" * 64])) == 1
    assert await db.write(lambda tx: mark_reconstructable(tx, [SHA])) == 0
    assert await delete_plain_copies(db, store, grace_ms=60_000) == 0
    assert await store.size(KEY) == len(DATA)
    await asyncio.sleep(0.005)
    assert await delete_plain_copies(db, store, grace_ms=0) == 1
    assert await store.size(KEY) is None
    assert (await row_of(db)).reconstructable_ms == 0
    assert await delete_plain_copies(db, store, grace_ms=0) == 0


async def test_bytes_uploaded_for_a_reconstructable_object_are_deleted(db: Database) -> None:
    repo, store = await a_repository(db), open_blobs("memory:")
    await accept(db, repo.pk, (SHA, len(DATA)))
    await upload(db, store, repo)
    assert abs((await row_of(db)).reconstructable_ms - time.time() * 1000) < 60_000
    await asyncio.sleep(0.005)
    assert await delete_plain_copies(db, store, grace_ms=0) == 1
    assert await store.size(KEY) is None
    # An upload whose bytes go at that very moment is fine: the object can be read all the same.
    await register_upload(db, store, repo.pk, KEY, len(DATA), pusher_pk=None, hold_ms=1)
    assert await linked(db, repo.pk, KEY)


async def test_bytes_that_arrive_during_a_deletion_are_recorded(db: Database) -> None:
    repo, store = await a_repository(db), open_blobs("memory:")
    await upload(db, store, repo)
    await db.write(lambda tx: mark_reconstructable(tx, [SHA]))
    await asyncio.sleep(0.005)
    deleting = store.delete

    async def beaten(key: StoredKey) -> bool:
        deleted = await deleting(key)
        await upload(db, store, repo)
        return deleted

    store.delete = beaten  # type: ignore[method-assign]
    assert await delete_plain_copies(db, store, grace_ms=0) == 1
    store.delete = deleting  # type: ignore[method-assign]
    assert await store.size(KEY) == len(DATA)
    assert (await row_of(db)).reconstructable_ms
    await asyncio.sleep(0.005)
    assert await delete_plain_copies(db, store, grace_ms=0) == 1
    assert await store.size(KEY) is None


async def test_an_unreferenced_reconstructable_object_is_deleted(db: Database) -> None:
    repo, store = await a_repository(db), open_blobs("memory:")
    await upload(db, store, repo)
    await db.write(lambda tx: mark_reconstructable(tx, [SHA]))
    await db.write(lambda tx: unlink_blobs(tx, repo.pk, [KEY]))
    await asyncio.sleep(0.005)
    assert await delete_unreferenced(db, store, grace_ms=0) == 1
    assert await row_of(db) is None
    assert await store.size(KEY) is None
    await upload(db, store, repo)
    assert (await row_of(db)).reconstructable_ms is None


async def test_two_repositories_may_register_the_same_files_concurrently(db: Database) -> None:
    first = await a_repository(db)
    second = await a_repo(db, await a_user(db, "bo"), "bo/bert")
    files = [(hashlib.sha256(b"%d" % n).hexdigest(), n) for n in range(300)]
    await asyncio.gather(
        *[accept(db, first.pk, *files) for _ in range(3)],
        *[accept(db, second.pk, *reversed(files)) for _ in range(3)],
    )
    names = [name for name, _ in files]
    for repo in (first, second):
        assert len(await linked_many(db, repo.pk, BlobKind.LFS, names)) == 300


async def test_ten_thousand_files_are_registered_in_a_few_calls(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = await a_repository(db)
    files = [(hashlib.sha256(b"%d" % n).hexdigest(), n) for n in range(10_000)]
    calls = await record_calls(db, monkeypatch)
    await accept(db, repo.pk, *files)
    assert len(calls) < 10, calls
    assert len(await linked_many(db, repo.pk, BlobKind.LFS, [name for name, _ in files])) == 10_000
