"""Multipart uploads, holds, and the jobs that end them."""

from __future__ import annotations

import asyncio
import hashlib
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import select

from hubstead.blobs import (
    BlobKey,
    BlobKind,
    BlobStore,
    Link,
    MultipartUpload,
    Sha256Verifier,
    begin_upload,
    expire_holds,
    expire_uploads,
    hold_blobs,
    link_blobs,
    linked,
    linked_many,
    open_blobs,
    register_upload,
)
from hubstead.blobs.jobs import DELETE_UNREFERENCED, EXPIRE, SWEEP, blob_jobs
from hubstead.blobs.tables import blobs, uploads
from hubstead.db import Database
from hubstead.repos import Repo
from hubstead.settings import BlobSettings
from tests.blobs.conftest import in_thread
from tests.support.factories import a_repo, a_user
from tests.support.jobs import run_job
from tests.support.rows import reading

DATA = b"weights of a model"
KEY = BlobKey(BlobKind.LFS, hashlib.sha256(DATA).hexdigest())
_UPLOADS = reading(select(uploads.c.id))
_BLOBS = reading(select(blobs.c.name))


async def a_repository(db: Database) -> Repo:
    return await a_repo(db, await a_user(db))


async def begin(db: Database, repo: Repo, **changes: Any) -> MultipartUpload:
    how: dict[str, Any] = {"part_bytes": 7, "least_part_bytes": 1, "lifetime_ms": 60_000}
    size = changes.pop("size", len(DATA))
    return await db.write(lambda tx: begin_upload(tx, repo.pk, KEY, size, **how | changes))


async def put(db: Database, store: BlobStore, repo: Repo, hold_ms: int = 60_000) -> None:
    await store.put(KEY, DATA, Sha256Verifier(KEY.name))
    await register_upload(db, store, repo.pk, KEY, len(DATA), pusher_pk=None, hold_ms=hold_ms)


async def test_a_running_upload_is_resumed(db: Database) -> None:
    repo = await a_repository(db)
    first = await begin(db, repo)
    assert (await begin(db, repo, part_bytes=9)) == first
    assert first.part_bytes == 7
    assert [first.size_of(n) for n in range(1, first.parts + 1)] == [7, 7, 4]
    assert [first.offset_of(n) for n in range(1, first.parts + 1)] == [0, 7, 14]


async def test_a_new_upload_begins_where_the_running_one_does_not_fit(db: Database) -> None:
    repo = await a_repository(db)
    first = await begin(db, repo)
    assert (await begin(db, repo, size=11)).id != first.id
    assert (await begin(db, repo, least_part_bytes=8, part_bytes=8)).id != first.id
    other = await a_repo(db, await a_user(db, "bo"), "bo/bert")
    assert (await begin(db, other)).id != first.id


async def test_an_expired_upload_is_not_resumed(db: Database) -> None:
    repo = await a_repository(db)
    first = await begin(db, repo, lifetime_ms=0)
    assert (await begin(db, repo)).id != first.id


async def test_expired_uploads_are_deleted_with_their_parts_and_others_stay(db: Database) -> None:
    repo, store = await a_repository(db), open_blobs("memory:")
    over = await begin(db, repo, lifetime_ms=0)
    going_on = await begin(db, repo, size=12)
    for upload in (over, going_on):
        writer = store.parts.writer(upload.id, 1, offset=0, size=2)
        await in_thread(partial(writer.write, b"ab"))
        await in_thread(writer.commit)
    assert await expire_uploads(db, store) == 1
    assert [row.id for row in await db.all(_UPLOADS)] == [going_on.id]
    assert await store.parts.received(over.id) == {}
    assert len(await store.parts.received(going_on.id)) == 1


async def test_the_registration_of_a_multipart_upload_ends_it(db: Database) -> None:
    repo, store = await a_repository(db), open_blobs("memory:")
    begun = await begin(db, repo)
    await store.put(KEY, DATA, Sha256Verifier(KEY.name))
    await register_upload(
        db, store, repo.pk, KEY, len(DATA), pusher_pk=None, hold_ms=1, upload_id=begun.id
    )
    assert await db.all(_UPLOADS) == []


async def test_a_renewed_hold_outlives_the_first(db: Database) -> None:
    repo, store = await a_repository(db), open_blobs("memory:")
    await put(db, store, repo, hold_ms=0)
    rows = await db.write(lambda tx: hold_blobs(tx, repo.pk, KEY.kind, [KEY.name], 60_000))
    assert rows[KEY.name].bytes == len(DATA)
    await asyncio.sleep(0.005)
    assert await expire_holds(db) == 0
    assert await linked(db, repo.pk, KEY)


async def test_an_uncommitted_upload_is_unlinked_when_its_hold_expires(db: Database) -> None:
    repo, store = await a_repository(db), open_blobs("memory:")
    await put(db, store, repo, hold_ms=0)
    await asyncio.sleep(0.005)
    assert await expire_holds(db) == 1
    assert await linked(db, repo.pk, KEY) is None
    assert await db.write(lambda tx: hold_blobs(tx, repo.pk, KEY.kind, [KEY.name], 60_000)) == {}
    assert await expire_holds(db) == 0


async def test_held_blobs_are_listed_by_name(db: Database) -> None:
    repo, store = await a_repository(db), open_blobs("memory:")
    await put(db, store, repo)
    linked = await linked_many(db, repo.pk, BlobKind.LFS, ["0" * 64, KEY.name])
    assert list(linked) == [KEY.name]
    assert (linked[KEY.name].bytes, linked[KEY.name].committed) == (len(DATA), 0)
    assert await linked_many(db, repo.pk + 1, BlobKind.LFS, [KEY.name]) == {}
    assert await linked_many(db, repo.pk, BlobKind.LFS, []) == {}


async def test_the_jobs_delete_unreferenced_blobs_only(db: Database, tmp_path: Path) -> None:
    repo, store = await a_repository(db), open_blobs((tmp_path / "blobs").as_uri())
    settings = BlobSettings(grace_seconds=0, hold_seconds=0)
    types = blob_jobs(db, store, settings, pack_grace_s=300)
    await put(db, store, repo, hold_ms=0)
    linked = BlobKey(BlobKind.LFS, hashlib.sha256(b"linked").hexdigest())
    await store.put(linked, b"linked", Sha256Verifier(linked.name))
    await register_upload(db, store, repo.pk, linked, 6, pusher_pk=None, hold_ms=0)
    await db.write(lambda tx: link_blobs(tx, repo.pk, [Link(linked, 6, "w.bin")], pusher_pk=None))
    await begin(db, repo, lifetime_ms=0)
    await asyncio.sleep(0.005)
    for name in (EXPIRE, DELETE_UNREFERENCED):
        await run_job(types, name)
        await asyncio.sleep(0.005)
    await run_job(types, SWEEP)
    assert [row.name for row in await db.all(_BLOBS)] == [linked.name]
    assert [key.key async for key in store.keys(BlobKind.LFS)] == [linked]
    assert await db.all(_UPLOADS) == []
