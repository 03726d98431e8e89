"""The epochs of the Xet store, cached on this node: clients cache by this part of ``casUrl``."""

from __future__ import annotations

import time

from sqlalchemy import select

from hubstead.db import Database, Tx, indexed
from hubstead.xet.expiry import add_epoch, begin_epoch
from hubstead.xet.tables import xet_epochs

#: The maximum age of the cached epochs in seconds (`expiry.SLACK_S` counts on it).
FRESH_S = 60.0

_ALL = indexed(
    select(xet_epochs.c.id).order_by(xet_epochs.c.created_ms.desc(), xet_epochs.c.id.desc()), str
)
_ANY = indexed(select(xet_epochs.c.id).limit(1), str)


class Epochs:
    """The current epoch, which new tokens carry, and the older ones, which are still served."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._ids: list[str] = []
        self._read_at = 0.0

    async def current(self) -> str:
        """Return the epoch for new tokens; begin the first one if there is none.

        An epoch that another node began is returned within a minute.
        """
        if not self._ids or time.monotonic() - self._read_at > FRESH_S:
            await self._reload()
        while not self._ids:
            await self._db.write(_begin_first)
            await self._reload()
        return self._ids[0]

    async def knows(self, epoch: str) -> bool:
        """Return whether an epoch exists; another node may have begun it just now."""
        if epoch not in self._ids:
            await self._reload()
        return epoch in self._ids

    async def begin(self) -> str:
        """Begin a new epoch and return its id, so that clients drop their caches."""
        epoch = await begin_epoch(self._db)
        await self._reload()
        return epoch

    async def _reload(self) -> None:
        self._ids = await self._db.all(_ALL)
        self._read_at = time.monotonic()


async def _begin_first(tx: Tx) -> None:
    # Two nodes that start together may begin one each: both are served, the newer is current.
    if await tx.one(_ANY) is None:
        await add_epoch(tx)
