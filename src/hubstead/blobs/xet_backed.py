"""Reconstructable LFS objects: room ``xet`` assembles them, so they need no bytes of their own.

``reconstructable_ms`` of their row is 0 if they have no bytes of their own, or the time since
which their bytes are unneeded. A reader that sees it set reads through room ``xet``; one that read
the row before reads the plain bytes during the grace period. A concurrent upload changes nothing:
the object stays reconstructable.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, bindparam, or_, select, update

from hubstead.blobs.deletion import BATCH, PATIENCE_S, may_delete_blobs
from hubstead.blobs.interface import BlobStore
from hubstead.blobs.keys import BlobKey, BlobKind, stored_key
from hubstead.blobs.tables import DELETING, blobs, holds, repo_blobs
from hubstead.db import (
    Database,
    DatabaseNow,
    Tx,
    any_of,
    database_now_ms,
    indexed,
    insert_into,
    scan,
)
from hubstead.errors import Unavailable

_ADD = indexed(
    insert_into(blobs, "kind", "name", "bytes", "reconstructable_ms")
    .values(created_ms=DatabaseNow())
    .on_conflict_do_update(
        index_elements=["kind", "name"],
        set_={"unreferenced_ms": None},
        where=or_(blobs.c.unreferenced_ms.is_(None), blobs.c.unreferenced_ms != DELETING),
    )
)
_SELECT_DELETING = scan(
    select(blobs.c.name).where(
        blobs.c.kind == BlobKind.LFS.value,
        blobs.c.unreferenced_ms == DELETING,
        any_of(blobs.c.name, "names"),
    ),
    str,
)
_LINK = indexed(
    insert_into(repo_blobs, "repo_pk", "kind", "name", "bytes", "pusher_pk", "committed")
    .values(created_ms=DatabaseNow())
    .on_conflict_do_nothing()
)
_NEW_HOLD = insert_into(holds, "repo_pk", "kind", "name").values(
    until_ms=DatabaseNow() + bindparam("hold_ms", type_=BigInteger)
)
_HOLD = indexed(
    _NEW_HOLD.on_conflict_do_update(
        index_elements=["repo_pk", "kind", "name"],
        set_={"until_ms": _NEW_HOLD.excluded.until_ms},
        where=holds.c.until_ms < _NEW_HOLD.excluded.until_ms,
    )
)
_MARK_RECONSTRUCTABLE = scan(
    update(blobs)
    .values(reconstructable_ms=DatabaseNow())
    .where(
        blobs.c.kind == BlobKind.LFS.value,
        blobs.c.reconstructable_ms.is_(None),
        any_of(blobs.c.name, "names"),
    )
)


class _PlainCopy(NamedTuple):
    name: str
    reconstructable_ms: int
    stored: str | None


_PLAIN_COPIES = scan(
    select(blobs.c.name, blobs.c.reconstructable_ms, blobs.c.stored)
    .where(
        blobs.c.reconstructable_ms > 0,
        blobs.c.reconstructable_ms < bindparam("before_ms"),
        or_(blobs.c.unreferenced_ms.is_(None), blobs.c.unreferenced_ms != DELETING),
    )
    .limit(BATCH),
    _PlainCopy,
)
_MARK_WITHOUT_BYTES = indexed(
    update(blobs)
    .values(reconstructable_ms=0)
    .where(
        blobs.c.kind == BlobKind.LFS.value,
        blobs.c.name == bindparam("which_name"),
        blobs.c.reconstructable_ms == bindparam("seen_ms", type_=BigInteger),
    )
)


async def register_reconstructable(
    tx: Tx,
    repo_pk: int,
    files: Iterable[tuple[str, int]],
    *,
    pusher_pk: int | None,
    hold_ms: int,
) -> None:
    """Register that a user uploaded LFS objects to a repository as xorbs.

    Like `register_upload` for objects without bytes of their own; existing bytes stay.

    Args:
        tx: The transaction in which room ``xet`` registers how to assemble them.
        repo_pk: The repository.
        files: (sha256, size in bytes) of the objects; repetitions are fine.
        pusher_pk: The user who uploaded them.
        hold_ms: How long the holds for the commits that name them last, in milliseconds.

    Raises:
        Unavailable: one of the objects is being deleted; try again.
        Conflict: the repository is gone.
    """
    # Sorted by name, so that two transactions with the same files wait and do not deadlock.
    objects = sorted(dict(files).items())
    of_repo: Mapping[str, object] = {"repo_pk": repo_pk, "kind": BlobKind.LFS.value}
    rows = [{"kind": BlobKind.LFS.value, "name": name, "bytes": size} for name, size in objects]
    await tx.run_many(_ADD, [row | {"reconstructable_ms": 0} for row in rows])
    names = [name for name, _ in objects]
    if names and await tx.one(_SELECT_DELETING, names=names) is not None:
        raise Unavailable(reason="an object is just being removed, try again")
    link = {**of_repo, "pusher_pk": pusher_pk, "committed": 0}
    await tx.run_many(_LINK, [{**row, **link} for row in rows])
    hold = {**of_repo, "hold_ms": hold_ms}
    await tx.run_many(_HOLD, [{"name": name, **hold} for name in names])


async def mark_reconstructable(tx: Tx, sha256s: Sequence[str]) -> int:
    """Mark LFS objects as reconstructable: their own bytes are unneeded from now on.

    Returns:
        How many objects were not reconstructable before.
    """
    return await tx.run(_MARK_RECONSTRUCTABLE, names=list(sha256s))


async def delete_plain_copies(db: Database, store: BlobStore, *, grace_ms: int) -> int:
    """Delete bytes unneeded for ``grace_ms``, unless deletion is paused; return how many blobs'."""
    before = await database_now_ms(db) - grace_ms

    async def select_copies(tx: Tx) -> list[_PlainCopy]:
        return await tx.all(_PLAIN_COPIES, before_ms=before) if await may_delete_blobs(tx) else []

    deadline = time.monotonic() + PATIENCE_S
    deleted: list[dict[str, object]] = []
    for row in await db.write(select_copies):
        if time.monotonic() > deadline:
            break
        await store.delete(stored_key(BlobKey(BlobKind.LFS, row.name), row.stored))
        deleted.append({"which_name": row.name, "seen_ms": row.reconstructable_ms})

    async def mark(tx: Tx) -> None:
        await tx.run_many(_MARK_WITHOUT_BYTES, deleted)

    if deleted:
        await db.write(mark)
    return len(deleted)
