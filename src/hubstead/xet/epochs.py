"""The part of ``casUrl`` that clients remember things under, as this node knows it."""

from __future__ import annotations

import time

from sqlalchemy import select

from hubstead.db import Database, Tx, indexed
from hubstead.xet.expiry import add_epoch, begin_epoch
from hubstead.xet.tables import xet_epochs

#: How old the node's knowledge may be, in seconds (`trust.SLACK_S` counts on it).
FRESH_S = 60.0

_ALL = indexed(
    select(xet_epochs.c.id).order_by(xet_epochs.c.created_ms.desc(), xet_epochs.c.id.desc()), str
)
_ANY = indexed(select(xet_epochs.c.id).limit(1), str)


class Epochs:
    """The newest epoch, which is given out, and the older ones, which are still served."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._ids: list[str] = []
        self._read_at = 0.0

    async def current(self) -> str:
        """Return the epoch to give out, having begun the first one if need be."""
        if not self._ids or time.monotonic() - self._read_at > FRESH_S:
            await self.reload()
        while not self._ids:
            await self._db.write(_begin_first)
            await self.reload()
        return self._ids[0]

    async def knows(self, epoch: str) -> bool:
        """Say whether there is such an epoch; another node may have begun it just now."""
        if epoch not in self._ids:
            await self.reload()
        return epoch in self._ids

    async def begin(self) -> str:
        """Begin a new epoch and return it; see `begin_epoch`."""
        made = await begin_epoch(self._db)
        await self.reload()
        return made

    async def reload(self) -> None:
        """Read the epochs again."""
        self._ids = await self._db.all(_ALL)
        self._read_at = time.monotonic()


async def _begin_first(tx: Tx) -> None:
    # Two nodes that start together may each begin one: both are served, the newer is given out.
    if await tx.one(_ANY) is None:
        await add_epoch(tx)
