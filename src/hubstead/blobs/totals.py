"""Numbers of blobs, holds and uploads, and their bytes, by what becomes of them."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import and_, bindparam, func, select

from hubstead.blobs.tables import blobs, holds, repo_blobs, uploads
from hubstead.db import DatabaseNow, Reader, scan, total


class DeletionTotal(NamedTuple):
    """Blobs before or after the end of their grace period."""

    due: bool  # the grace period is over
    objects: int
    bytes: int


# A reconstructable object has no bytes of its own.
_UNREFERENCED = scan(
    select(
        (blobs.c.unreferenced_ms < bindparam("before_ms")).label("due"),
        func.count().label("objects"),
        total(blobs.c.bytes, where=blobs.c.reconstructable_ms.is_(None)).label("bytes"),
    )
    .where(blobs.c.unreferenced_ms.is_not(None))
    .group_by(blobs.c.unreferenced_ms < bindparam("before_ms")),
    DeletionTotal,
)
_PLAIN_COPIES = scan(
    select(
        (blobs.c.reconstructable_ms < bindparam("before_ms")).label("due"),
        func.count().label("objects"),
        total(blobs.c.bytes).label("bytes"),
    )
    .where(blobs.c.reconstructable_ms > 0, blobs.c.unreferenced_ms.is_(None))
    .group_by(blobs.c.reconstructable_ms < bindparam("before_ms")),
    DeletionTotal,
)


class UploadTotal(NamedTuple):
    """Uploads to one repository, before or after their time limit."""

    repo_pk: int
    expired: bool
    objects: int
    bytes: int


_HOLDS = scan(
    select(
        holds.c.repo_pk,
        (holds.c.until_ms < DatabaseNow()).label("expired"),
        func.count().label("objects"),
        total(repo_blobs.c.bytes).label("bytes"),
    )
    .join_from(
        holds,
        repo_blobs,
        and_(
            repo_blobs.c.repo_pk == holds.c.repo_pk,
            repo_blobs.c.kind == holds.c.kind,
            repo_blobs.c.name == holds.c.name,
            repo_blobs.c.committed == 0,
        ),
    )
    .group_by(holds.c.repo_pk, holds.c.until_ms < DatabaseNow()),
    UploadTotal,
)
_UPLOADS = scan(
    select(
        uploads.c.repo_pk,
        (uploads.c.expires_ms <= DatabaseNow()).label("expired"),
        func.count().label("objects"),
        total(uploads.c.bytes).label("bytes"),
    ).group_by(uploads.c.repo_pk, uploads.c.expires_ms <= DatabaseNow()),
    UploadTotal,
)


async def total_unreferenced(db: Reader, before_ms: int) -> list[DeletionTotal]:
    """Return the unreferenced blobs; those unreferenced since before ``before_ms`` are due."""
    return await db.all(_UNREFERENCED, before_ms=before_ms)


async def total_plain_copies(db: Reader, before_ms: int) -> list[DeletionTotal]:
    """Return the live blobs with unneeded bytes; those unneeded since ``before_ms`` are due."""
    return await db.all(_PLAIN_COPIES, before_ms=before_ms)


async def total_holds(db: Reader) -> list[UploadTotal]:
    """Return the uploaded blobs that wait for a commit, by repository."""
    return await db.all(_HOLDS)


async def total_uploads(db: Reader) -> list[UploadTotal]:
    """Return the multipart uploads that wait for their completion, by repository."""
    return await db.all(_UPLOADS)
