"""Stored names: no name of bytes is used twice."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from sqlalchemy import bindparam, select

from hubstead.blobs import (
    BlobKey,
    BlobKind,
    BlobStore,
    S3Options,
    Sha256Verifier,
    StoredKey,
    delete_unreferenced,
    link_new_blob,
    mark_orphans,
    new_stored_name,
    open_blob,
    open_blobs,
    register_upload,
    replace_bytes,
    stored_name_of,
    unlink_blobs,
)
from hubstead.blobs.tables import blobs, storage_changes
from hubstead.db import Database, Tx, database_now_ms, indexed, insert_into
from hubstead.errors import BlobNotFound, Unavailable
from hubstead.repos import Repo
from hubstead.settings import BlobSettings
from tests.blobs.test_stores import AnyBytes
from tests.support.factories import a_repo, a_user
from tests.support.rows import reading
from tests.support.s3_proxy import running_s3_proxy
from tests.support.services import S3Server

DATA = b"weights of a model"
LFS = BlobKey(BlobKind.LFS, hashlib.sha256(DATA).hexdigest())
PACK = BlobKey(BlobKind.PACK, "5" * 40)
_ROWS = reading(select(blobs).where(blobs.c.kind == bindparam("which")))
_ADD_CHANGE = indexed(insert_into(storage_changes, "name", "since_ms"))

Send: TypeAlias = Callable[[Database, BlobStore, Repo], Awaitable[StoredKey]]


async def send_lfs(db: Database, store: BlobStore, repo: Repo) -> StoredKey:
    stored = await new_stored_name(db, LFS, BlobSettings())
    await store.put(stored, DATA, Sha256Verifier(LFS.name))
    await register_upload(
        db, store, repo.pk, LFS, len(DATA), pusher_pk=None, hold_ms=60_000, place=stored
    )
    return stored


async def send_pack(db: Database, store: BlobStore, repo: Repo) -> StoredKey:
    stored = await new_stored_name(db, PACK, BlobSettings())
    await store.put(stored, DATA, AnyBytes())
    await db.write(lambda tx: link_new_blob(tx, repo.pk, PACK, len(DATA), place=stored))
    return stored


async def read(db: Database, store: BlobStore, key: BlobKey) -> bytes:
    blob = await open_blob(db, store, key)
    return b"".join([chunk async for chunk in blob.chunks()])


async def rows(db: Database, key: BlobKey) -> list[Any]:
    return await db.all(_ROWS, which=key.kind.value)


_COLLECTOR = """
import asyncio, sys
from hubstead.blobs import S3Options, delete_unreferenced, open_blobs
from hubstead.db import open_db

async def collect(database, url, endpoint, access, secret):
    options = S3Options(endpoint=endpoint, access_key=access, secret_key=secret)
    await delete_unreferenced(await open_db(database), open_blobs(url, options=options), grace_ms=0)

