"""Damaged blobs: their bytes are missing, of another length, or wrong.

The hub checks presence and size in the store before it answers a client that an upload is
unnecessary. Only a reader of the whole blob detects wrong bytes of the right size. It marks the
row, and the mark stands until the right bytes replace the wrong ones or a check reads them again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeAlias

from sqlalchemy import bindparam, select

from hubstead.admission import Lane, run_in_lane
from hubstead.blobs import lifecycle
from hubstead.blobs.interface import BlobStore
from hubstead.blobs.keys import BlobKey, BlobKind, StoredKey, stored_key
from hubstead.blobs.tables import blobs
from hubstead.blobs.verifiers import Verifier
from hubstead.db import Database, Reader, any_of, scan
from hubstead.errors import BlobCorrupt, BlobDamaged, BlobNotFound

#: The number of concurrent size requests to a store.
_AT_ONCE = 16
_PAGE = 1000


class _Row(NamedTuple):
    name: str
    bytes: int
    reconstructable_ms: int | None
    damaged_ms: int | None
    stored: str | None


_SELECT_ROWS = scan(
    select(
        blobs.c.name, blobs.c.bytes, blobs.c.reconstructable_ms, blobs.c.damaged_ms, blobs.c.stored
    ).where(blobs.c.kind == bindparam("which_kind"), any_of(blobs.c.name, "names")),
    _Row,
)


async def damaged_blobs(
    db: Reader, store: BlobStore, kind: BlobKind, names: Sequence[str]
) -> frozenset[str]:
    """Return the names of those blobs that have a row and are damaged.

    A blob is damaged if its row is marked so, if the store has no bytes of it, or if the store
    has another number of bytes than the row says. A reconstructable LFS object has no bytes of
    its own, so it cannot be damaged. Every unmarked blob costs one ``stat`` or one ``HEAD``.

    Raises:
        Unavailable: the store does not answer.
    """
    damaged: set[str] = set()
    for start in range(0, len(names), _PAGE):
        page = list(names[start : start + _PAGE])
        rows = await db.all(_SELECT_ROWS, which_kind=kind.value, names=page)
        stored = [row for row in rows if row.reconstructable_ms is None]
        marked = {row.name for row in stored if row.damaged_ms is not None}
        damaged |= marked | await _unlike_rows(
            store, kind, [row for row in stored if row.name not in marked]
        )
    return frozenset(damaged)


async def _unlike_rows(store: BlobStore, kind: BlobKind, rows: Sequence[_Row]) -> set[str]:
    """Return the names of those blobs whose size in the store differs from their row."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def differs(row: _Row) -> bool:
        async with slots:
            return await store.size(stored_key(BlobKey(kind, row.name), row.stored)) != row.bytes

    results = await asyncio.gather(*map(differs, rows))
    return {row.name for row, differing in zip(rows, results, strict=True) if differing}


async def mark_damaged(db: Database, key: BlobKey) -> bool:
    """Mark a blob whose bytes a check read and rejected; return whether the mark is new."""
    return await db.write(lifecycle.mark_damaged, key)


async def unmark_damaged(db: Database, key: BlobKey) -> bool:
    """Remove the mark of a blob whose bytes a check verified; return whether there was one."""
    return await db.write(lifecycle.unmark_damaged, key)


_MARKED = scan(
    select(blobs.c.name).where(
        blobs.c.kind == bindparam("which_kind"),
        any_of(blobs.c.name, "names"),
        blobs.c.damaged_ms.is_not(None),
    ),
    str,
)


async def require_unmarked(db: Reader, kind: BlobKind, names: Sequence[str]) -> None:
    """Check the marks of blobs that a client is about to read directly; no store is asked.

    Raises:
        BlobDamaged: a row is marked.
    """
    for start in range(0, len(names), _PAGE):
        marked = await db.all(_MARKED, which_kind=kind.value, names=names[start : start + _PAGE])
        if marked:
            key = BlobKey(kind, min(marked))
            raise BlobDamaged(blob=str(key), fault="its bytes are marked as damaged")


#: Called with a number of bytes that were read; returns when more may be.
Pace: TypeAlias = Callable[[int], Awaitable[None]]


async def stored_fault(
    store: BlobStore, place: StoredKey, size: int, verify: Verifier, pace: Pace | None = None
) -> str | None:
    """Read the bytes stored under ``place``; return what is wrong with them, or None.

    Args:
        store: The store.
        place: The stored name.
        size: The bytes that the row lists.
        verify: Rejects wrong bytes.
        pace: Called with the number of bytes before each further read.

    Raises:
        Unavailable: the store does not answer.
    """
    try:
        source = await store.open(place)
        if source.size != size:
            return f"it has {source.size} bytes instead of {size}"
        async for chunk in source.chunks():
            await run_in_lane(Lane.BACKGROUND, verify.update, chunk)
            if pace is not None:
                await pace(len(chunk))
        await run_in_lane(Lane.BACKGROUND, verify.finish)
    except BlobNotFound:
        return "its bytes are missing"
    except BlobCorrupt as error:
        return error.message
    return None
