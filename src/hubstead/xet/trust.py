"""Until when clients may believe that a xorb is stored.

Clients remember for 21 days what they uploaded, or were told of, under the text of ``casUrl``,
and leave it out of later uploads. So a xorb that no file needs is kept for ``xet_keep_seconds``
after a client last learned of it, or until nobody can use an epoch any more in which that was.
"""

from __future__ import annotations

import secrets

from sqlalchemy import bindparam, select

from hubstead.db import Database, Reader, Tx, adding, point
from hubstead.ids import now_ms
from hubstead.settings import Settings
from hubstead.xet.tables import xet_epoch

#: Nodes look for a new epoch once a minute, and clocks differ: so much longer an old one is
#: given out at most, in seconds.
SLACK_S = 300.0

_ADD = point(adding(xet_epoch, "id", "created_ms"))
_NEWEST_OVER = point(
    select(xet_epoch.c.created_ms)
    .where(xet_epoch.c.created_ms <= bindparam("before_ms"))
    .order_by(xet_epoch.c.created_ms.desc())
    .limit(1)
)


async def begin_epoch(db: Database) -> str:
    """Begin a new epoch, so that clients forget what they believe to be stored; return its id.

    Every node gives it out within a minute. The ones before are served as long as anybody asks.
    """
    made = secrets.token_hex(8)

    async def add(tx: Tx) -> None:
        await tx.run(_ADD, id=made, created_ms=now_ms())

    await db.write(add)
    return made


def settling_seconds(settings: Settings) -> float:
    """Return how long after its end an epoch may still be in use.

    A pass of it may have been issued at the last moment, and a plan got with that pass then.
    """
    return settings.xet_token_seconds + settings.signed_url_seconds + SLACK_S


async def unknown_since(db: Reader, settings: Settings) -> int:
    """Return a moment in milliseconds: what no client has learned of since, none believes in.

    It is ``xet_keep_seconds`` ago, or the beginning of an epoch if that is later and all passes
    of the epochs before it are over.
    """
    now = now_ms()
    over = now - int(settling_seconds(settings) * 1000)
    row = await db.one(_NEWEST_OVER, before_ms=over)
    kept = now - int(settings.xet_keep_seconds * 1000)
    return kept if row is None else max(kept, int(row.created_ms))
