"""Objects of a bucket by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select

from hubstead.buckets.tables import bucket_objects
from hubstead.db import Reader, any_of, indexed, scan

#: Names that one statement reads.
_BATCH = 1000


class BucketObject(NamedTuple):
    """An object of a bucket."""

    path: str
    file: str  # the hash of its Xet file
    sha256: str  # of its bytes; empty without bytes
    bytes: int
    mtime_ms: int | None
    mtime_nanos: int | None
    content_type: str | None
    uploaded_ms: int


OBJECT_COLUMNS = tuple(bucket_objects.c[name] for name in BucketObject._fields)
IN_BUCKET = bucket_objects.c.repo_pk == bindparam("bucket_pk")
_ONE = indexed(
    select(*OBJECT_COLUMNS).where(IN_BUCKET, bucket_objects.c.path == bindparam("which_path")),
    BucketObject,
)
_MANY = scan(
    select(*OBJECT_COLUMNS).where(IN_BUCKET, any_of(bucket_objects.c.path, "paths")), BucketObject
)


async def find_object(db: Reader, bucket_pk: int, path: str) -> BucketObject | None:
    """Return an object of a bucket by its name, or None."""
    return await db.one(_ONE, bucket_pk=bucket_pk, which_path=path)


async def find_objects(db: Reader, bucket_pk: int, paths: Sequence[str]) -> dict[str, BucketObject]:
    """Return those of the objects that a bucket has, by name."""
    objects: dict[str, BucketObject] = {}
    for start in range(0, len(paths), _BATCH):
        batch = list(paths[start : start + _BATCH])
        rows = await db.all(_MANY, bucket_pk=bucket_pk, paths=batch)
        objects |= {row.path: row for row in rows}
    return objects
