"""Until when clients may believe that a xorb is stored.

Clients remember for 21 days what they uploaded, or were told of, under the text of ``casUrl``,
and leave it out of later uploads. So a xorb that no file needs is kept for ``xet_keep_seconds``
after a client last learned of it, or until nobody can use an epoch any more in which that was.
"""

from __future__ import annotations

import secrets

from sqlalchemy import bindparam, select

from hubstead.db import Database, Reader, Tx, database_now_ms, indexed, insert_into
from hubstead.settings import Settings
from hubstead.xet.tables import xet_epochs

#: Nodes look for a new epoch once a minute, and signed addresses carry a node's time: so much
#: longer an old one is given out at most, in seconds.
SLACK_S = 300.0
#: ``touched_ms`` of a xorb may be so much older than when a client last learned of it.
_TOUCH_MS = 3_600_000

_ADD = indexed(insert_into(xet_epochs, "id", "created_ms"))
_NEWEST = indexed(
    select(xet_epochs.c.created_ms).order_by(xet_epochs.c.created_ms.desc()).limit(1), int
)
_NEWEST_OVER = indexed(
    select(xet_epochs.c.created_ms)
    .where(xet_epochs.c.created_ms <= bindparam("before_ms"))
    .order_by(xet_epochs.c.created_ms.desc())
    .limit(1),
    int,
)


async def begin_epoch(db: Database) -> str:
    """Begin a new epoch, so that clients forget what they believe to be stored; return its id.

    Every node gives it out within a minute. The ones before are served as long as anybody asks.
    """
    return await db.write(add_epoch)


async def add_epoch(tx: Tx) -> str:
    """Begin a new epoch as part of a transaction.

    It is later than all others, even within one millisecond or after a clock was set back: the
    latest is the one that is given out.
    """
    made = secrets.token_hex(8)
    newest = await tx.one(_NEWEST)
    now = await database_now_ms(tx)
    created_ms = now if newest is None else max(now, newest + 1)
    await tx.run(_ADD, id=made, created_ms=created_ms)
    return made


def settling_seconds(settings: Settings) -> float:
    """Return how long after its end an epoch may still be in use.

    A pass of it may have been issued at the last moment, and a plan got with that pass then.
    """
    return settings.xet.token_seconds + settings.blobs.signed_url_seconds + SLACK_S


def staleness_ms(settings: Settings) -> int:
    """Return how much older ``touched_ms`` may be than the use that it stands for.

    A row is not written again for each use: a xorb's has 40 bytes a chunk.
    """
    return min(_TOUCH_MS, int(settings.xet.keep_seconds * 1000) // 20)


async def unknown_since(db: Reader, settings: Settings) -> int:
    """Return a moment in milliseconds: no client believes in what was not touched since.

    It is ``xet_keep_seconds`` ago, or `outlived_since` if that is later.
    """
    kept = await database_now_ms(db) - int(settings.xet.keep_seconds * 1000)
    return max(kept, await outlived_since(db, settings))


async def outlived_since(db: Reader, settings: Settings) -> int:
    """Return a moment in milliseconds: what was not touched since, no pass of today can speak of.

    It is the beginning of an epoch, less ``staleness_ms``, once all passes of the epochs before
    it are over; 0 while there is no such epoch.
    """
    over = await database_now_ms(db) - int(settling_seconds(settings) * 1000)
    began_ms = await db.one(_NEWEST_OVER, before_ms=over)
    return 0 if began_ms is None else began_ms - staleness_ms(settings)
