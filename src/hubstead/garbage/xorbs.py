"""Counts Xet files without an LFS object, and xorbs by their state on the way to deletion."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import and_, bindparam, case, func, literal, select

from hubstead.commits import Storage
from hubstead.db import database_now_ms, scan, total
from hubstead.garbage.counts import GarbageCount, GarbageKind, GarbageState
from hubstead.xet import outlived_since, total_files_without_object, unknown_since
from hubstead.xet.tables import xet_file_xorbs
from hubstead.xet.tables import xorbs as xorbs_table

NO_OBJECT = "its LFS file was deleted"
#: The state and reason in counts, by the state of a xorb.
STATES = {
    "needed": (GarbageState.NEVER, "files need it"),
    "cached": (GarbageState.LATER, "no file needs it, clients may still refer to it"),
    "unneeded": (GarbageState.NOW, "no file needs it, clients no longer refer to it"),
    "quarantine": (GarbageState.LATER, "no file needs it, in quarantine"),
    "expired": (GarbageState.NOW, "no file needs it, the quarantine is over"),
}

_needed = (
    select(xet_file_xorbs.c.xorb_pk).where(xet_file_xorbs.c.xorb_pk == xorbs_table.c.pk).exists()
)
_STATE = case(
    (_needed, literal("needed")),
    (xorbs_table.c.quarantined_ms < bindparam("released_ms"), literal("expired")),
    (
        and_(
            xorbs_table.c.quarantined_ms.is_not(None),
            xorbs_table.c.touched_ms < bindparam("outlived_ms"),
        ),
        literal("expired"),
    ),
    (xorbs_table.c.quarantined_ms.is_not(None), literal("quarantine")),
    (xorbs_table.c.touched_ms < bindparam("unknown_ms"), literal("unneeded")),
    else_=literal("cached"),
).label("state")
_LISTED = select(_STATE, xorbs_table.c.bytes.label("bytes")).subquery()


class _StateSum(NamedTuple):
    state: str
    things: int
    bytes: int


_XORBS = scan(
    select(
        _LISTED.c.state, func.count().label("things"), total(_LISTED.c.bytes).label("bytes")
    ).group_by(_LISTED.c.state),
    _StateSum,
)


async def xet_files(storage: Storage) -> list[GarbageCount]:
    """Count Xet files without an LFS object, which no repository can link again."""
    row = await total_files_without_object(storage.db)
    if not row.files:
        return []
    return [GarbageCount(GarbageKind.XET_FILE, GarbageState.NOW, NO_OBJECT, row.files, row.bytes)]


async def xorbs(storage: Storage) -> list[GarbageCount]:
    """Count xorbs by state."""
    quarantine_ms = int(storage.settings.xet.quarantine_seconds * 1000)
    released = await database_now_ms(storage.db) - quarantine_ms
    settings = storage.settings
    unknown = await unknown_since(storage.db, settings.xet, settings.blobs)
    outlived = await outlived_since(storage.db, settings.xet, settings.blobs)
    rows = await storage.db.all(
        _XORBS, released_ms=released, unknown_ms=unknown, outlived_ms=outlived
    )
    by_state = {row.state: row for row in rows}
    return [
        GarbageCount(GarbageKind.XORB, when, reason, by_state[state].things, by_state[state].bytes)
        for state, (when, reason) in STATES.items()
        if state in by_state
    ]
