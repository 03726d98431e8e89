"""Deletes unreferenced files and xorbs.

A file is deleted after its LFS object. A xorb that no file uses waits until no client can rely on
it (`expiry.unknown_since`), and then in quarantine, which any use ends. After that its row is
deleted and its blob is unreferenced, which room ``blobs`` deletes after its own grace period.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import and_, bindparam, delete, or_, select, update

from hubstead import blobs
from hubstead.blobs import BlobKey, BlobKind
from hubstead.blobs.tables import blobs as blobs_table
from hubstead.db import Database, DatabaseNow, Tx, any_of, database_now_ms, scan
from hubstead.settings import BlobSettings, XetSettings
from hubstead.xet.expiry import outlived_since, unknown_since
from hubstead.xet.tables import xet_file_xorbs, xet_files, xorbs

_PAGE = 500

_has_object = (
    select(blobs_table.c.name)
    .where(blobs_table.c.kind == BlobKind.LFS.value, blobs_table.c.name == xet_files.c.sha256)
    .exists()
)
_is_used = select(xet_file_xorbs.c.file_pk).where(xet_file_xorbs.c.xorb_pk == xorbs.c.pk).exists()

_FILE_IS_UNREFERENCED = (~_has_object, xet_files.c.touched_ms < bindparam("before_ms"))
_UNREFERENCED_FILES = scan(select(xet_files.c.pk).where(*_FILE_IS_UNREFERENCED).limit(_PAGE), int)
# Changes repeat the condition, because a row may be in use again since it was selected.
_DELETE_FILES = scan(delete(xet_files).where(any_of(xet_files.c.pk, "pks"), *_FILE_IS_UNREFERENCED))

_XORB_IS_UNREFERENCED = (
    xorbs.c.quarantined_ms.is_(None),
    xorbs.c.touched_ms < bindparam("before_ms"),
    ~_is_used,
)
_UNREFERENCED_XORBS = scan(select(xorbs.c.pk).where(*_XORB_IS_UNREFERENCED).limit(_PAGE), int)
_QUARANTINE = scan(
    update(xorbs)
    .values(quarantined_ms=DatabaseNow())
    .where(any_of(xorbs.c.pk, "pks"), *_XORB_IS_UNREFERENCED)
)
_QUARANTINE_IS_OVER = (
    or_(
        xorbs.c.quarantined_ms < bindparam("before_ms"),
        and_(xorbs.c.quarantined_ms.is_not(None), xorbs.c.touched_ms < bindparam("outlived_ms")),
    ),
    ~_is_used,
)
_EXPIRED_XORBS = scan(select(xorbs.c.pk).where(*_QUARANTINE_IS_OVER).limit(_PAGE), int)
_DELETE_XORBS = scan(
    delete(xorbs).where(any_of(xorbs.c.pk, "pks"), *_QUARANTINE_IS_OVER).returning(xorbs.c.blob),
    str,
)


async def delete_unreferenced_files(db: Database, settings: XetSettings) -> int:
    """Delete up to 500 files whose LFS objects are gone; return how many.

    A file stays for ``xet_file_seconds`` after its last registration.
    """
    before = await database_now_ms(db) - int(settings.file_seconds * 1000)
    pks = await db.all(_UNREFERENCED_FILES, before_ms=before)
    return await db.execute(_DELETE_FILES, pks=pks, before_ms=before) if pks else 0


async def quarantine_xorbs(db: Database, settings: XetSettings, blob_settings: BlobSettings) -> int:
    """Quarantine up to 500 xorbs that no file uses and no client knows; return how many."""
    before = await unknown_since(db, settings, blob_settings)
    pks = await db.all(_UNREFERENCED_XORBS, before_ms=before)
    return await db.execute(_QUARANTINE, pks=pks, before_ms=before) if pks else 0


async def release_xorbs(db: Database, settings: XetSettings, blob_settings: BlobSettings) -> int:
    """Delete up to 500 xorbs whose quarantine is over; return how many."""
    when = {
        "before_ms": await database_now_ms(db) - int(settings.quarantine_seconds * 1000),
        "outlived_ms": await outlived_since(db, settings, blob_settings),
    }
    pks = await db.all(_EXPIRED_XORBS, **when)
    return await db.write(_release, pks, when) if pks else 0


async def _release(tx: Tx, pks: Sequence[int], when: Mapping[str, int]) -> int:
    deleted = await tx.all(_DELETE_XORBS, pks=pks, **when)
    await blobs.mark_unreferenced(tx, [BlobKey(BlobKind.XORB, name) for name in deleted])
    return len(deleted)
