"""A node's clock compared with the database's, the one that all nodes share.

Leases and holds compare the database's clock alone. A node still puts its own time into signed
addresses and tokens, so a node whose clock is wrong takes no jobs and, as long as another node
agrees with the database, no requests. If no node agrees, the database's clock is the wrong one,
and every node goes on serving.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable

import structlog
from sqlalchemy import BigInteger, bindparam, delete, func, select

from hubstead.db import Database, DatabaseNow, Tx, database_now_ms, indexed, insert_into, scan
from hubstead.errors import Unavailable
from hubstead.ids import now_ms
from hubstead.jobs.tables import nodes

#: How often a node measures its clock, in seconds.
MEASURE_EVERY_S = 5.0
#: How often a node that is not alone announces its measurement, in seconds.
ANNOUNCE_EVERY_S = 10.0
#: How long an announcement counts, in milliseconds.
ANNOUNCEMENT_MS = 60_000

_log = structlog.get_logger("hubstead.jobs")

_NEW = insert_into(nodes, "name", "difference_ms").values(seen_ms=DatabaseNow())
_ANNOUNCE = indexed(
    _NEW.on_conflict_do_update(
        index_elements=["name"],
        set_={"difference_ms": _NEW.excluded.difference_ms, "seen_ms": _NEW.excluded.seen_ms},
    )
)
# A table of a few rows: one per node.
_OTHERS = scan(select(nodes.c.name).where(nodes.c.name != bindparam("me")).limit(1), str)
_ANOTHER_AGREES = scan(
    select(nodes.c.name)
    .where(
        nodes.c.name != bindparam("me"),
        nodes.c.seen_ms > DatabaseNow() - ANNOUNCEMENT_MS,
        func.abs(nodes.c.difference_ms) <= bindparam("tolerance_ms", type_=BigInteger),
    )
    .limit(1),
    str,
)
_WITHDRAW = scan(delete(nodes).where(nodes.c.name == bindparam("me")))
_EXPIRE = scan(delete(nodes).where(nodes.c.seen_ms < DatabaseNow() - 10 * ANNOUNCEMENT_MS))


def node_name() -> str:
    """Return the name of this process in ``hubstead jobs`` and in the log: machine and process."""
    return f"{socket.gethostname()}:{os.getpid()}"


class NodeClock:
    """Measures how far a node's clock is from the database's, and announces it to other nodes.

    Args:
        db: The database that the nodes share.
        node: The node's name in the log and in the table of nodes.
        tolerance_s: The difference up to which the clock is right, in seconds.
        now_ms: The node's clock, in milliseconds since the epoch.
    """

    def __init__(
        self,
        db: Database,
        node: str,
        *,
        tolerance_s: float,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._db = db
        self._name = f"{node}/{secrets.token_hex(8)}"  # containers share names and process ids
        self._tolerance_ms = int(tolerance_s * 1000)
        self._now_ms = now_ms
        self._announced_s: float | None = None  # by time.monotonic()
        #: The node's time less the database's at the last measurement, less what the round trip
        #: to the database may explain.
        self.difference_ms = 0

    @property
    def agrees(self) -> bool:
        """Whether the clock was right at the last measurement."""
        return abs(self.difference_ms) <= self._tolerance_ms

    @property
    def complaint(self) -> str:
        """A sentence about a clock that is wrong, or an empty string."""
        if self.agrees:
            return ""
        seconds = self.difference_ms / 1000
        return f"this node's clock differs from the database's by {seconds:+.1f} s"

    async def measure(self) -> bool:
        """Compare the clocks, announce the difference, and log when it becomes too large.

        Returns:
            Whether the clock is right.

        Raises:
            Unavailable: the database cannot be reached.
        """
        agreed = self.agrees
        await self._compare()
        if agreed and not self.agrees:
            _log.error("node takes no jobs", reason=self.complaint)
        elif self.agrees and not agreed:
            _log.info("node takes jobs again: its clock agrees with the database's")
        if agreed != self.agrees or await self._announcement_is_due():
            await self._announce()
        return self.agrees

    async def _compare(self) -> None:
        began_ms, began_s = self._now_ms(), time.monotonic()
        database_ms = await database_now_ms(self._db)
        trip_ms = int((time.monotonic() - began_s) * 1000) + 1
        behind_ms = database_ms - began_ms  # between 0 and trip_ms for a clock that is right
        self.difference_ms = -behind_ms if behind_ms < 0 else -max(0, behind_ms - trip_ms)

    async def _announcement_is_due(self) -> bool:
        if self._announced_s is None:
            return True
        if time.monotonic() - self._announced_s < ANNOUNCE_EVERY_S:
            return False
        # A node that is alone leaves the disk alone.
        return await self._db.one(_OTHERS, me=self._name) is not None

    async def _announce(self) -> None:
        await self._db.write(_announce, self._name, self.difference_ms)
        self._announced_s = time.monotonic()

    async def ready(self) -> None:
        """Return if requests may come to this node.

        Raises:
            Unavailable: the clock is wrong, and another node's agrees with the database's.
        """
        await self.measure()
        if self.agrees:
            return
        another = await self._db.one(
            _ANOTHER_AGREES, me=self._name, tolerance_ms=self._tolerance_ms
        )
        if another is not None:
            raise Unavailable(reason=self.complaint)

    async def withdraw(self) -> None:
        """Remove the announcement of a node that stops."""
        if self._announced_s is not None:
            await self._db.execute(_WITHDRAW, me=self._name)


async def _announce(tx: Tx, name: str, difference_ms: int) -> None:
    await tx.run(_EXPIRE)
    await tx.run(_ANNOUNCE, name=name, difference_ms=difference_ms)
