"""What is promised of the names under which bytes are stored: none is used twice."""

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
    place = await new_stored_name(db, LFS, BlobSettings())
    await store.put(place, DATA, Sha256Verifier(LFS.name))
    await register_upload(
        db, store, repo.pk, LFS, len(DATA), pusher_pk=None, hold_ms=60_000, place=place
    )
    return place


async def send_pack(db: Database, store: BlobStore, repo: Repo) -> StoredKey:
    place = await new_stored_name(db, PACK, BlobSettings())
    await store.put(place, DATA, AnyBytes())
    await db.write(lambda tx: link_new_blob(tx, repo.pk, PACK, len(DATA), place=place))
    return place


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
    """Start what deletes unreferenced blobs, as a process of its own."""
    how = [database, url, options.endpoint, options.access_key, options.secret_key]
    return subprocess.Popen([sys.executable, "-c", _COLLECTOR, *how])


@pytest.mark.parametrize(("key", "send"), [(LFS, send_lfs), (PACK, send_pack)], ids=["lfs", "pack"])
async def test_a_late_delete_destroys_nothing_that_was_uploaded_again(
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
        # Another node finishes what the dead one began, and the content comes again.
        assert await delete_unreferenced(db, store, grace_ms=0) == 1
        await send(db, store, repo)
        assert await read(db, store, key) == DATA
        await asyncio.to_thread(delayed.release)
    assert await read(db, store, key) == DATA
    await store.close()


@pytest.mark.parametrize(("key", "send"), [(LFS, send_lfs), (PACK, send_pack)], ids=["lfs", "pack"])
async def test_bytes_that_come_again_get_another_name(
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


async def test_bytes_that_came_first_stay_and_others_go(db: Database, blobs: BlobStore) -> None:
    repo = await a_repo(db, await a_user(db))
    first = await send_lfs(db, blobs, repo)
    second = await send_lfs(db, blobs, repo)
    assert await stored_name_of(db, LFS) == first
    assert await blobs.size(second) is None


async def test_a_pack_that_comes_twice_leaves_its_second_bytes_to_be_deleted(
    db: Database, blobs: BlobStore
) -> None:
    repo = await a_repo(db, await a_user(db))
    first = await send_pack(db, blobs, repo)
    second = await send_pack(db, blobs, repo)
    await asyncio.sleep(0.005)
    assert await blobs.size(second) == len(DATA)
    assert await delete_unreferenced(db, blobs, grace_ms=0) == 1
    assert await blobs.size(second) is None
    assert await stored_name_of(db, PACK) == first
    assert await read(db, blobs, PACK) == DATA


async def test_what_an_earlier_release_stored_goes_on_to_be_read_and_deleted(
    db: Database, blobs: BlobStore
) -> None:
    repo = await a_repo(db, await a_user(db))
    await blobs.put(LFS, DATA, Sha256Verifier(LFS.name))
    await register_upload(db, blobs, repo.pk, LFS, len(DATA), pusher_pk=None, hold_ms=60_000)
    assert await read(db, blobs, LFS) == DATA
    came = await send_lfs(db, blobs, repo)
    assert await stored_name_of(db, LFS) == LFS
    assert await blobs.size(came) is None
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


async def test_replaced_bytes_stay_for_readers_and_then_go(db: Database, blobs: BlobStore) -> None:
    repo = await a_repo(db, await a_user(db))
    old = await send_lfs(db, blobs, repo)
    new = await new_stored_name(db, LFS, BlobSettings())
    await blobs.put(new, DATA, Sha256Verifier(LFS.name))

    async def replace(tx: Tx) -> bool:
        return await replace_bytes(tx, LFS, len(DATA), old=old, new=new)

    assert await db.write(replace)
    assert not await db.write(replace), "it does not lie there any more"
    assert await stored_name_of(db, LFS) == new
    assert await delete_unreferenced(db, blobs, grace_ms=60_000) == 0
    assert await blobs.size(old) == len(DATA)
    await asyncio.sleep(0.005)
    assert await delete_unreferenced(db, blobs, grace_ms=0) == 1
    assert await blobs.size(old) is None
    assert await read(db, blobs, LFS) == DATA


async def test_bytes_that_nobody_registered_go_unless_somebody_comes_to(
    db: Database, blobs: BlobStore
) -> None:
    repo = await a_repo(db, await a_user(db))
    lost, late = [await new_stored_name(db, LFS, BlobSettings()) for _ in range(2)]
    for place in (lost, late):
        await blobs.put(place, DATA, Sha256Verifier(LFS.name))
    await asyncio.sleep(1.1)  # S3 tells the second in which it came
    assert await mark_orphans(db, blobs, BlobKind.LFS, older_than_s=0) == 2
    assert await mark_orphans(db, blobs, BlobKind.LFS, older_than_s=0) == 0
    await register_upload(
        db, blobs, repo.pk, LFS, len(DATA), pusher_pk=None, hold_ms=60_000, place=late
    )
    assert await delete_unreferenced(db, blobs, grace_ms=0) == 1
    assert await blobs.size(lost) is None
    assert await read(db, blobs, LFS) == DATA
    assert [row.name for row in await rows(db, LFS)] == [LFS.name]


async def test_bytes_that_are_being_deleted_cannot_be_registered(db: Database) -> None:
    store = open_blobs("memory:")
    repo = await a_repo(db, await a_user(db))
    place = await new_stored_name(db, LFS, BlobSettings())
    await store.put(place, DATA, Sha256Verifier(LFS.name))
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
            db, store, repo.pk, LFS, len(DATA), pusher_pk=None, hold_ms=60_000, place=place
        )


async def test_while_the_previous_release_is_at_work_names_are_as_it_knows_them(
    db: Database,
) -> None:
    since = await database_now_ms(db)
    row = {"name": "stored_names", "since_ms": since}
    await db.write(lambda tx: tx.run(_ADD_CHANGE, **row))
    assert await new_stored_name(db, LFS, BlobSettings(update_seconds=60)) == LFS
    assert await new_stored_name(db, PACK, BlobSettings(update_seconds=60)) == PACK
    assert await new_stored_name(db, LFS, BlobSettings(update_seconds=0)) != LFS


async def test_an_upload_in_parts_tells_again_where_it_put_the_blob(
    blobs: BlobStore, db: Database, tmp_path: Path
) -> None:
    writer = blobs.parts.writer("u", 1, offset=0, size=len(DATA))
    await asyncio.to_thread(writer.write, DATA)
    await asyncio.to_thread(writer.commit)
    places = [await new_stored_name(db, LFS, BlobSettings()) for _ in range(2)]
    for place in places:
        verify = Sha256Verifier(LFS.name)
        size = len(DATA)
        assert (
            await blobs.parts.assemble("u", [1], LFS, verify, size=size, place=place) == places[0]
        )
    assert await blobs.size(places[1]) is None
