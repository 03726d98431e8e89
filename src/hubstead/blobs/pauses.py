"""Pauses of deletion while a backup reads: every statement that writes ``deletion_pause``."""

from __future__ import annotations

from sqlalchemy import BigInteger, and_, bindparam, delete, or_, select

from hubstead.blobs.tables import deletion_pauses
from hubstead.db import Database, DatabaseNow, Reader, Tx, indexed, insert, insert_into

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


async def pause_deletion(db: Database, pause_id: str, seconds: float) -> None:
    """Pause deletion for ``seconds``; call again to extend the pause.

    After this returns, only blobs whose rows are already marked deleting (``unreferenced_ms`` is
    0) lose their bytes, and no repository links them. So all blobs that a later snapshot of the
    database needs stay.
    """
    assert pause_id != _GATE, "a pause has a name"
    await db.write(_pause, pause_id, int(seconds * 1000))


async def _pause(tx: Tx, pause_id: str, pause_ms: int) -> None:
    await tx.run(_LOCK_GATE)
    await tx.run(_PAUSE, id=pause_id, pause_ms=pause_ms)


async def resume_deletion(db: Database, pause_id: str) -> None:
    """End one pause; an unknown id is fine."""
    await db.execute(_RESUME, which_id=pause_id)


async def deletion_is_paused(db: Reader) -> bool:
    """Return whether a pause is active. Only `may_delete_blobs` excludes a race with a new one."""
    return await db.one(_PAUSED) is not None


async def may_delete_blobs(tx: Tx) -> bool:
    """Return whether this transaction may delete blobs; no pause begins before it ends."""
    await tx.run(_LOCK_GATE)
    return not await deletion_is_paused(tx)