asyncio.run(collect(*sys.argv[1:]))
"""


def start_collector(database: str, url: str, options: S3Options) -> subprocess.Popen[bytes]:
    """Start a process that deletes unreferenced blobs."""
    how = [database, url, options.endpoint, options.access_key, options.secret_key]
    return subprocess.Popen([sys.executable, "-c", _COLLECTOR, *how])


@pytest.mark.parametrize(("key", "send"), [(LFS, send_lfs), (PACK, send_pack)], ids=["lfs", "pack"])
async def test_a_late_delete_destroys_no_later_upload(
    key: BlobKey, send: Send, db: Database, database_url: str, s3_server: S3Server
) -> None:
    url = s3_server.fresh_url()
    store = open_blobs(url, options=s3_server.options)
    repo = await a_repo(db, await a_user(db))
    await send(db, store, repo)
    await db.write(lambda tx: unlink_blobs(tx, repo.pk, [key]))
    await asyncio.sleep(0.005)
    with running_s3_proxy(s3_server.options) as proxy:
        delayed = proxy.delay("DELETE", f"/{key.kind}/")
        collector = start_collector(database_url, url, proxy.options)
        await asyncio.to_thread(delayed.wait)
        collector.send_signal(signal.SIGKILL)
        await asyncio.to_thread(collector.wait)
        # Another node completes the dead one's deletion, and the content is uploaded again.
        assert await delete_unreferenced(db, store, grace_ms=0) == 1
        await send(db, store, repo)
        assert await read(db, store, key) == DATA
        await asyncio.to_thread(delayed.release)
    assert await read(db, store, key) == DATA
    await store.close()


@pytest.mark.parametrize(("key", "send"), [(LFS, send_lfs), (PACK, send_pack)], ids=["lfs", "pack"])
async def test_content_that_is_uploaded_again_gets_another_name(
    key: BlobKey, send: Send, db: Database, blobs: BlobStore
) -> None:
    repo = await a_repo(db, await a_user(db))
    first = await send(db, blobs, repo)
    await db.write(lambda tx: unlink_blobs(tx, repo.pk, [key]))
    await asyncio.sleep(0.005)
    assert await delete_unreferenced(db, blobs, grace_ms=0) == 1
    assert await blobs.size(first) is None
    second = await send(db, blobs, repo)
    assert second != first
    await blobs.delete(first)
    assert await read(db, blobs, key) == DATA
    assert await stored_name_of(db, key) == second


async def test_the_first_of_two_uploads_stays_and_the_other_is_deleted(
    db: Database, blobs: BlobStore
) -> None:
    repo = await a_repo(db, await a_user(db))
    first = await send_lfs(db, blobs, repo)
    second = await send_lfs(db, blobs, repo)
    assert await stored_name_of(db, LFS) == first
    assert await blobs.size(second) is None


async def test_the_second_copy_of_a_pack_is_deleted(db: Database, blobs: BlobStore) -> None:
    repo = await a_repo(db, await a_user(db))
    first = await send_pack(db, blobs, repo)
    second = await send_pack(db, blobs, repo)
    await asyncio.sleep(0.005)
    assert await blobs.size(second) == len(DATA)
    assert await delete_unreferenced(db, blobs, grace_ms=0) == 1
    assert await blobs.size(second) is None
    assert await stored_name_of(db, PACK) == first
    assert await read(db, blobs, PACK) == DATA


async def test_content_of_an_earlier_release_stays_readable_and_deletable(
    db: Database, blobs: BlobStore
) -> None:
    repo = await a_repo(db, await a_user(db))
    await blobs.put(LFS, DATA, Sha256Verifier(LFS.name))
    await register_upload(db, blobs, repo.pk, LFS, len(DATA), pusher_pk=None, hold_ms=60_000)
    assert await read(db, blobs, LFS) == DATA
    second = await send_lfs(db, blobs, repo)
    assert await stored_name_of(db, LFS) == LFS
    assert await blobs.size(second) is None
    await db.write(lambda tx: unlink_blobs(tx, repo.pk, [LFS]))
    await asyncio.sleep(0.005)
    assert await delete_unreferenced(db, blobs, grace_ms=0) == 1
    assert await blobs.size(LFS) is None


async def test_an_upload_replaces_bytes_that_the_store_has_lost(
    db: Database, blobs: BlobStore
) -> None:
    repo = await a_repo(db, await a_user(db))
    await blobs.delete(await send_lfs(db, blobs, repo))
    with pytest.raises(BlobNotFound):
        await read(db, blobs, LFS)
    await send_lfs(db, blobs, repo)
    assert await read(db, blobs, LFS) == DATA


async def test_replaced_bytes_stay_for_readers_and_are_deleted_later(
    db: Database, blobs: BlobStore
) -> None:
    repo = await a_repo(db, await a_user(db))
    old = await send_lfs(db, blobs, repo)
    new = await new_stored_name(db, LFS, BlobSettings())
    await blobs.put(new, DATA, Sha256Verifier(LFS.name))

    async def replace(tx: Tx) -> bool:
        return await replace_bytes(tx, LFS, len(DATA), old=old, new=new)

    assert await db.write(replace)
    assert not await db.write(replace), "the row has another stored name already"
    assert await stored_name_of(db, LFS) == new
    assert await delete_unreferenced(db, blobs, grace_ms=60_000) == 0
    assert await blobs.size(old) == len(DATA)
    await asyncio.sleep(0.005)
    assert await delete_unreferenced(db, blobs, grace_ms=0) == 1
    assert await blobs.size(old) is None
    assert await read(db, blobs, LFS) == DATA


async def test_unregistered_bytes_are_deleted_unless_a_writer_registers_them(
    db: Database, blobs: BlobStore
) -> None:
    repo = await a_repo(db, await a_user(db))
    lost, late = [await new_stored_name(db, LFS, BlobSettings()) for _ in range(2)]
    for stored in (lost, late):
        await blobs.put(stored, DATA, Sha256Verifier(LFS.name))
    await asyncio.sleep(1.1)  # S3 has times in seconds
    assert await mark_orphans(db, blobs, BlobKind.LFS, older_than_s=0) == 2
    assert await mark_orphans(db, blobs, BlobKind.LFS, older_than_s=0) == 0
    await register_upload(
        db, blobs, repo.pk, LFS, len(DATA), pusher_pk=None, hold_ms=60_000, place=late
    )
    assert await delete_unreferenced(db, blobs, grace_ms=0) == 1
    assert await blobs.size(lost) is None
    assert await read(db, blobs, LFS) == DATA
    assert [row.name for row in await rows(db, LFS)] == [LFS.name]


async def test_bytes_in_deletion_cannot_be_registered(db: Database) -> None:
    store = open_blobs("memory:")
    repo = await a_repo(db, await a_user(db))
    stored = await new_stored_name(db, LFS, BlobSettings())
    await store.put(stored, DATA, Sha256Verifier(LFS.name))
    await asyncio.sleep(0.005)
    assert await mark_orphans(db, store, BlobKind.LFS, older_than_s=0) == 1

    class Stopping:
        async def delete(self, _place: StoredKey) -> bool:
            raise Unavailable(reason="no answer")

    await asyncio.sleep(0.005)
    with pytest.raises(Unavailable):
        await delete_unreferenced(db, Stopping(), grace_ms=0)  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        await register_upload(
            db, store, repo.pk, LFS, len(DATA), pusher_pk=None, hold_ms=60_000, place=stored
        )


async def test_while_the_previous_release_runs_names_have_its_form(
    db: Database,
) -> None:
    since = await database_now_ms(db)
    row = {"name": "stored_names", "since_ms": since}
    await db.write(lambda tx: tx.run(_ADD_CHANGE, **row))
    assert await new_stored_name(db, LFS, BlobSettings(update_seconds=60)) == LFS
    assert await new_stored_name(db, PACK, BlobSettings(update_seconds=60)) == PACK
    assert await new_stored_name(db, LFS, BlobSettings(update_seconds=0)) != LFS


async def test_a_repeated_completion_returns_the_same_stored_name(
    blobs: BlobStore, db: Database, tmp_path: Path
) -> None:
    writer = blobs.parts.writer("u", 1, offset=0, size=len(DATA))
    await asyncio.to_thread(writer.write, DATA)
    await asyncio.to_thread(writer.commit)
    places = [await new_stored_name(db, LFS, BlobSettings()) for _ in range(2)]
    for stored in places:
        verify = Sha256Verifier(LFS.name)
        size = len(DATA)
        assert (
            await blobs.parts.assemble("u", [1], LFS, verify, size=size, place=stored) == places[0]
        )
    assert await blobs.size(places[1]) is None
