"""Bytes in the store that no row of the database names."""

from __future__ import annotations

from collections.abc import AsyncIterator

from hubstead.blobs import BlobKind, StoredBlob, stored_rows
from hubstead.commits import Storage
from hubstead.db import database_now_ms
from hubstead.garbage.counts import GarbageCount, GarbageKind, GarbageState

#: Younger ones may be of a write under way (as the job that dooms them has it).
OLD_MS = 86_400_000
NO_ROW = "a write was cut off"
MAY_BE_ONE = "a write may be under way"
_PAGE = 1000


async def count_orphans(stores: Storage) -> list[GarbageCount]:
    """Count what lies in the store without a row; lists the whole store."""
    limit = await database_now_ms(stores.db) - OLD_MS
    old: list[int] = []
    young: list[int] = []
    for kind in BlobKind:
        async for each in _without_row(stores, kind):
            (old if each.modified_ms < limit else young).append(each.size)
    heaps = [
        GarbageCount(GarbageKind.STRAY, GarbageState.NOW, NO_ROW, len(old), sum(old)),
        GarbageCount(GarbageKind.STRAY, GarbageState.LATER, MAY_BE_ONE, len(young), sum(young)),
    ]
    return [heap for heap in heaps if heap.things]


async def _without_row(stores: Storage, kind: BlobKind) -> AsyncIterator[StoredBlob]:
    page: dict[str, StoredBlob] = {}
    async for each in stores.blobs.keys(kind):
        page[each.key.name] = each
        if len(page) == _PAGE:
            for stray in await _unknown(stores, kind, page):
                yield stray
            page = {}
    for stray in await _unknown(stores, kind, page):
        yield stray


async def _unknown(
    stores: Storage, kind: BlobKind, page: dict[str, StoredBlob]
) -> list[StoredBlob]:
    if not page:
        return []
    known = await stored_rows(stores.db, kind, list(page))
    return [each for name, each in page.items() if name not in known]
