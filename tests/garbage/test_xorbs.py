"""Xorbs end in steps: valid for clients, in quarantine, deleted; a new epoch shortens that."""

from __future__ import annotations

import secrets
from array import array

from sqlalchemy import select, update

from hubstead import blobs
from hubstead.blobs import BlobKey, BlobKind
from hubstead.db import Tx, indexed, insert_into
from hubstead.garbage import GarbageKind, GarbageState
from hubstead.garbage.xorbs import STATES
from hubstead.ids import now_ms
from hubstead.xet import Term, Terms, XorbIndex, to_raw
from hubstead.xet.expiry import begin_epoch
from hubstead.xet.tables import xet_epochs, xet_file_xorbs, xet_files, xorbs
from tests.garbage.conftest import DAY_MS, GarbageHub, of
from tests.support.rows import reading

_FIELDS = ("name", "blob", "bytes", "unpacked", "chunks", "entries", "created_ms", "touched_ms")
_XORB = reading(insert_into(xorbs, *_FIELDS, "quarantined_ms").returning(xorbs.c.pk))
_FILE = reading(
    insert_into(
        xet_files, "name", "sha256", "bytes", "terms", "created_ms", "touched_ms"
    ).returning(xet_files.c.pk)
)
_NEED = indexed(insert_into(xet_file_xorbs, "file_pk", "xorb_pk"))
_NAMES = reading(select(xorbs.c.name, xorbs.c.quarantined_ms))
_AGE_EPOCHS = indexed(update(xet_epochs).values(created_ms=xet_epochs.c.created_ms - DAY_MS))


async def a_xorb(
    hub: GarbageHub,
    *,
    touched_days: float = 0,
    quarantined_days: float | None = None,
    needed: bool = False,
) -> str:
    """Add a xorb of one chunk that was touched, and put into quarantine, so many days ago."""
    name = secrets.token_hex(32)
    key = BlobKey(BlobKind.XORB, secrets.token_hex(32))
    index = XorbIndex(secrets.token_bytes(32), array("I", (0, 10)), array("I", (0, 20)))
    touched = now_ms() - int(touched_days * DAY_MS)
    quarantined = None if quarantined_days is None else now_ms() - int(quarantined_days * DAY_MS)
    terms = Terms.of([Term(to_raw(name), 0, 1, 20)])

    async def add(tx: Tx) -> None:
        row = await tx.one(
            _XORB,
            name=name,
            blob=key.name,
            bytes=10,
            unpacked=20,
            chunks=1,
            entries=index.pack(),
            created_ms=touched,
            touched_ms=touched,
            quarantined_ms=quarantined,
        )
        assert row is not None
        await blobs.register_blob(tx, key, 10)
        if needed:
            facts = {"bytes": 20, "terms": terms.pack(), "created_ms": 1, "touched_ms": now_ms()}
            sha256 = secrets.token_hex(32)
            file = await tx.one(_FILE, name=secrets.token_hex(32), sha256=sha256, **facts)
            assert file is not None
            await tx.run(_NEED, file_pk=file.pk, xorb_pk=row.pk)

    await hub.stores.db.write(add)
    return name


async def in_quarantine(hub: GarbageHub) -> dict[str, bool]:
    rows = await hub.stores.db.all(_NAMES)
    return {row.name: row.quarantined_ms is not None for row in rows}


async def states(hub: GarbageHub) -> dict[str, tuple[GarbageState, int]]:
    counts = await hub.gc(remove=False)
    return {
        count.reason: (count.when, count.things)
        for count in counts
        if count.what is GarbageKind.XORB
    }


async def test_xorbs_are_reported_by_their_state(hub: GarbageHub) -> None:
    await a_xorb(hub, touched_days=99, needed=True)
    await a_xorb(hub, touched_days=22)
    await a_xorb(hub, touched_days=24)
    await a_xorb(hub, touched_days=25, quarantined_days=1)
    await a_xorb(hub, touched_days=26, quarantined_days=3)
    expected = {reason: (when, 1) for when, reason in STATES.values()}
    assert await states(hub) == expected


async def test_gc_moves_every_xorb_one_step_on(hub: GarbageHub) -> None:
    needed = await a_xorb(hub, touched_days=99, needed=True)
    believed = await a_xorb(hub, touched_days=22)
    unneeded = await a_xorb(hub, touched_days=24)
    over = await a_xorb(hub, touched_days=26, quarantined_days=3)
    removed = sum(count.removed for count in of(await hub.gc(), GarbageKind.XORB))
    assert removed == 2
    assert over not in await in_quarantine(hub)
    assert await in_quarantine(hub) == {needed: False, believed: False, unneeded: True}
    assert of(await hub.gc(), GarbageKind.XORB) == []


async def test_a_new_epoch_shortens_the_wait_of_unused_xorbs(hub: GarbageHub) -> None:
    before = await a_xorb(hub, touched_days=2)
    quarantined = await a_xorb(hub, touched_days=2, quarantined_days=1)
    await begin_epoch(hub.stores.db)
    await hub.gc()
    assert set(await in_quarantine(hub)) == {before, quarantined}

    async def a_day_passes(tx: Tx) -> None:
        await tx.run(_AGE_EPOCHS)

    await hub.stores.db.write(a_day_passes)
    after = await a_xorb(hub, touched_days=0.5)
    await hub.gc()
    assert await in_quarantine(hub) == {after: False}
