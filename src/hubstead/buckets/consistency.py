"""Faults of buckets, for ``hubstead doctor``: unlinked bytes, and counters that are off."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import and_, func, or_, select

from hubstead.blobs import BlobKind
from hubstead.blobs.tables import repo_blobs
from hubstead.buckets.tables import bucket_objects, buckets
from hubstead.db import Reader, scan, total
from hubstead.ids import RepoId
from hubstead.repos import repo_ids

#: Faults that one run reports at most.
_MOST = 1000


class BucketFault(NamedTuple):
    """A fault of a bucket."""

    bucket: RepoId | None
    what: str


class _Unlinked(NamedTuple):
    repo_pk: int
    path: str


class _Counted(NamedTuple):
    repo_pk: int
    objects: int
    bytes: int
    counted_objects: int
    counted_bytes: int


_UNLINKED = scan(
    select(bucket_objects.c.repo_pk, bucket_objects.c.path)
    .outerjoin_from(
        bucket_objects,
        repo_blobs,
        and_(
            repo_blobs.c.repo_pk == bucket_objects.c.repo_pk,
            repo_blobs.c.kind == BlobKind.LFS.value,
            repo_blobs.c.name == bucket_objects.c.sha256,
            repo_blobs.c.committed == 1,
        ),
    )
    .where(bucket_objects.c.sha256 != "", repo_blobs.c.name.is_(None))
    .order_by(bucket_objects.c.repo_pk, bucket_objects.c.path)
    .limit(_MOST),
    _Unlinked,
)
_TRUE = (
    select(
        bucket_objects.c.repo_pk,
        func.count().label("objects"),
        total(bucket_objects.c.bytes).label("bytes"),
    )
    .group_by(bucket_objects.c.repo_pk)
    .subquery()
)
_OBJECTS, _BYTES = func.coalesce(_TRUE.c.objects, 0), func.coalesce(_TRUE.c.bytes, 0)
_MISCOUNTED = scan(
    select(
        buckets.c.repo_pk,
        _OBJECTS.label("objects"),
        _BYTES.label("bytes"),
        buckets.c.objects.label("counted_objects"),
        buckets.c.bytes.label("counted_bytes"),
    )
    .outerjoin_from(buckets, _TRUE, _TRUE.c.repo_pk == buckets.c.repo_pk)
    .where(or_(buckets.c.objects != _OBJECTS, buckets.c.bytes != _BYTES))
    .limit(_MOST),
    _Counted,
)


async def bucket_faults(db: Reader) -> list[BucketFault]:
    """Return the objects whose bytes their bucket does not link, and the wrong counters."""
    unlinked, counted = await db.all(_UNLINKED), await db.all(_MISCOUNTED)
    names = await repo_ids(db, [row.repo_pk for row in unlinked] + [row.repo_pk for row in counted])
    faults = [
        BucketFault(names.get(row.repo_pk), f"{row.path}: its bytes are not linked to the bucket")
        for row in unlinked
    ]
    return faults + [
        BucketFault(
            names.get(row.repo_pk),
            f"it has {row.objects} objects of {row.bytes} bytes, but its counters say "
            f"{row.counted_objects} of {row.counted_bytes}",
        )
        for row in counted
    ]
