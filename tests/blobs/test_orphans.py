"""Orphans: bytes without a row are deleted after the grace period."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, select

from hubstead.blobs import (
    BlobKey,
    BlobKind,
    BlobStore,
    Sha256Verifier,
    delete_plain_copies,
    delete_unreferenced,
    linked,
    mark_orphans,
    open_blobs,
    pause_deletion,
    register_blob,
    register_reconstructable,
    register_upload,
    resume_deletion,
)
from hubstead.blobs.jobs import DELETE_UNREFERENCED, MARK_ORPHANS, blob_jobs
from hubstead.blobs.tables import blobs
from hubstead.db import Database, open_db
from hubstead.errors import Unavailable
from hubstead.settings import BlobSettings
from tests.blobs.test_stores import AnyBytes, list_all
from tests.support.factories import a_repo, a_user
from tests.support.jobs import run_job
from tests.support.rows import reading

DATA = b"weights of a model"
KEY = BlobKey(BlobKind.LFS, hashlib.sha256(DATA).hexdigest())
_ROW = reading(select(blobs).where(blobs.c.name == bindparam("which")))


async def row_of(db: Database, name: str) -> Any:
    return await db.one(_ROW, which=name)


async def put(store: BlobStore, key: BlobKey, data: bytes = b"x") -> BlobKey:
    await store.put(key, data, AnyBytes())
    return key


async def look(
    db: Database,
    store: BlobStore,
    kind: BlobKind,
    older_than_s: float = -60,
    credible: int = 100,
) -> int:
    marked = await mark_orphans(db, store, kind, older_than_s=older_than_s, credible=credible)
    await asyncio.sleep(0.005)
    return marked


@pytest.mark.parametrize("kind", list(BlobKind))
async def test_unregistered_bytes_are_deleted_after_the_grace_period(
    sqlite_url: str, blobs: BlobStore, kind: BlobKind
) -> None:
    db = await open_db(sqlite_url)
    orphan, mine = (BlobKey(kind, digit * kind.name_chars) for digit in "12")
    for key in (orphan, mine):
        await put(blobs, key)
    await db.write(lambda tx: register_blob(tx, mine, 1))
    assert await look(db, blobs, kind, older_than_s=3600) == 0
    assert await look(db, blobs, kind) == 1
    assert await look(db, blobs, kind) == 0
    assert await delete_unreferenced(db, blobs, grace_ms=60_000) == 0
    assert await delete_unreferenced(db, blobs, grace_ms=0) == 1
    assert await list_all(blobs) == [mine]
    assert await row_of(db, orphan.name) is None
    await db.close()


async def test_a_writer_that_registers_orphans_saves_them(db: Database) -> None:
    store = open_blobs("memory:")
    repo = await a_repo(db, await a_user(db))
    await store.put(KEY, DATA, Sha256Verifier(KEY.name))
    assert await look(db, store, BlobKind.LFS) == 1
    await register_upload(db, store, repo.pk, KEY, len(DATA), pusher_pk=None, hold_ms=60_000)
    assert await delete_unreferenced(db, store, grace_ms=0) == 0
    assert await store.size(KEY) == len(DATA)
    assert await linked(db, repo.pk, KEY)


async def test_racing_writers_and_sweeps_never_lose_bytes(db: Database) -> None:
    store = open_blobs("memory:")
    repo = await a_repo(db, await a_user(db))
    contents = [b"%d" % n for n in range(40)]
    keys = [BlobKey(BlobKind.LFS, hashlib.sha256(data).hexdigest()) for data in contents]

    async def upload(key: BlobKey, data: bytes) -> None:
        for _ in range(1000):
            await store.put(key, data, Sha256Verifier(key.name))
            await asyncio.sleep(0)
            try:
                await register_upload(
                    db, store, repo.pk, key, len(data), pusher_pk=None, hold_ms=60_000
                )
            except Unavailable:
                continue
            return

    async def sweep() -> None:
        for _ in range(20):
            await mark_orphans(db, store, BlobKind.LFS, older_than_s=-60)
            await asyncio.sleep(0.001)
            await delete_unreferenced(db, store, grace_ms=0)

    await asyncio.gather(
        sweep(), *[upload(key, data) for key, data in zip(keys, contents, strict=True)]
    )
    for key, data in zip(keys, contents, strict=True):
        assert await linked(db, repo.pk, key)
        assert await store.size(key) == len(data)


async def test_the_plain_bytes_of_a_reconstructable_object_are_deleted_too(db: Database) -> None:
    store = open_blobs("memory:")
    repo = await a_repo(db, await a_user(db))
    await store.put(KEY, DATA, Sha256Verifier(KEY.name))
    files = [(KEY.name, len(DATA))]
    await db.write(
        lambda tx: register_reconstructable(tx, repo.pk, files, pusher_pk=None, hold_ms=60_000)
    )
    await asyncio.sleep(0.005)
    assert await delete_plain_copies(db, store, grace_ms=0) == 0
    assert await look(db, store, BlobKind.LFS) == 0
    assert await delete_plain_copies(db, store, grace_ms=0) == 1
    assert await store.size(KEY) is None
    row = await row_of(db, KEY.name)
    assert row
    assert (row.reconstructable_ms, row.unreferenced_ms) == (0, None)


async def test_no_orphan_is_deleted_during_a_pause(db: Database) -> None:
    store = open_blobs("memory:")
    await put(store, KEY)
    await pause_deletion(db, "backup", 60)
    await look(db, store, BlobKind.LFS)
    assert await delete_unreferenced(db, store, grace_ms=0) == 0
    await resume_deletion(db, "backup")
    assert await delete_unreferenced(db, store, grace_ms=0) == 1


async def test_a_store_that_is_not_of_this_database_is_left_alone(
    db: Database,
) -> None:
    store = open_blobs("memory:")
    keys = [await put(store, BlobKey(BlobKind.XORB, f"{n:064x}")) for n in range(8)]
    assert await look(db, store, BlobKind.XORB, credible=3) == 0
    assert await row_of(db, keys[0].name) is None
    for key in keys[:4]:
        await db.write(lambda tx, key=key: register_blob(tx, key, 1))  # type: ignore[misc]
    assert await look(db, store, BlobKind.XORB, credible=3) == 4


async def test_the_job_covers_every_kind(db: Database, tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    store = open_blobs(folder.as_uri())
    for kind in BlobKind:
        await put(store, BlobKey(kind, "a" * kind.name_chars))
        await put(store, BlobKey(kind, "b" * kind.name_chars))
    for path in folder.glob("*/aa/aa/*"):
        os.utime(path, (1, 1))
    types = blob_jobs(db, store, BlobSettings(grace_seconds=0), pack_grace_s=300)
    await run_job(types, MARK_ORPHANS)
    await asyncio.sleep(0.005)
    await run_job(types, DELETE_UNREFERENCED)
    remaining = sorted(await list_all(store), key=str)
    assert [key.name[0] for key in remaining] == ["b"] * 3
