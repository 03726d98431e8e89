"""Counts orphans: bytes in the store without a row in the database."""

from __future__ import annotations

from collections.abc import AsyncIterator

from hubstead.blobs import BlobKind, StoredBlob, stored_rows
from hubstead.commits import Storage
from hubstead.db import database_now_ms
from hubstead.garbage.counts import GarbageCount, GarbageKind, GarbageState

#: Younger bytes may belong to a write in progress. The job that deletes orphans has the same age.
OLD_MS = 86_400_000
INTERRUPTED = "a write was interrupted"
IN_PROGRESS = "a write may be in progress"


async def count_orphans(storage: Storage, *, page_size: int = 1000) -> list[GarbageCount]:
    """Count orphans. Lists the whole store, and looks up ``page_size`` names per query."""
    limit = await database_now_ms(storage.db) - OLD_MS
    old: list[int] = []
    young: list[int] = []
    for kind in BlobKind:
        async for blob in _without_row(storage, kind, page_size):
            (old if blob.modified_ms < limit else young).append(blob.size)
    counts = [
        GarbageCount(GarbageKind.ORPHAN, GarbageState.NOW, INTERRUPTED, len(old), sum(old)),
        GarbageCount(GarbageKind.ORPHAN, GarbageState.LATER, IN_PROGRESS, len(young), sum(young)),
    ]
    return [count for count in counts if count.things]


async def _without_row(
    storage: Storage, kind: BlobKind, page_size: int
) -> AsyncIterator[StoredBlob]:
    page: dict[str, StoredBlob] = {}
    async for blob in storage.blobs.keys(kind):
        page[blob.key.name] = blob
        if len(page) == page_size:
            for orphan in await _orphans_of(storage, kind, page):
                yield orphan
            page = {}
    for orphan in await _orphans_of(storage, kind, page):
        yield orphan


async def _orphans_of(
    storage: Storage, kind: BlobKind, page: dict[str, StoredBlob]
) -> list[StoredBlob]:
    if not page:
        return []
    known = await stored_rows(storage.db, kind, list(page))
    return [blob for name, blob in page.items() if name not in known]
