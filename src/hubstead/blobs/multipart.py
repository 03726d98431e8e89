"""Uploads in parts under way: found again when a client comes back, forgotten when none does."""

from __future__ import annotations

import secrets
from typing import NamedTuple

from sqlalchemy import BigInteger, bindparam, delete, select, update

from hubstead.blobs.interface import BlobStore
from hubstead.blobs.keys import BlobKey
from hubstead.blobs.tables import uploads
from hubstead.db import Database, DatabaseNow, Tx, indexed, insert_into, scan

#: How many expired uploads are dropped at a time.
BATCH = 200


class MultipartUpload(NamedTuple):
    """An upload in parts of equal size, the last one perhaps smaller."""

    id: str
    bytes: int
    part_bytes: int

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return max(1, -(-self.bytes // self.part_bytes))

    def size_of(self, number: int) -> int:
        """Return how many bytes part ``number`` (from 1) has."""
        return min(self.part_bytes, self.bytes - self.offset_of(number))

    def offset_of(self, number: int) -> int:
        """Return at which byte part ``number`` (from 1) starts."""
        return (number - 1) * self.part_bytes


_FIND = indexed(
    select(uploads.c.id, uploads.c.bytes, uploads.c.part_bytes)
    .where(
        uploads.c.repo_pk == bindparam("repo_pk"),
        uploads.c.name == bindparam("name"),
        uploads.c.bytes == bindparam("bytes"),
        uploads.c.part_bytes >= bindparam("least_part_bytes"),
        uploads.c.expires_ms > DatabaseNow(),
    )
    .order_by(uploads.c.pk)
    .limit(1),
    MultipartUpload,
)
_EXPIRES = DatabaseNow() + bindparam("lifetime_ms", type_=BigInteger)
_ADD = indexed(
    insert_into(uploads, "id", "repo_pk", "name", "bytes", "part_bytes").values(
        created_ms=DatabaseNow(), expires_ms=_EXPIRES
    )
)
_PROLONG = indexed(
    update(uploads)
    .values(expires_ms=_EXPIRES)
    .where(uploads.c.id == bindparam("which_id"), uploads.c.expires_ms < _EXPIRES)
)
_EXPIRED = scan(select(uploads.c.id).where(uploads.c.expires_ms <= DatabaseNow()).limit(BATCH), str)
_DELETE_EXPIRED = indexed(
    delete(uploads).where(
        uploads.c.id == bindparam("which_id"), uploads.c.expires_ms <= DatabaseNow()
    )
)


async def begin_upload(
    tx: Tx,
    repo_pk: int,
    key: BlobKey,
    size: int,
    *,
    part_bytes: int,
    least_part_bytes: int,
    lifetime_ms: int,
) -> MultipartUpload:
    """Return the upload in parts of an object to a repository: the one under way, or a new one.

    Args:
        tx: The transaction that makes it.
        repo_pk: The repository.
        key: The object.
        size: Its bytes.
        part_bytes: The size of the parts of a new upload.
        least_part_bytes: One under way is taken up only if its parts are no smaller.
        lifetime_ms: How long it is kept at least, in milliseconds.
    """
    under_way = await tx.one(
        _FIND,
        repo_pk=repo_pk,
        name=key.name,
        bytes=size,
        least_part_bytes=least_part_bytes,
    )
    if under_way is not None:
        await tx.run(_PROLONG, which_id=under_way.id, lifetime_ms=lifetime_ms)
        return under_way
    made = MultipartUpload(secrets.token_hex(12), size, part_bytes)
    await tx.run(
        _ADD,
        id=made.id,
        repo_pk=repo_pk,
        name=key.name,
        bytes=size,
        part_bytes=part_bytes,
        lifetime_ms=lifetime_ms,
    )
    return made


async def expire_uploads(db: Database, store: BlobStore) -> int:
    """Forget uploads that nobody completed in time, with their parts; return how many.

    The row goes first, so that nobody takes up an upload whose parts are going; parts that a
    crash leaves without a row are swept by age.
    """

    async def forget(tx: Tx) -> list[str]:
        ids = await tx.all(_EXPIRED)
        return [each for each in ids if await tx.run(_DELETE_EXPIRED, which_id=each)]

    dropped = await db.write(forget)
    for upload_id in dropped:
        await store.drop(upload_id)
    return len(dropped)
