"""Orphans: stored bytes that no row names, left by a crash between storing and registering."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import structlog
from sqlalchemy import bindparam, select

from hubstead.blobs.interface import BlobStore, StoredBlob
from hubstead.blobs.keys import BlobKey, BlobKind
from hubstead.blobs.lifecycle import add_orphan, mark_stored_unreferenced, mark_unneeded
from hubstead.blobs.tables import blobs
from hubstead.db import (
    Database,
    Reader,
    Tx,
    any_of,
    database_now_ms,
    scan,
)

#: How many orphans one call marks; the next call marks the rest.
MOST = 20_000
_PAGE = 1000


class _StoredRow(NamedTuple):
    name: str
    stored: str | None
    reconstructable_ms: int | None


_COLUMNS = (blobs.c.name, blobs.c.stored, blobs.c.reconstructable_ms)
_OF_KIND = blobs.c.kind == bindparam("kind")
_BY_NAME = scan(select(*_COLUMNS).where(_OF_KIND, any_of(blobs.c.name, "names")), _StoredRow)
_BY_PLACE = scan(select(*_COLUMNS).where(_OF_KIND, any_of(blobs.c.stored, "names")), _StoredRow)

_log = structlog.get_logger("hubstead.blobs")


async def mark_orphans(
    db: Database, store: BlobStore, kind: BlobKind, *, older_than_s: float, credible: int = 100
) -> int:
    """Mark stored bytes without a row as unreferenced, so that they are deleted after the grace.

    Every orphan gets an unreferenced row. So `delete_unreferenced` deletes it like any other blob,
    never during a pause, and an upload that registers these very bytes revives them.
    `delete_plain_copies` deletes the unneeded bytes of a reconstructable object.

    If more than ``credible`` blobs have no row, and more than have one, nothing happens: the
    database probably belongs to another store, such as an empty database beside an old store.

    Args:
        db: The database.
        store: Where the bytes are.
        kind: The kind of the blobs.
        older_than_s: The minimum age of an orphan in seconds, longer than any write takes: a
            younger blob may be one whose registration is under way.
        credible: How many orphans may belong to this database, however few blobs it has.

    Returns:
        How many blobs got a row.
    """
    before = await database_now_ms(db) - int(older_than_s * 1000)
    known, orphans = 0, list[StoredBlob]()
    async for page in _pages(store, kind):
        rows = await stored_rows(db, kind, [blob.key.name for blob in page])
        without_bytes = [row.name for row in rows.values() if row.reconstructable_ms == 0]
        if without_bytes:
            await db.write(mark_unneeded, kind, without_bytes)
        known += len(rows)
        old = [blob for blob in page if blob.modified_ms < before]
        orphans += [blob for blob in old if blob.key.name not in rows]
    if len(orphans) > max(credible, known):
        _log.warning("too many blobs without a row: nothing is done", kind=kind, blobs=len(orphans))
        return 0
    await db.write(_mark_unreferenced, kind, orphans[:MOST])
    return len(orphans[:MOST])


async def stored_rows(db: Reader, kind: BlobKind, places: Sequence[str]) -> dict[str, _StoredRow]:
    """Return the rows of the blobs stored under ``places``, by stored name."""
    values = {"kind": kind.value, "names": list(places)}
    own = {row.name: row for row in await db.all(_BY_NAME, **values) if row.stored is None}
    return own | {row.stored: row for row in await db.all(_BY_PLACE, **values) if row.stored}


async def _pages(store: BlobStore, kind: BlobKind) -> AsyncIterator[list[StoredBlob]]:
    page = []
    async for blob in store.keys(kind):
        page.append(blob)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page


async def _mark_unreferenced(tx: Tx, kind: BlobKind, orphans: Sequence[StoredBlob]) -> None:
    unnamed = []
    for blob in orphans:
        # A blob under its digest gets that name: an upload may still register these bytes.
        added = isinstance(blob.key, BlobKey) and await add_orphan(tx, blob.key, blob.size)
        if not added:
            unnamed.append(blob)
    # An upload may have registered these very bytes since the store was listed.
    named = await stored_rows(tx, kind, [blob.key.name for blob in unnamed])
    await mark_stored_unreferenced(
        tx, [(blob.key, blob.size) for blob in unnamed if blob.key.name not in named]
    )
