"""Deletion of unreferenced blobs after their grace period, never during a pause."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from sqlalchemy import BigInteger, and_, bindparam, delete, not_, or_, select, update

from hubstead.blobs.interface import BlobStore
from hubstead.blobs.keys import BlobKey, BlobKind, StoredKey, stored_key
from hubstead.blobs.tables import DELETING, blobs, deletion_pauses, repo_blobs
from hubstead.db import (
    Database,
    DatabaseNow,
    Reader,
    Tx,
    database_now_ms,
    indexed,
    insert,
    insert_into,
    scan,
)

#: How many blobs one call deletes, and how many seconds it may take: a job's lease ends after
#: thirty.
BATCH = 200
PATIENCE_S = 20.0
#: This row is no pause. Every transaction that pauses or deletes locks it first, so that one sees
#: the other on PostgreSQL, too.
_GATE = ""

_LOCK_GATE = indexed(
    insert(deletion_pauses)
    .values(id=_GATE, until_ms=0)
    .on_conflict_do_update(index_elements=["id"], set_={"until_ms": 0})
)
_NEW_PAUSE = insert_into(deletion_pauses, "id").values(
    until_ms=DatabaseNow() + bindparam("pause_ms", type_=BigInteger)
)
_PAUSE = indexed(
    _NEW_PAUSE.on_conflict_do_update(
        index_elements=["id"], set_={"until_ms": _NEW_PAUSE.excluded.until_ms}
    )
)
_RESUME = indexed(
    delete(deletion_pauses).where(
        or_(
            deletion_pauses.c.id == bindparam("which_id"),
            and_(deletion_pauses.c.id != _GATE, deletion_pauses.c.until_ms <= DatabaseNow()),
        )
    )
)
_PAUSED = indexed(
    select(deletion_pauses.c.id).where(deletion_pauses.c.until_ms > DatabaseNow()).limit(1),
    str,
)
_linked = (
    select(repo_blobs.c.name)
    .where(repo_blobs.c.kind == blobs.c.kind, repo_blobs.c.name == blobs.c.name)
    .exists()
)


class _Blob(NamedTuple):
    kind: str
    name: str
    stored: str | None


_EXPIRED = (
    select(blobs.c.kind, blobs.c.name, blobs.c.stored)
    .where(blobs.c.unreferenced_ms < bindparam("before_ms"), not_(_linked))
    .limit(BATCH)
    .with_for_update(skip_locked=True)
)
_SELECT_EXPIRED = scan(_EXPIRED, _Blob)
_SELECT_EXPIRED_KIND = scan(_EXPIRED.where(blobs.c.kind == bindparam("which_kind")), _Blob)
_MARK_DELETING = indexed(
    update(blobs)
    .values(unreferenced_ms=DELETING)
    .where(blobs.c.kind == bindparam("which_kind"), blobs.c.name == bindparam("which_name"))
)
_DELETE_ROW = indexed(
    delete(blobs).where(
        blobs.c.kind == bindparam("which_kind"),
        blobs.c.name == bindparam("which_name"),
        blobs.c.unreferenced_ms == DELETING,
    )
)


async def pause_deletion(db: Database, pause_id: str, seconds: float) -> None:
    """Pause deletion for ``seconds``; call again to extend the pause.

    After this returns, only blobs whose rows are already marked deleting (``unreferenced_ms`` is
    0) lose their bytes, and no repository links them. So all blobs that a later snapshot of the
    database needs stay.
    """
    assert pause_id != _GATE, "a pause has a name"

    async def pause(tx: Tx) -> None:
        await tx.run(_LOCK_GATE)
        await tx.run(_PAUSE, id=pause_id, pause_ms=int(seconds * 1000))

    await db.write(pause)


async def resume_deletion(db: Database, pause_id: str) -> None:
    """End one pause; an unknown id is fine."""

    async def resume(tx: Tx) -> None:
        await tx.run(_RESUME, which_id=pause_id)

    await db.write(resume)


async def deletion_is_paused(db: Reader) -> bool:
    """Return whether a pause is active. Only `may_delete_blobs` excludes a race with a new one."""
    return await db.one(_PAUSED) is not None


async def may_delete_blobs(tx: Tx) -> bool:
    """Return whether this transaction may delete blobs; no pause begins before it ends."""
    await tx.run(_LOCK_GATE)
    return not await deletion_is_paused(tx)


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

    async def mark(tx: Tx) -> list[_Deleting]:
        if not await may_delete_blobs(tx):
            return []
        if kind is None:
            rows = await tx.all(_SELECT_EXPIRED, before_ms=before)
        else:
            rows = await tx.all(_SELECT_EXPIRED_KIND, before_ms=before, which_kind=kind.value)
        for row in rows:
            await tx.run(_MARK_DELETING, which_kind=row.kind, which_name=row.name)
        keys = [BlobKey(BlobKind(row.kind), row.name) for row in rows]
        return [(key, stored_key(key, row.stored)) for key, row in zip(keys, rows, strict=True)]

    deadline = time.monotonic() + seconds
    return await _delete(db, store, await db.write(mark), deadline)


_Deleting: TypeAlias = tuple[BlobKey, StoredKey]


async def _delete(
    db: Database, store: BlobStore, blobs_to_delete: Sequence[_Deleting], deadline: float
) -> int:
    deleted = []
    for key, place in blobs_to_delete:
        await store.delete(place)
        deleted.append({"which_kind": key.kind.value, "which_name": key.name})
        if time.monotonic() >= deadline:
            break

    async def delete_rows(tx: Tx) -> None:
        await tx.run_many(_DELETE_ROW, deleted)

    if deleted:
        await db.write(delete_rows)
    return len(deleted)
