"""Bytes in the store that no row names: left by a crash between storing and registering."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import structlog
from sqlalchemy import bindparam, select, update

from hubstead.blobs.interface import BlobStore, StoredBlob
from hubstead.blobs.keys import BlobKey, BlobKind
from hubstead.blobs.stored_names import mark_stored_unreferenced
from hubstead.blobs.tables import blobs
from hubstead.db import (
    Database,
    DatabaseNow,
    Reader,
    Tx,
    any_of,
    database_now_ms,
    indexed,
    insert_into,
    scan,
)

#: More strays than this, and than blobs that are known, are somebody else's: nobody touches them.
MANY = 100
#: How many one sweep takes up; what is left is the next one's.
MOST = 20_000
_PAGE = 1000


class _StoredRow(NamedTuple):
    name: str
    stored: str | None
    folded_ms: int | None


_COLUMNS = (blobs.c.name, blobs.c.stored, blobs.c.folded_ms)
_OF_KIND = blobs.c.kind == bindparam("kind")
_BY_NAME = scan(select(*_COLUMNS).where(_OF_KIND, any_of(blobs.c.name, "names")), _StoredRow)
_BY_PLACE = scan(select(*_COLUMNS).where(_OF_KIND, any_of(blobs.c.stored, "names")), _StoredRow)
_ADD_DOOMED = indexed(
    insert_into(blobs, "kind", "name", "bytes")
    .values(created_ms=DatabaseNow(), doomed_ms=DatabaseNow())
    .on_conflict_do_nothing()
)
_NOT_NEEDED = scan(
    update(blobs)
    .values(folded_ms=DatabaseNow())
    .where(blobs.c.kind == bindparam("kind"), blobs.c.folded_ms == 0, any_of(blobs.c.name, "names"))
)

_log = structlog.get_logger("hubstead.blobs")


async def mark_orphans(
    db: Database, store: BlobStore, kind: BlobKind, *, older_than_s: float
) -> int:
    """Have deleted, after the grace period, what the store has of a kind without a row.

    Each gets a row, doomed from now on. So it goes as any other blob does, never during a pause,
    and a writer who comes to register these very bytes revives them. Bytes that a folded object
    does not need are left to `delete_plain_copies`.

    If more than `MANY` have no row, and more than have one, nothing happens: then this is rather
    the wrong database for the store, an empty one beside an old store, say.

    Args:
        db: The database.
        store: Where the bytes are.
        kind: Which blobs to look at.
        older_than_s: Only what was stored longer ago than so many seconds; a write under way is
            the sooner found the shorter this is.

    Returns:
        How many blobs got a row.
    """
    before = await database_now_ms(db) - int(older_than_s * 1000)
    known, strays = 0, list[StoredBlob]()
    async for page in _pages(store, kind):
        rows = await stored_rows(db, kind, [each.key.name for each in page])
        await _note_unneeded(db, kind, [row.name for row in rows.values() if row.folded_ms == 0])
        known += len(rows)
        old = [each for each in page if each.modified_ms < before]
        strays += [each for each in old if each.key.name not in rows]
    if len(strays) > max(MANY, known):
        _log.warning("too many blobs without a row: nothing is done", kind=kind, blobs=len(strays))
        return 0
    await db.write(lambda tx: _doom(tx, strays[:MOST]))
    return len(strays[:MOST])


async def stored_rows(db: Reader, kind: BlobKind, places: Sequence[str]) -> dict[str, _StoredRow]:
    """Return (name, stored, folded_ms) of the blobs that lie at ``places``, by place."""
    which = {"kind": kind.value, "names": list(places)}
    own = {row.name: row for row in await db.all(_BY_NAME, **which) if row.stored is None}
    return own | {row.stored: row for row in await db.all(_BY_PLACE, **which) if row.stored}


async def _pages(store: BlobStore, kind: BlobKind) -> AsyncIterator[list[StoredBlob]]:
    page = []
    async for each in store.keys(kind):
        page.append(each)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page


async def _note_unneeded(db: Database, kind: BlobKind, names: Sequence[str]) -> None:
    async def note(tx: Tx) -> None:
        await tx.run(_NOT_NEEDED, kind=kind.value, names=list(names))

    if names:
        await db.write(note)


async def _doom(tx: Tx, strays: Sequence[StoredBlob]) -> None:
    elsewhere = []
    for each in strays:
        # Under its own name, if that is a digest: a writer may come to register these bytes.
        added = isinstance(each.key, BlobKey) and await tx.run(
            _ADD_DOOMED,
            kind=each.key.kind.value,
            name=each.key.name,
            bytes=each.size,
        )
        if not added:
            elsewhere.append((each.key, each.size))
    await mark_stored_unreferenced(tx, elsewhere)
