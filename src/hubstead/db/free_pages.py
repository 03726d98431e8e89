"""Gives free pages of an SQLite file back to the disk; PostgreSQL vacuums by itself."""

from __future__ import annotations

from sqlalchemy import column, text

from hubstead.db.interface import Database, Tx
from hubstead.db.statements import indexed

#: Pages that are released in one transaction, so that writers do not wait.
PAGES = 1000
#: Free pages that stay, since the next rows need them: this many, or one of so many pages.
SPARE_PAGES, SPARE_PART = 1000, 20

_FREE = indexed(text("PRAGMA freelist_count").columns(column("pages")), int)
_ALL = indexed(text("PRAGMA page_count").columns(column("pages")), int)
_RELEASE = indexed(text(f"PRAGMA incremental_vacuum({PAGES})").columns(column("nothing")), int)


async def release_pages(db: Database, *, spare_pages: int = SPARE_PAGES) -> int:
    """Release the free pages of an SQLite file, but for a reserve, and return their number.

    A file that an earlier release created keeps its free pages until ``VACUUM`` rewrites it.
    """
    if db.dialect_name != "sqlite":
        return 0
    released = 0
    while True:
        free = await db.single(_FREE)
        reserve = max(spare_pages, await db.single(_ALL) // SPARE_PART)
        if free < reserve + PAGES:
            return released
        await db.write(_release)
        now_free = await db.single(_FREE)
        if now_free >= free:
            return released
        released += free - now_free


async def _release(tx: Tx) -> None:
    await tx.all(_RELEASE)
