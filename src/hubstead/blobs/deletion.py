"""The end of blobs: deleting for good, never while somebody needs all bytes to stay."""

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

#: How many blobs are deleted at a time, and how many seconds that may take: whoever does a job
#: has lost it to another node after thirty.
BATCH = 200
PATIENCE_S = 20.0
#: This row is no pause: everybody who pauses or deletes locks it first, so that they see each
#: other on PostgreSQL as well.
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


_DOOMED = (
    select(blobs.c.kind, blobs.c.name, blobs.c.stored)
    .where(blobs.c.doomed_ms < bindparam("before_ms"), not_(_linked))
    .limit(BATCH)
    .with_for_update(skip_locked=True)
)
_CONDEMN = scan(_DOOMED, _Blob)
_CONDEMN_KIND = scan(_DOOMED.where(blobs.c.kind == bindparam("which_kind")), _Blob)
_MARK = indexed(
    update(blobs)
    .values(doomed_ms=DELETING)
    .where(blobs.c.kind == bindparam("which_kind"), blobs.c.name == bindparam("which_name"))
)
_FORGET = indexed(
    delete(blobs).where(
        blobs.c.kind == bindparam("which_kind"),
        blobs.c.name == bindparam("which_name"),
        blobs.c.doomed_ms == DELETING,
    )
)


async def pause_deletion(db: Database, pause_id: str, seconds: float) -> None:
    """Have no bytes deleted for so long; call again to prolong.

    When this returns, what will still go is only what no repository has had any more, and whose
    row says so (``doomed_ms`` is 0): a picture taken of the database from now on misses nothing.
    """
    assert pause_id != _GATE, "a pause has a name"

    async def pause(tx: Tx) -> None:
        await tx.run(_LOCK_GATE)
        await tx.run(_PAUSE, id=pause_id, pause_ms=int(seconds * 1000))

    await db.write(pause)


async def resume_deletion(db: Database, pause_id: str) -> None:
    """End a pause. Other pauses go on; unknown ids are fine."""

    async def resume(tx: Tx) -> None:
        await tx.run(_RESUME, which_id=pause_id)

    await db.write(resume)


async def deletion_is_paused(db: Reader) -> bool:
    """Tell whether bytes must stay. Only `may_delete_blobs` can act on it without a race."""
    return await db.one(_PAUSED) is not None


async def may_delete_blobs(tx: Tx) -> bool:
    """Tell whether this transaction may condemn something; no pause begins before it ends."""
    await tx.run(_LOCK_GATE)
    return not await deletion_is_paused(tx)


async def delete_unreferenced(
    db: Database, store: BlobStore, *, grace_ms: int, kind: BlobKind | None = None
) -> int:
    """Delete blobs (of one kind) doomed for ``grace_ms``, unless paused; return how many.

    The name is condemned first, then the bytes go, then the row: a crash in between is finished
    by the next call, and nobody can link a blob whose bytes may be gone. A request to the store
    that arrives after all that destroys nothing: bytes that come again get another stored name.
    """
    before = await database_now_ms(db) - grace_ms

    async def condemn(tx: Tx) -> list[_Doomed]:
        if not await may_delete_blobs(tx):
            return []
        if kind is None:
            rows = await tx.all(_CONDEMN, before_ms=before)
        else:
            rows = await tx.all(_CONDEMN_KIND, before_ms=before, which_kind=kind.value)
        for row in rows:
            await tx.run(_MARK, which_kind=row.kind, which_name=row.name)
        keys = [BlobKey(BlobKind(row.kind), row.name) for row in rows]
        return [(key, stored_key(key, row.stored)) for key, row in zip(keys, rows, strict=True)]

    deadline = time.monotonic() + PATIENCE_S
    return await _delete(db, store, await db.write(condemn), deadline)


_Doomed: TypeAlias = tuple[BlobKey, StoredKey]


async def _delete(
    db: Database, store: BlobStore, doomed: Sequence[_Doomed], deadline: float
) -> int:
    gone = []
    for key, place in doomed:
        if time.monotonic() > deadline:
            break
        await store.delete(place)
        gone.append({"which_kind": key.kind.value, "which_name": key.name})

    async def forget(tx: Tx) -> None:
        await tx.run_many(_FORGET, gone)

    if gone:
        await db.write(forget)
    return len(gone)
