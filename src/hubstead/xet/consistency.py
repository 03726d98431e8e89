"""Rows of room ``xet`` and rows of blobs that disagree, for ``hubstead doctor`` and its counts."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import and_, func, or_, select

from hubstead.blobs import BlobKind
from hubstead.blobs.tables import DELETING, blobs
from hubstead.db import Reader, scan, total
from hubstead.xet.tables import xet_files, xorbs

_IS_ITS_BLOB = and_(blobs.c.kind == BlobKind.XORB.value, blobs.c.name == xorbs.c.blob)


class InconsistentXorb(NamedTuple):
    """A xorb whose blob does not agree with it."""

    name: str
    bytes: int
    blob_bytes: int | None  # None: the blob has no row
    unreferenced_ms: int | None


_INCONSISTENT_XORBS = scan(
    select(
        xorbs.c.name,
        xorbs.c.bytes,
        blobs.c.bytes.label("blob_bytes"),
        blobs.c.unreferenced_ms,
    )
    .outerjoin_from(xorbs, blobs, _IS_ITS_BLOB)
    .where(
        blobs.c.name.is_(None)
        | (blobs.c.bytes != xorbs.c.bytes)
        | blobs.c.unreferenced_ms.is_not(None)
    )
    .order_by(xorbs.c.name),
    InconsistentXorb,
)
_UNUSED_BLOBS = scan(
    select(blobs.c.name)
    .outerjoin_from(blobs, xorbs, _IS_ITS_BLOB)
    .where(
        blobs.c.kind == BlobKind.XORB.value,
        blobs.c.unreferenced_ms.is_(None),
        xorbs.c.name.is_(None),
    )
    .order_by(blobs.c.name),
    str,
)


class InconsistentObject(NamedTuple):
    """A reconstructable LFS object whose Xet file does not agree with it."""

    name: str
    bytes: int
    file_bytes: int | None  # None: it has no Xet file


_INCONSISTENT_OBJECTS = scan(
    select(blobs.c.name, blobs.c.bytes, xet_files.c.bytes.label("file_bytes"))
    .outerjoin_from(blobs, xet_files, xet_files.c.sha256 == blobs.c.name)
    .where(
        blobs.c.kind == BlobKind.LFS.value,
        blobs.c.reconstructable_ms.is_not(None),
        or_(blobs.c.unreferenced_ms.is_(None), blobs.c.unreferenced_ms != DELETING),
        # Pending deletion under another stored name: bytes that no blob needs.
        or_(blobs.c.unreferenced_ms.is_(None), blobs.c.stored.is_(None)),
        or_(xet_files.c.name.is_(None), xet_files.c.bytes != blobs.c.bytes),
    )
    .distinct()
    .order_by(blobs.c.name),
    InconsistentObject,
)


class FileTotal(NamedTuple):
    """A number of Xet files and their bytes."""

    files: int
    bytes: int


_WITHOUT_OBJECT = scan(
    select(func.count().label("files"), total(xet_files.c.bytes).label("bytes"))
    .outerjoin_from(
        xet_files,
        blobs,
        and_(blobs.c.kind == BlobKind.LFS.value, blobs.c.name == xet_files.c.sha256),
    )
    .where(blobs.c.name.is_(None)),
    FileTotal,
)


async def inconsistent_xorbs(db: Reader) -> list[InconsistentXorb]:
    """Return the xorbs whose blob has no row, another size, or is unreferenced."""
    return await db.all(_INCONSISTENT_XORBS)


async def unused_xorb_blobs(db: Reader) -> list[str]:
    """Return the names of live blobs of xorbs that no xorb has."""
    return await db.all(_UNUSED_BLOBS)


async def inconsistent_objects(db: Reader) -> list[InconsistentObject]:
    """Return the reconstructable LFS objects without a Xet file of their size."""
    return await db.all(_INCONSISTENT_OBJECTS)


async def total_files_without_object(db: Reader) -> FileTotal:
    """Return the Xet files without an LFS object, which no repository can link again."""
    return await db.single(_WITHOUT_OBJECT)
