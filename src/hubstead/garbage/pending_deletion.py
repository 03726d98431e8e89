"""Counts bytes pending deletion: unreferenced blobs, plain copies, retired packs and folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from hubstead.blobs import DeletionTotal, total_plain_copies, total_unreferenced
from hubstead.commits import Storage, count_deleted_repos, count_retired_packs
from hubstead.db import database_now_ms
from hubstead.garbage.counts import GarbageCount, GarbageKind, GarbageState

DUE = "no repository links it"
IN_GRACE = "no repository links it, within blob_grace_seconds"
PLAIN_DUE = "it is reconstructable from chunks"
PLAIN_IN_GRACE = "it is reconstructable from chunks, within blob_grace_seconds"
FOLDER_DUE = "the repository was deleted"
PACK_DUE = "its objects are in another pack or unreachable"
PACK_IN_GRACE = f"{PACK_DUE}, within pack_grace_seconds"
FOLDER_IN_GRACE = "the repository was deleted, within blob_grace_seconds"


async def count_pending_deletion(storage: Storage) -> list[GarbageCount]:
    """Count blobs, packs and folders pending deletion, within and after their grace periods."""
    now_ms = await database_now_ms(storage.db)
    before = now_ms - int(storage.settings.blobs.grace_seconds * 1000)
    blobs = await total_unreferenced(storage.db, before)
    plain = await total_plain_copies(storage.db, before)
    folders = await count_deleted_repos(storage.db, before)
    packs = await count_retired_packs(
        storage.db, now_ms - int(storage.settings.git.pack_grace_seconds * 1000)
    )
    if storage.packs_are_blobs:  # rows remain for nodes with stale caches
        packs.pop(True, None)
    totals = [
        *((GarbageKind.BLOB, DUE, IN_GRACE, total) for total in blobs),
        *((GarbageKind.PLAIN, PLAIN_DUE, PLAIN_IN_GRACE, total) for total in plain),
        *_without_bytes(GarbageKind.FOLDER, FOLDER_DUE, FOLDER_IN_GRACE, folders),
        *_without_bytes(GarbageKind.PACK, PACK_DUE, PACK_IN_GRACE, packs),
    ]
    return [_count(*total) for total in totals]


_Total: TypeAlias = tuple[GarbageKind, str, str, DeletionTotal]


def _without_bytes(
    what: GarbageKind, due: str, in_grace: str, numbers: Mapping[bool, int]
) -> Iterator[_Total]:
    for is_due, number in numbers.items():
        yield what, due, in_grace, DeletionTotal(is_due, number, 0)


def _count(what: GarbageKind, due: str, in_grace: str, total: DeletionTotal) -> GarbageCount:
    when, reason = (GarbageState.NOW, due) if total.due else (GarbageState.LATER, in_grace)
    return GarbageCount(what, when, reason, total.objects, total.bytes)
