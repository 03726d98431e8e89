"""Reconstructable LFS objects: room ``xet`` assembles them, so they need no bytes of their own.

``reconstructable_ms`` of their row is 0 if they have no bytes of their own, or the time since
which their bytes are unneeded. A reader that sees it set reads through room ``xet``; one that read
the row before reads the plain bytes during the grace period. A concurrent upload changes nothing:
the object stays reconstructable.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import bindparam, or_, select

from hubstead.blobs.deletion import BATCH, PATIENCE_S
from hubstead.blobs.holds import add_holds
from hubstead.blobs.interface import BlobStore
from hubstead.blobs.keys import BlobKey, BlobKind, stored_key
from hubstead.blobs.lifecycle import add_reconstructable, mark_without_bytes
from hubstead.blobs.links import add_uploaded_links
from hubstead.blobs.pauses import may_delete_blobs
from hubstead.blobs.tables import DELETING, blobs
from hubstead.db import (
    Database,
    Tx,
    database_now_ms,
    scan,
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
    await add_reconstructable(tx, objects)
    await add_uploaded_links(tx, repo_pk, BlobKind.LFS, objects, pusher_pk)
    await add_holds(tx, repo_pk, BlobKind.LFS, [name for name, _ in objects], hold_ms)


async def delete_plain_copies(db: Database, store: BlobStore, *, grace_ms: int) -> int:
    """Delete bytes unneeded for ``grace_ms``, unless deletion is paused; return how many blobs'."""
    before = await database_now_ms(db) - grace_ms
    deadline = time.monotonic() + PATIENCE_S
    deleted: list[tuple[str, int]] = []
    for row in await db.write(_select_copies, before):
        if time.monotonic() > deadline:
            break
        await store.delete(stored_key(BlobKey(BlobKind.LFS, row.name), row.stored))
        deleted.append((row.name, row.reconstructable_ms))
    if deleted:
        await db.write(mark_without_bytes, deleted)
    return len(deleted)


async def _select_copies(tx: Tx, before_ms: int) -> list[_PlainCopy]:
    return await tx.all(_PLAIN_COPIES, before_ms=before_ms) if await may_delete_blobs(tx) else []
