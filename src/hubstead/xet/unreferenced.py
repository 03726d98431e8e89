"""The end of files and xorbs that nothing needs any more.

A file goes when its LFS object has gone. A xorb that no file needs waits until no client believes
in it (`trust.unknown_since`), then in quarantine, where any use takes it up again, and then its row
goes and its bytes are given up to room ``blobs``, which keeps them for its own grace period.
"""

from __future__ import annotations

from sqlalchemy import and_, bindparam, delete, or_, select, update

from hubstead import blobs
from hubstead.blobs import BlobKey, BlobKind
from hubstead.blobs.tables import blobs as blobs_table
from hubstead.db import Database, DatabaseNow, Tx, any_of, database_now_ms, scan
from hubstead.settings import Settings
from hubstead.xet.expiry import outlived_since, unknown_since
from hubstead.xet.tables import xet_file_xorbs, xet_files, xorbs

_PAGE = 500
#: A file that was just registered is left alone, whatever became of its object.
FORGET_AFTER_MS = 3_600_000

_has_object = (
    select(blobs_table.c.name)
    .where(blobs_table.c.kind == BlobKind.LFS.value, blobs_table.c.name == xet_files.c.sha256)
    .exists()
)
_is_needed = select(xet_file_xorbs.c.file_pk).where(xet_file_xorbs.c.xorb_pk == xorbs.c.pk).exists()

_FORGOTTEN = (~_has_object, xet_files.c.touched_ms < bindparam("before_ms"))
_FORGOTTEN_FILES = scan(select(xet_files.c.pk).where(*_FORGOTTEN).limit(_PAGE), int)
# Each change asks again, of the row itself: it may have been taken up since it was looked for.
_FORGET = scan(delete(xet_files).where(any_of(xet_files.c.pk, "pks"), *_FORGOTTEN))

_UNNEEDED = (
    xorbs.c.doomed_ms.is_(None),
    xorbs.c.touched_ms < bindparam("before_ms"),
    ~_is_needed,
)
_UNNEEDED_XORBS = scan(select(xorbs.c.pk).where(*_UNNEEDED).limit(_PAGE), int)
_DOOM = scan(
    update(xorbs).values(doomed_ms=DatabaseNow()).where(any_of(xorbs.c.pk, "pks"), *_UNNEEDED)
)
_OVER = (
    or_(
        xorbs.c.doomed_ms < bindparam("before_ms"),
        and_(xorbs.c.doomed_ms.is_not(None), xorbs.c.touched_ms < bindparam("outlived_ms")),
    ),
    ~_is_needed,
)
_OVER_XORBS = scan(select(xorbs.c.pk).where(*_OVER).limit(_PAGE), int)
_DELETE = scan(delete(xorbs).where(any_of(xorbs.c.pk, "pks"), *_OVER).returning(xorbs.c.blob), str)


async def delete_unreferenced_files(db: Database) -> int:
    """Forget up to 500 files whose LFS objects are gone; return how many."""
    before = await database_now_ms(db) - FORGET_AFTER_MS
    pks = await db.all(_FORGOTTEN_FILES, before_ms=before)

    async def forget(tx: Tx) -> int:
        return await tx.run(_FORGET, pks=pks, before_ms=before)

    return await db.write(forget) if pks else 0


async def quarantine_xorbs(db: Database, settings: Settings) -> int:
    """Put up to 500 xorbs that nobody needs or believes in into quarantine; return how many."""
    before = await unknown_since(db, settings)
    pks = await db.all(_UNNEEDED_XORBS, before_ms=before)

    async def doom(tx: Tx) -> int:
        return await tx.run(_DOOM, pks=pks, before_ms=before)

    return await db.write(doom) if pks else 0


async def release_xorbs(db: Database, settings: Settings) -> int:
    """Give up to 500 xorbs up whose quarantine is over; return how many."""
    when: dict[str, object] = {
        "before_ms": await database_now_ms(db) - int(settings.xet.quarantine_seconds * 1000),
        "outlived_ms": await outlived_since(db, settings),
    }
    pks = await db.all(_OVER_XORBS, **when)

    async def retire(tx: Tx) -> int:
        gone = await tx.all(_DELETE, pks=pks, **when)
        await blobs.mark_unreferenced(tx, [BlobKey(BlobKind.XORB, name) for name in gone])
        return len(gone)

    return await db.write(retire) if pks else 0
