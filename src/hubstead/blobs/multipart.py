"""Multipart uploads: a client resumes one after an interruption; an abandoned one expires.

Every statement that writes table ``upload``.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

from sqlalchemy import BigInteger, bindparam, delete, select, update

from hubstead.blobs.interface import BlobStore
from hubstead.blobs.keys import BlobKey
from hubstead.blobs.tables import uploads
from hubstead.db import Database, DatabaseNow, Tx, indexed, insert_into, scan

#: How many expired uploads one call drops.
BATCH = 200


class MultipartUpload(NamedTuple):
    """An upload in parts of equal size; the last part may be smaller."""

    id: str
    bytes: int
    part_bytes: int

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return max(1, -(-self.bytes // self.part_bytes))

    def size_of(self, number: int) -> int:
        """Return the size of part ``number`` (from 1) in bytes."""
        return min(self.part_bytes, self.bytes - self.offset_of(number))

    def offset_of(self, number: int) -> int:
        """Return the offset of part ``number`` (from 1) in bytes."""
        return (number - 1) * self.part_bytes


_SELECT_RESUMABLE = indexed(
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
_EXTEND = indexed(
    update(uploads)
    .values(expires_ms=_EXPIRES)
    .where(uploads.c.id == bindparam("which_id"), uploads.c.expires_ms < _EXPIRES)
)
_DELETE = indexed(delete(uploads).where(uploads.c.id == bindparam("which_id")))
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
    """Resume the multipart upload of an object to a repository, or create one.

    Args:
        tx: The transaction that creates it.
        repo_pk: The repository.
        key: The object.
        size: Its bytes.
        part_bytes: The size of the parts of a new upload.
        least_part_bytes: The least part size of an upload to resume.
        lifetime_ms: How long from now it lives at least, in milliseconds.
    """
    resumed = await tx.one(
        _SELECT_RESUMABLE,
        repo_pk=repo_pk,
        name=key.name,
        bytes=size,
        least_part_bytes=least_part_bytes,
    )
    if resumed is not None:
        await tx.run(_EXTEND, which_id=resumed.id, lifetime_ms=lifetime_ms)
        return resumed
    upload = MultipartUpload(secrets.token_hex(12), size, part_bytes)
    await tx.run(
        _ADD,
        id=upload.id,
        repo_pk=repo_pk,
        name=key.name,
        bytes=size,
        part_bytes=part_bytes,
        lifetime_ms=lifetime_ms,
    )
    return upload


async def delete_upload(tx: Tx, upload_id: str) -> None:
    """Delete the row of an upload that is complete."""
    await tx.run(_DELETE, which_id=upload_id)


async def expire_uploads(db: Database, store: BlobStore) -> int:
    """Delete uploads that expired before their completion, with their parts; return how many.

    The row goes first, so that no client resumes an upload whose parts are being deleted. After a
    crash in between, `BlobStore.sweep` removes the parts by age.
    """
    dropped = await db.write(_delete_expired)
    for upload_id in dropped:
        await store.parts.drop(upload_id)
    return len(dropped)


async def _delete_expired(tx: Tx) -> list[str]:
    ids = await tx.all(_EXPIRED)
    return [upload_id for upload_id in ids if await tx.run(_DELETE_EXPIRED, which_id=upload_id)]
