"""Deletion of unreferenced blobs after their grace period, never during a pause."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, not_, select

from hubstead.blobs.interface import BlobStore
from hubstead.blobs.keys import BlobKey, BlobKind, stored_key
from hubstead.blobs.lifecycle import IS_LINKED, delete_deleting, mark_deleting
from hubstead.blobs.pauses import may_delete_blobs
from hubstead.blobs.tables import blobs
from hubstead.db import Database, Tx, database_now_ms, scan

#: How many blobs one call deletes, and how many seconds it may take: a job's lease ends after
#: thirty.
BATCH = 200
PATIENCE_S = 20.0


class _Blob(NamedTuple):
    kind: str
    name: str
    stored: str | None

    @property
    def key(self) -> BlobKey:
        return BlobKey(BlobKind(self.kind), self.name)


_EXPIRED = (
    select(blobs.c.kind, blobs.c.name, blobs.c.stored)
    .where(blobs.c.unreferenced_ms < bindparam("before_ms"), not_(IS_LINKED))
    .limit(BATCH)
    .with_for_update(skip_locked=True)
)
_SELECT_EXPIRED = scan(_EXPIRED, _Blob)
_SELECT_EXPIRED_KIND = scan(_EXPIRED.where(blobs.c.kind == bindparam("which_kind")), _Blob)


async def delete_unreferenced(
    db: Database,
    store: BlobStore,
    *,
    grace_ms: int,
    kind: BlobKind | None = None,
    seconds: float = PATIENCE_S,
) -> int:
    """Delete blobs (of one kind) unreferenced for ``grace_ms``, unless paused; return how many.

    A call that finds some deletes at least one, and begins no other after ``seconds``.

    This marks the row as deleting, deletes the bytes, then deletes the row. The next call resumes
    after a crash, and no repository can link a blob whose bytes may be gone. A delayed request to
    the store destroys nothing: a new upload of the blob has another stored name.
    """
    before = await database_now_ms(db) - grace_ms
    deadline = time.monotonic() + seconds
    return await _delete(db, store, await db.write(_mark_expired, before, kind), deadline)


async def _mark_expired(tx: Tx, before_ms: int, kind: BlobKind | None) -> list[_Blob]:
    if not await may_delete_blobs(tx):
        return []
    if kind is None:
        rows = await tx.all(_SELECT_EXPIRED, before_ms=before_ms)
    else:
        rows = await tx.all(_SELECT_EXPIRED_KIND, before_ms=before_ms, which_kind=kind.value)
    await mark_deleting(tx, [row.key for row in rows])
    return rows


async def _delete(db: Database, store: BlobStore, rows: Sequence[_Blob], deadline: float) -> int:
    deleted = []
    for row in rows:
        await store.delete(stored_key(row.key, row.stored))
        deleted.append(row.key)
        if time.monotonic() >= deadline:
            break
    if deleted:
        await db.write(delete_deleting, deleted)
    return len(deleted)
