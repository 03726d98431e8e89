"""Xet files whose LFS object is gone, and xorbs by how far they are on their way out."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import and_, bindparam, case, func, literal, select

from hubstead.blobs import BlobKind
from hubstead.blobs.tables import blobs
from hubstead.commits import Storage
from hubstead.db import database_now_ms, scan, total
from hubstead.garbage.counts import GarbageCount, GarbageKind, GarbageState
from hubstead.xet.expiry import outlived_since, unknown_since
from hubstead.xet.tables import xet_file_xorbs
from hubstead.xet.tables import xet_files as xet_files_table
from hubstead.xet.tables import xorbs as xorbs_table

NO_OBJECT = "the LFS file that it puts together is gone"
#: What becomes of a xorb, by its state.
STATES = {
    "needed": (GarbageState.NEVER, "files need it"),
    "believed": (GarbageState.LATER, "no file needs it, clients may still believe in it"),
    "unneeded": (GarbageState.NOW, "no file needs it, clients no longer believe in it"),
    "quarantine": (GarbageState.LATER, "no file needs it, in quarantine"),
    "over": (GarbageState.NOW, "no file needs it, the quarantine is over"),
}

_needed = (
    select(xet_file_xorbs.c.xorb_pk).where(xet_file_xorbs.c.xorb_pk == xorbs_table.c.pk).exists()
)
_STATE = case(
    (_needed, literal("needed")),
    (xorbs_table.c.doomed_ms < bindparam("released_ms"), literal("over")),
    (
        and_(
            xorbs_table.c.doomed_ms.is_not(None),
            xorbs_table.c.touched_ms < bindparam("outlived_ms"),
        ),
        literal("over"),
    ),
    (xorbs_table.c.doomed_ms.is_not(None), literal("quarantine")),
    (xorbs_table.c.touched_ms < bindparam("unknown_ms"), literal("unneeded")),
    else_=literal("believed"),
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


class _Sum(NamedTuple):
    things: int
    bytes: int


_FILES = scan(
    select(func.count().label("things"), total(xet_files_table.c.bytes).label("bytes"))
    .outerjoin_from(
        xet_files_table,
        blobs,
        and_(blobs.c.kind == BlobKind.LFS.value, blobs.c.name == xet_files_table.c.sha256),
    )
    .where(blobs.c.name.is_(None)),
    _Sum,
)


async def xet_files(stores: Storage) -> list[GarbageCount]:
    """Count Xet files that no repository can have any more."""
    gone = await stores.db.single(_FILES)
    if not gone.things:
        return []
    return [
        GarbageCount(GarbageKind.XET_FILE, GarbageState.NOW, NO_OBJECT, gone.things, gone.bytes)
    ]


async def xorbs(stores: Storage) -> list[GarbageCount]:
    """Count xorbs by what is to become of them."""
    quarantine_ms = int(stores.settings.xet.quarantine_seconds * 1000)
    released = await database_now_ms(stores.db) - quarantine_ms
    unknown = await unknown_since(stores.db, stores.settings)
    outlived = await outlived_since(stores.db, stores.settings)
    rows = await stores.db.all(
        _XORBS, released_ms=released, unknown_ms=unknown, outlived_ms=outlived
    )
    found = {row.state: row for row in rows}
    return [
        GarbageCount(GarbageKind.XORB, when, reason, found[state].things, found[state].bytes)
        for state, (when, reason) in STATES.items()
        if state in found
    ]
