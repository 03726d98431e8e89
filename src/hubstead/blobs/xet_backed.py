"""LFS objects that need no bytes of their own, because room ``xet`` can put them together.

``folded_ms`` of their row says so: 0 if there are no bytes of their own, or since when
those that there may be have not been needed. A reader who finds it set asks room ``xet``, one who
looked just before finds the bytes for the grace period. So deleting them needs no more care than
that, also beside somebody who uploads them again: the row stays folded.
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
    insert_into(blobs, "kind", "name", "bytes", "folded_ms")
    .values(created_ms=DatabaseNow())
    .on_conflict_do_update(
        index_elements=["kind", "name"],
        set_={"doomed_ms": None},
        where=or_(blobs.c.doomed_ms.is_(None), blobs.c.doomed_ms != DELETING),
    )
)
_GOING = scan(
    select(blobs.c.name).where(
        blobs.c.kind == BlobKind.LFS.value,
        blobs.c.doomed_ms == DELETING,
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
_FOLD = scan(
    update(blobs)
    .values(folded_ms=DatabaseNow())
    .where(
        blobs.c.kind == BlobKind.LFS.value,
        blobs.c.folded_ms.is_(None),
        any_of(blobs.c.name, "names"),
    )
)


class _Folded(NamedTuple):
    name: str
    folded_ms: int
    stored: str | None


_FOLDED = scan(
    select(blobs.c.name, blobs.c.folded_ms, blobs.c.stored)
    .where(
        blobs.c.folded_ms > 0,
        blobs.c.folded_ms < bindparam("before_ms"),
        or_(blobs.c.doomed_ms.is_(None), blobs.c.doomed_ms != DELETING),
    )
    .limit(BATCH),
    _Folded,
)
_BARE = indexed(
    update(blobs)
    .values(folded_ms=0)
    .where(
        blobs.c.kind == BlobKind.LFS.value,
        blobs.c.name == bindparam("which_name"),
        blobs.c.folded_ms == bindparam("seen_ms", type_=BigInteger),
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
    """Note that LFS objects were uploaded to a repository that room ``xet`` puts together.

    As `register_upload` for objects without bytes of their own; one that has some keeps them.

    Args:
        tx: The transaction in which room ``xet`` notes how.
        repo_pk: The repository.
        files: (sha256, size in bytes) of each; repetitions are fine.
        pusher_pk: Who uploaded them.
        hold_ms: How long they are kept for the commits that name them.

    Raises:
        Unavailable: an object of these was just being deleted; try again.
        Conflict: the repository is gone.
    """
    # In order of the name, so that two who register the same files wait and do not deadlock.
    wanted = sorted(dict(files).items())
    of_repo: Mapping[str, object] = {"repo_pk": repo_pk, "kind": BlobKind.LFS.value}
    rows = [{"kind": BlobKind.LFS.value, "name": name, "bytes": size} for name, size in wanted]
    await tx.run_many(_ADD, [row | {"folded_ms": 0} for row in rows])
    names = [name for name, _ in wanted]
    if names and await tx.one(_GOING, names=names) is not None:
        raise Unavailable(reason="an object is just being removed, try again")
    link = {**of_repo, "pusher_pk": pusher_pk, "committed": 0}
    await tx.run_many(_LINK, [{**row, **link} for row in rows])
    held = {**of_repo, "hold_ms": hold_ms}
    await tx.run_many(_HOLD, [{"name": name, **held} for name in names])


async def mark_reconstructable(tx: Tx, sha256s: Sequence[str]) -> int:
    """Note that room ``xet`` can put together these LFS objects, so that their bytes may go.

    Returns:
        How many of them were not folded yet.
    """
    return await tx.run(_FOLD, names=list(sha256s))


async def delete_plain_copies(db: Database, store: BlobStore, *, grace_ms: int) -> int:
    """Delete the bytes of objects folded for ``grace_ms``, unless paused; return how many."""
    before = await database_now_ms(db) - grace_ms

    async def find(tx: Tx) -> list[_Folded]:
        return await tx.all(_FOLDED, before_ms=before) if await may_delete_blobs(tx) else []

    deadline = time.monotonic() + PATIENCE_S
    bare: list[dict[str, object]] = []
    for row in await db.write(find):
        if time.monotonic() > deadline:
            break
        await store.delete(stored_key(BlobKey(BlobKind.LFS, row.name), row.stored))
        bare.append({"which_name": row.name, "seen_ms": row.folded_ms})

    async def note(tx: Tx) -> None:
        await tx.run_many(_BARE, bare)

    if bare:
        await db.write(note)
    return len(bare)
