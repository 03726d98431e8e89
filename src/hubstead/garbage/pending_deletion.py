"""Counts bytes pending deletion: unreferenced blobs, plain copies, retired packs and folders."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from hubstead.blobs.tables import blobs
from hubstead.commits import Storage, count_deleted_repos, count_retired_packs
from hubstead.db import database_now_ms, scan, total
from hubstead.garbage.counts import GarbageCount, GarbageKind, GarbageState

DUE = "no repository links it"
IN_GRACE = "no repository links it, within blob_grace_seconds"
PLAIN_DUE = "it is reconstructable from chunks"
PLAIN_IN_GRACE = "it is reconstructable from chunks, within blob_grace_seconds"
FOLDER_DUE = "the repository was deleted"
PACK_DUE = "its objects are in another pack or unreachable"
PACK_IN_GRACE = f"{PACK_DUE}, within pack_grace_seconds"
FOLDER_IN_GRACE = "the repository was deleted, within blob_grace_seconds"


class _Sum(NamedTuple):
    due: bool
    things: int
    bytes: int


# A reconstructable object has no bytes of its own; its chunks are counted as xorbs.
_UNREFERENCED = scan(
    select(
        (blobs.c.unreferenced_ms < bindparam("before_ms")).label("due"),
        func.count().label("things"),
        total(blobs.c.bytes, where=blobs.c.reconstructable_ms.is_(None)).label("bytes"),
    )
    .where(blobs.c.unreferenced_ms.is_not(None))
    .group_by(blobs.c.unreferenced_ms < bindparam("before_ms")),
    _Sum,
)
_PLAIN = scan(
    select(
        (blobs.c.reconstructable_ms < bindparam("before_ms")).label("due"),
        func.count().label("things"),
        total(blobs.c.bytes).label("bytes"),
    )
    .where(blobs.c.reconstructable_ms > 0, blobs.c.unreferenced_ms.is_(None))
    .group_by(blobs.c.reconstructable_ms < bindparam("before_ms")),
    _Sum,
)


async def count_pending_deletion(storage: Storage) -> list[GarbageCount]:
    """Count blobs, packs and folders pending deletion, within and after their grace periods."""
    now_ms = await database_now_ms(storage.db)
    before = now_ms - int(storage.settings.blobs.grace_seconds * 1000)
    blobs = await storage.db.all(_UNREFERENCED, before_ms=before)
    plain = await storage.db.all(_PLAIN, before_ms=before)
    folders = await count_deleted_repos(storage.db, before)
    packs = await count_retired_packs(
        storage.db, now_ms - int(storage.settings.git.pack_grace_seconds * 1000)
    )
    if storage.packs_are_blobs:  # rows remain for nodes with stale caches
        packs.pop(True, None)
    counts = [_count(row, GarbageKind.BLOB, DUE, IN_GRACE, row.bytes) for row in blobs]
    counts += [
        _count(row, GarbageKind.PLAIN, PLAIN_DUE, PLAIN_IN_GRACE, row.bytes) for row in plain
    ]
    sums = [_Sum(due, count, 0) for due, count in folders.items()]
    counts += [_count(row, GarbageKind.FOLDER, FOLDER_DUE, FOLDER_IN_GRACE, 0) for row in sums]
    sums = [_Sum(due, count, 0) for due, count in packs.items()]
    return counts + [_count(row, GarbageKind.PACK, PACK_DUE, PACK_IN_GRACE, 0) for row in sums]


def _count(row: _Sum, what: GarbageKind, due: str, in_grace: str, size: int) -> GarbageCount:
    when, reason = (GarbageState.NOW, due) if row.due else (GarbageState.LATER, in_grace)
    return GarbageCount(what, when, reason, row.things, size)
