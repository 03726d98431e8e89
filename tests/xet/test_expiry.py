"""How long clients may rely on unreferenced xorbs."""

from __future__ import annotations

from sqlalchemy import update

from hubstead.db import Database, Tx, indexed
from hubstead.ids import now_ms
from hubstead.settings import BlobSettings, XetSettings
from hubstead.xet.expiry import begin_epoch, settling_seconds, unknown_since
from hubstead.xet.tables import xet_epochs

KEPT_S = 23 * 86_400
_AGE = indexed(update(xet_epochs).values(created_ms=xet_epochs.c.created_ms - 3_600_000))


async def an_hour_passes(db: Database) -> None:
    async def age(tx: Tx) -> None:
        await tx.run(_AGE)

    await db.write(age)


async def test_without_a_new_epoch_it_is_the_cache_time_of_clients(db: Database) -> None:
    moment = await unknown_since(db, XetSettings(keep_seconds=KEPT_S), BlobSettings())
    assert abs(now_ms() - KEPT_S * 1000 - moment) < 5000


async def test_a_new_epoch_counts_once_all_tokens_of_the_old_one_expired(db: Database) -> None:
    settings = XetSettings(keep_seconds=KEPT_S, token_seconds=7200)
    blobs = BlobSettings(signed_url_seconds=3600)
    assert 3 * 3600 < settling_seconds(settings, blobs) < 4 * 3600
    begun = now_ms()
    first = await begin_epoch(db)
    for hours in range(1, 5):
        await an_hour_passes(db)
        moment = await unknown_since(db, settings, blobs)
        if hours < 4:
            assert moment < begun - 20 * 86_400_000
        else:
            # A touch up to an hour earlier may stand for a use after the start of the epoch.
            assert abs(moment - (begun - 5 * 3_600_000)) < 5000
    assert await begin_epoch(db) != first
    again = await unknown_since(db, settings, blobs)
    assert abs(again - moment) < 5000, "the newer one is not over yet, the older one still counts"


async def test_an_old_epoch_prolongs_nothing(db: Database) -> None:
    await begin_epoch(db)
    for _ in range(3):
        await an_hour_passes(db)
    brief = XetSettings(keep_seconds=60, token_seconds=60)
    moment = await unknown_since(db, brief, BlobSettings(signed_url_seconds=60))
    assert abs(now_ms() - 60_000 - moment) < 5000
