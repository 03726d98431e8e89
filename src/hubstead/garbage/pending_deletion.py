"""Bytes whose time has come: of blobs that nothing links to, and copies that are not needed."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from hubstead.blobs.tables import blobs
from hubstead.commits import Storage, count_deleted_repos, count_retired_packs
from hubstead.db import database_now_ms, scan, total
from hubstead.garbage.counts import GarbageCount, GarbageKind, GarbageState

DUE = "nothing links to it"
IN_GRACE = "nothing links to it, within blob_grace_seconds"
PLAIN_DUE = "it is put together from chunks"
PLAIN_IN_GRACE = "it is put together from chunks, within blob_grace_seconds"
FOLDER_DUE = "the repository was deleted"
PACK_DUE = "its objects are in another pack, or no ref reaches them"
PACK_IN_GRACE = f"{PACK_DUE}, within pack_grace_seconds"
FOLDER_IN_GRACE = "the repository was deleted, within blob_grace_seconds"


class _Sum(NamedTuple):
    due: bool
    things: int
    bytes: int


# A folded object has no bytes under its own name: those of its chunks are counted as xorbs.
_DOOMED = scan(
    select(
        (blobs.c.doomed_ms < bindparam("before_ms")).label("due"),
        func.count().label("things"),
        total(blobs.c.bytes, where=blobs.c.folded_ms.is_(None)).label("bytes"),
    )
    .where(blobs.c.doomed_ms.is_not(None))
    .group_by(blobs.c.doomed_ms < bindparam("before_ms")),
    _Sum,
)
_PLAIN = scan(
    select(
        (blobs.c.folded_ms < bindparam("before_ms")).label("due"),
        func.count().label("things"),
        total(blobs.c.bytes).label("bytes"),
    )
    .where(blobs.c.folded_ms > 0, blobs.c.doomed_ms.is_(None))
    .group_by(blobs.c.folded_ms < bindparam("before_ms")),
    _Sum,
)


async def count_pending_deletion(stores: Storage) -> list[GarbageCount]:
    """Count the blobs and folders that wait to be deleted, and those whose time has come."""
    now_ms = await database_now_ms(stores.db)
    before = now_ms - int(stores.settings.blobs.grace_seconds * 1000)
    blobs = await stores.db.all(_DOOMED, before_ms=before)
    plain = await stores.db.all(_PLAIN, before_ms=before)
    folders = await count_deleted_repos(stores.db, before)
    packs = await count_retired_packs(
        stores.db, now_ms - int(stores.settings.git.pack_grace_seconds * 1000)
    )
    if stores.packs_are_blobs:  # their rows stay for nodes that are behind
        packs.pop(True, None)
    found = [_heap(row, GarbageKind.BLOB, DUE, IN_GRACE, row.bytes) for row in blobs]
    found += [_heap(row, GarbageKind.PLAIN, PLAIN_DUE, PLAIN_IN_GRACE, row.bytes) for row in plain]
    sums = [_Sum(due, count, 0) for due, count in folders.items()]
    found += [_heap(row, GarbageKind.FOLDER, FOLDER_DUE, FOLDER_IN_GRACE, 0) for row in sums]
    sums = [_Sum(due, count, 0) for due, count in packs.items()]
    return found + [_heap(row, GarbageKind.PACK, PACK_DUE, PACK_IN_GRACE, 0) for row in sums]


def _heap(row: _Sum, what: GarbageKind, due: str, in_grace: str, size: int) -> GarbageCount:
    when, reason = (GarbageState.NOW, due) if row.due else (GarbageState.LATER, in_grace)
    return GarbageCount(what, when, reason, row.things, size)
