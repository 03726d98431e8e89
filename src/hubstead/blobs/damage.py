"""Blobs whose bytes are not there as they should be: which they are, and the mark in their row.

Presence and size are asked of the store whenever a client is about to be told that it need not
send something. Wrong bytes of the right size cannot be seen so: who reads all of them and compares
marks the row, and the mark stands until right bytes take their place or are found there again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, bindparam, select, update

from hubstead.blobs.interface import BlobStore
from hubstead.blobs.keys import BlobKey, BlobKind, stored_key
from hubstead.blobs.tables import blobs
from hubstead.db import Database, Reader, Tx, any_of, indexed, scan
from hubstead.ids import now_ms

#: How many blobs a store elsewhere is asked about at the same time.
_AT_ONCE = 16
_PAGE = 1000


class _Kept(NamedTuple):
    name: str
    bytes: int
    folded_ms: int | None
    damaged_ms: int | None
    stored: str | None


_KEPT = scan(
    select(
        blobs.c.name, blobs.c.bytes, blobs.c.folded_ms, blobs.c.damaged_ms, blobs.c.stored
    ).where(blobs.c.kind == bindparam("which_kind"), any_of(blobs.c.name, "names")),
    _Kept,
)
_WHICH = (blobs.c.kind == bindparam("which_kind"), blobs.c.name == bindparam("which_name"))
_MARK = indexed(
    update(blobs)
    .values(damaged_ms=bindparam("now_ms", type_=BigInteger))
    .where(*_WHICH, blobs.c.damaged_ms.is_(None))
)
_UNMARK = indexed(
    update(blobs).values(damaged_ms=None).where(*_WHICH, blobs.c.damaged_ms.is_not(None))
)


async def damaged_blobs(
    db: Reader, store: BlobStore, kind: BlobKind, names: Sequence[str]
) -> frozenset[str]:
    """Return the names of those blobs that have a row and are damaged.

    That is: marked so, without bytes in the store, or with another number of bytes than the row
    says. An LFS object that room ``xet`` puts together has no bytes of its own to be damaged. The
    store is asked once for each blob that is not marked: one ``stat``, or one ``HEAD``.

    Raises:
        Unavailable: the store does not answer.
    """
    damaged: set[str] = set()
    for start in range(0, len(names), _PAGE):
        page = list(names[start : start + _PAGE])
        rows = await db.all(_KEPT, which_kind=kind.value, names=page)
        kept = [row for row in rows if row.folded_ms is None]
        marked = {row.name for row in kept if row.damaged_ms is not None}
        damaged |= marked | await _unlike_rows(
            store, kind, [row for row in kept if row.name not in marked]
        )
    return frozenset(damaged)


async def _unlike_rows(store: BlobStore, kind: BlobKind, rows: Sequence[_Kept]) -> set[str]:
    """Return the names of those blobs of which the store has not as many bytes as the row says."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def differs(row: _Kept) -> bool:
        async with places:
            return await store.size(stored_key(BlobKey(kind, row.name), row.stored)) != row.bytes

    answers = await asyncio.gather(*map(differs, rows))
    return {row.name for row, differing in zip(rows, answers, strict=True) if differing}


async def mark_damaged(db: Database, key: BlobKey) -> bool:
    """Mark a blob whose bytes were read and found wrong; return whether it was not yet marked."""

    async def mark(tx: Tx) -> bool:
        which = {"which_kind": key.kind.value, "which_name": key.name}
        return bool(await tx.run(_MARK, **which, now_ms=now_ms()))

    return await db.write(mark)


async def unmark_damaged(db: Database, key: BlobKey) -> bool:
    """Note that the bytes of a blob were read and are right; return whether it was marked."""

    async def unmark(tx: Tx) -> bool:
        return bool(await tx.run(_UNMARK, which_kind=key.kind.value, which_name=key.name))

    return await db.write(unmark)
