"""The end of unreferenced xorbs and files, and their rescue by new uses."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import bindparam, update

from hubstead.blobs import BlobKey, BlobKind, delete_unreferenced, expire_holds, unlink_blobs
from hubstead.blobs.tables import blobs
from hubstead.db import Tx, scan
from hubstead.errors import HubError
from hubstead.settings import Settings
from hubstead.xet import (
    ShardRefused,
    delete_unreferenced_files,
    find_file,
    find_xorb,
    quarantine_xorbs,
    release_xorbs,
)
from hubstead.xet.jobs import DELETE_FILES, QUARANTINE, xet_jobs
from hubstead.xet.tables import xet_files, xorbs
from tests.support.jobs import run_job
from tests.support.rows import reading
from tests.support.xet_files import SampleFile, SampleXorb, a_file, a_xorb
from tests.xet.conftest import XetHub
from tests.xet.test_store import a_model, commit, noise

_AGE_XORBS = scan(
    update(xorbs).values(
        touched_ms=xorbs.c.touched_ms - bindparam("by_ms"),
        quarantined_ms=xorbs.c.quarantined_ms - bindparam("by_ms"),
    )
)
_AGE_FILES = scan(update(xet_files).values(touched_ms=xet_files.c.touched_ms - bindparam("by_ms")))
_AGE_BLOBS = scan(
    update(blobs).values(unreferenced_ms=blobs.c.unreferenced_ms - bindparam("by_ms"))
)
DAY_MS = 86_400_000


async def pass_days(hub: XetHub, days: float) -> None:
    """Age all recorded times."""

    async def age(tx: Tx) -> None:
        for statement in (_AGE_XORBS, _AGE_FILES, _AGE_BLOBS):
            await tx.run(statement, by_ms=int(days * DAY_MS))

    await hub.stores.db.write(age)


async def work(hub: XetHub, settings: Settings | None = None) -> None:
    """Run the jobs of the room once."""
    stores = hub.stores
    settings = settings or stores.settings
    types = xet_jobs(stores.db, stores.blobs, stores.xet, settings.xet, settings.blobs)
    for name in (DELETE_FILES, QUARANTINE):
        await run_job(types, name)


async def state(hub: XetHub, xorb: SampleXorb) -> str:
    row = await hub.stores.db.one(reading(xorbs.select().where(xorbs.c.name == xorb.name)))
    if row is None:
        return "deleted"
    return "live" if row.quarantined_ms is None else "quarantine"


async def delete_object(hub: XetHub, file: SampleFile) -> None:
    """Delete the LFS object of a file for good."""

    async def drop(tx: Tx) -> None:
        await unlink_blobs(tx, hub.repo.pk, [BlobKey(BlobKind.LFS, file.sha256)])

    await hub.stores.db.write(drop)
    await pass_days(hub, 0.001)
    assert await delete_unreferenced(hub.stores.db, hub.stores.blobs, grace_ms=0)


async def test_an_unreferenced_xorb_is_quarantined_and_then_deleted(hub: XetHub) -> None:
    _, xorb = a_model("goes")
    await hub.send(xorb)
    row = await find_xorb(hub.stores.db, xorb.name)
    assert row is not None
    await pass_days(hub, 22)
    await work(hub)
    assert await state(hub, xorb) == "live"
    await pass_days(hub, 2)
    await work(hub)
    assert await state(hub, xorb) == "quarantine"
    await pass_days(hub, 1)
    await work(hub)
    assert await state(hub, xorb) == "quarantine"
    await pass_days(hub, 1.1)
    await work(hub)
    assert await state(hub, xorb) == "deleted"
    # Earlier readers have the grace period of blobs.
    assert await hub.stores.blobs.size(row.key) == len(xorb.body)
    await pass_days(hub, 1.1)
    assert await delete_unreferenced(hub.stores.db, hub.stores.blobs, grace_ms=DAY_MS) == 1
    assert await hub.stores.blobs.size(row.key) is None
    traces = await hub.traces()
    assert (traces["xorb"], traces["xorb_upload"], traces["blob"]) == (0, 0, 0)
    assert await hub.send(xorb)  # and it can be uploaded again


async def test_a_needed_xorb_stays_at_any_age(hub: XetHub) -> None:
    file, xorb = a_model("needed")
    await hub.upload(file, xorbs=(xorb,))
    await commit(hub, file)
    await pass_days(hub, 1000)
    await work(hub)
    assert await state(hub, xorb) == "live"
    assert await hub.read(file) == file.content
    await delete_object(hub, file)
    await pass_days(hub, 1)
    await work(hub)
    assert await find_file(hub.stores.db, file.name) is None
    assert await state(hub, xorb) == "quarantine"


async def test_a_file_that_was_just_registered_is_not_forgotten(hub: XetHub) -> None:
    file, xorb = a_model("fresh")
    await hub.upload(file, xorbs=(xorb,))
    await delete_object(hub, file)
    assert not await delete_unreferenced_files(hub.stores.db, hub.stores.settings.xet)
    await pass_days(hub, 0.1)
    assert await delete_unreferenced_files(hub.stores.db, hub.stores.settings.xet) == 1


async def test_an_uncommitted_file_is_deleted_when_its_hold_expires(hub: XetHub) -> None:
    file, xorb = a_model("never committed")
    short = replace(hub.stores, settings=hub.stores.settings.replace(hold_seconds=0))
    await replace(hub, stores=short).upload(file, xorbs=(xorb,))
    await asyncio.sleep(0.01)
    assert await expire_holds(hub.stores.db) == 1
    await pass_days(hub, 24)
    await delete_unreferenced(hub.stores.db, hub.stores.blobs, grace_ms=0)
    await work(hub)
    assert await find_file(hub.stores.db, file.name) is None
    assert await state(hub, xorb) == "quarantine"


async def use_by_upload(hub: XetHub, file: SampleFile, xorb: SampleXorb) -> None:
    await hub.send(xorb)


async def use_by_shard(hub: XetHub, file: SampleFile, xorb: SampleXorb) -> None:
    await hub.register(file)


async def use_by_query(hub: XetHub, file: SampleFile, sample: SampleXorb) -> None:
    xorb = await find_xorb(hub.stores.db, sample.name)
    assert xorb is not None
    assert await hub.xet.renew_xorbs([xorb])


TAKEN_UP = (use_by_upload, use_by_shard, use_by_query)


@pytest.mark.parametrize("how", TAKEN_UP)
async def test_any_use_ends_the_quarantine_of_a_xorb(hub: XetHub, how: Any) -> None:
    file, xorb = a_model(how)
    await hub.send(xorb)
    await pass_days(hub, 24)
    await work(hub)
    assert await state(hub, xorb) == "quarantine"
    await how(hub, file, xorb)
    assert await state(hub, xorb) == "live"
    await pass_days(hub, 3)
    await work(hub)
    assert await state(hub, xorb) == "live"
    assert await hub.register(file) is (how is not use_by_shard)
    assert await hub.read(file) == file.content


@pytest.mark.parametrize("how", TAKEN_UP)
async def test_any_use_renews_a_xorb(hub: XetHub, how: Any) -> None:
    file, xorb = a_model(how)
    await hub.send(xorb)
    await pass_days(hub, 20)
    await how(hub, file, xorb)
    if how is use_by_shard:
        await delete_object(hub, file)
    await pass_days(hub, 20)
    await work(hub)
    assert await state(hub, xorb) == "live"


async def test_a_deleted_xorb_cannot_be_used(hub: XetHub) -> None:
    file, xorb = a_model("relied on")
    await hub.send(xorb)
    row = await find_xorb(hub.stores.db, xorb.name)
    assert row is not None
    index = await hub.xet.indexes.get(row.blob)
    await pass_days(hub, 24)
    await work(hub)
    await pass_days(hub, 3)
    await work(hub)
    assert not await hub.xet.renew_xorbs([row])
    before = await hub.traces()
    with pytest.raises(ShardRefused, match="not stored here"):
        await hub.register(file)
    assert await hub.traces() == before
    # It is uploaded again with other compression: nothing of the old one is mixed with it.
    other = b"".join(record_of(chunk) for chunk in xorb.chunks)
    assert await hub.send(xorb, body=other)
    await hub.register(file)
    assert await hub.read(file) == file.content
    again = await find_xorb(hub.stores.db, xorb.name)
    assert again is not None
    assert again.blob != row.blob
    assert (await hub.xet.indexes.get(again.blob)).size == len(other) != index.size


def record_of(chunk: bytes) -> bytes:
    from tests.xet.wire_xorbs import record

    return record(chunk)


async def test_a_xorb_deleted_during_its_upload_has_to_be_sent_again(
    hub: XetHub,
) -> None:
    _, xorb = a_model("meanwhile")
    await hub.send(xorb)
    async with AsyncExitStack() as stack:
        upload = await stack.enter_async_context(hub.xet.receive_xorb(xorb.name, hub.repo.pk))
        upload.feed(xorb.body)
        await pass_days(hub, 24)
        await work(hub)
        await pass_days(hub, 3)
        await work(hub)
        with pytest.raises(HubError, match="again"):
            await stack.aclose()
    assert await hub.send(xorb)


async def test_a_new_epoch_shortens_the_wait(hub: XetHub) -> None:
    _, xorb = a_model("epoch")
    await hub.xet.epochs.current()
    await hub.send(xorb)
    await pass_days(hub, 1)
    await hub.xet.epochs.begin()
    await work(hub)
    assert await state(hub, xorb) == "live"  # tokens of the old epoch may be in use
    soon = hub.stores.settings.replace(xet_token_seconds=-300, signed_url_seconds=-1000)
    await work(hub, soon)
    assert await state(hub, xorb) == "deleted"  # no client can refer to it any more


@pytest.mark.shape_matters
async def test_deletion_beside_uploads_never_deletes_needed_xorbs(hub: XetHub) -> None:
    """Without any grace: every registered file is readable, in any order of events."""
    config = hub.stores.settings.replace(xet_keep_seconds=0, xet_quarantine_seconds=0)
    impatient = replace(hub, stores=replace(hub.stores, settings=config))
    db, rng = hub.stores.db, random.Random(3)
    xorbs = [a_xorb([noise(500 + at, f"{index}/{at}") for at in range(4)]) for index in range(4)]
    registered: list[SampleFile] = []
    over = False

    async def clear() -> None:
        while not over:
            await quarantine_xorbs(db, config.xet, config.blobs)
            await release_xorbs(db, config.xet, config.blobs)
            await delete_unreferenced(db, hub.stores.blobs, grace_ms=0)
            await asyncio.sleep(0)

    async def upload(times: int = 12) -> None:
        for _ in range(times):
            pair = rng.sample(xorbs, 2)
            file = a_file(*((index, rng.randrange(3), 4) for index in pair))
            try:
                for index in pair:
                    await impatient.send(index)
                await impatient.register(file)
            except (ShardRefused, HubError):
                continue  # the client has to send it again
            registered.append(file)

    clearing = [asyncio.ensure_future(clear()) for _ in range(2)]
    try:
        await asyncio.gather(*(upload() for _ in range(4)))
    finally:
        over = True
        await asyncio.gather(*clearing)
    await upload(1)  # nothing is deleted meanwhile, so that this one at least is registered
    await quarantine_xorbs(db, config.xet, config.blobs)
    await release_xorbs(db, config.xet, config.blobs)
    assert registered
    for file in registered:
        assert await hub.read(file) == file.content
