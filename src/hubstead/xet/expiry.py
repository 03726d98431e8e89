"""How long clients may rely on a stored xorb.

Clients cache for 21 days, by the text of ``casUrl``, which xorbs they uploaded or learned of, and
leave them out of later uploads. So the hub retains a xorb that no file uses for
``xet_keep_seconds`` after a client last learned of it, or until all epochs in which that happened
have expired.
"""

from __future__ import annotations

import secrets

from sqlalchemy import bindparam, select

from hubstead.db import Database, Reader, Tx, database_now_ms, indexed, insert_into
from hubstead.settings import BlobSettings, XetSettings
from hubstead.xet.tables import xet_epochs

#: Nodes issue tokens of an old epoch for at most this long, in seconds: they look for a new one
#: once a minute, and signed addresses carry a node's time.
SLACK_S = 300.0
#: The maximum lag of ``touched_ms`` behind the last time that a client learned of the xorb.
_LAG_MS = 3_600_000

_ADD = indexed(insert_into(xet_epochs, "id", "created_ms"))
_NEWEST = indexed(
    select(xet_epochs.c.created_ms).order_by(xet_epochs.c.created_ms.desc()).limit(1), int
)
_NEWEST_BEFORE = indexed(
    select(xet_epochs.c.created_ms)
    .where(xet_epochs.c.created_ms <= bindparam("before_ms"))
    .order_by(xet_epochs.c.created_ms.desc())
    .limit(1),
    int,
)


async def begin_epoch(db: Database) -> str:
    """Begin a new epoch, so that clients drop their caches; return its id.

    Every node issues it within a minute. Older epochs are still served.
    """
    return await db.write(add_epoch)


async def add_epoch(tx: Tx, clock_ms: int | None = None) -> str:
    """Begin a new epoch as part of a transaction; return its id.

    Its time is later than that of all others, even within one millisecond or after a clock was set
    back, because the latest one is current.

    Args:
        tx: The transaction.
        clock_ms: The time now, in milliseconds since the epoch; the database's clock if None.
    """
    epoch = secrets.token_hex(8)
    newest = await tx.one(_NEWEST)
    now = await database_now_ms(tx) if clock_ms is None else clock_ms
    created_ms = now if newest is None else max(now, newest + 1)
    await tx.run(_ADD, id=epoch, created_ms=created_ms)
    return epoch


def settling_seconds(settings: XetSettings, blobs: BlobSettings) -> float:
    """Return how long after its end an epoch may still be in use, in seconds.

    A token may be issued at the last moment, and a plan requested at the end of that token.
    """
    return settings.token_seconds + blobs.signed_url_seconds + SLACK_S


def staleness_ms(settings: XetSettings) -> int:
    """Return the maximum lag of ``touched_ms`` behind the last use, in milliseconds.

    Not every use writes the row, because a xorb's row has 40 bytes per chunk.
    """
    return min(_LAG_MS, int(settings.keep_seconds * 1000) // 20)


async def unknown_since(db: Reader, settings: XetSettings, blobs: BlobSettings) -> int:
    """Return a Unix time in milliseconds: no client relies on xorbs not used since then.

    It is ``xet_keep_seconds`` ago, or `outlived_since` if that is later.
    """
    retained = await database_now_ms(db) - int(settings.keep_seconds * 1000)
    return max(retained, await outlived_since(db, settings, blobs))


async def outlived_since(db: Reader, settings: XetSettings, blobs: BlobSettings) -> int:
    """Return a Unix time in milliseconds: no valid token's epoch knows xorbs not used since then.

    It is the beginning of the newest epoch whose predecessors' tokens have all expired, less
    `staleness_ms`; 0 without such an epoch.
    """
    before_ms = await database_now_ms(db) - int(settling_seconds(settings, blobs) * 1000)
    began_ms = await db.one(_NEWEST_BEFORE, before_ms=before_ms)
    return 0 if began_ms is None else began_ms - staleness_ms(settings)
