"""Under which name the bytes of a blob are stored, and how a blob gets other bytes.

The column ``stored`` of a blob's row says it; null is the blob's own name, under which earlier
releases stored everything. Bytes that no row names any more get a row of their own, doomed, under
a digest made up for it: so they go as any other blob does, after the grace period.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, select, update

from hubstead.blobs.interface import Blob, BlobStore
from hubstead.blobs.keys import BlobKey, BlobKind, StoredKey, new_stored_key, stored_key
from hubstead.blobs.tables import DELETING, blobs, storage_changes
from hubstead.db import DatabaseNow, Reader, Tx, any_of, database_now_ms, indexed, insert_into, scan
from hubstead.errors import BlobNotFound, Unavailable
from hubstead.settings import Settings

#: The row of `storage_change` about names made by chance.
STORED_NAMES = "stored_names"

_SINCE = indexed(
    select(storage_changes.c.since_ms).where(storage_changes.c.name == STORED_NAMES), int
)


class _Place(NamedTuple):
    name: str
    stored: str | None


_PLACES = scan(
    select(blobs.c.name, blobs.c.stored).where(
        blobs.c.kind == bindparam("kind"), any_of(blobs.c.name, "names")
    ),
    _Place,
)
_MOVE = indexed(
    update(blobs)
    .values(stored=bindparam("new"), bytes=bindparam("new_bytes"))
    .where(
        blobs.c.kind == bindparam("which_kind"),
        blobs.c.name == bindparam("which_name"),
        func.coalesce(blobs.c.stored, blobs.c.name) == bindparam("old"),
        blobs.c.doomed_ms.is_distinct_from(DELETING),
    )
)
_ADD_DOOMED = indexed(
    insert_into(blobs, "kind", "name", "bytes", "stored", "folded_ms")
    .values(created_ms=DatabaseNow(), doomed_ms=DatabaseNow())
    .on_conflict_do_nothing()
)


class _Stray(NamedTuple):
    name: str
    doomed_ms: int | None


_STRAY = indexed(
    select(blobs.c.name, blobs.c.doomed_ms).where(
        blobs.c.kind == bindparam("which_kind"),
        blobs.c.stored == bindparam("place"),
        blobs.c.name != bindparam("which_name"),
    ),
    _Stray,
)
_FORGET = indexed(
    delete(blobs).where(
        blobs.c.kind == bindparam("which_kind"), blobs.c.name == bindparam("which_name")
    )
)


async def new_stored_name(db: Reader, key: BlobKey, settings: Settings) -> StoredKey:
    """Return where to store the bytes of a blob that come now: under a name never used before.

    While nodes of the previous release may be at work, for ``update_seconds`` after the
    migration, it is the blob's own name, the only one that they look for. So it is for a xorb,
    whose blob is named by chance.
    """
    if key.kind is BlobKind.XORB:
        return key
    since_ms = await db.one(_SINCE)
    if since_ms is not None:
        end_ms = since_ms + int(settings.blobs.update_seconds * 1000)
        if await database_now_ms(db) < end_ms:
            return key
    return new_stored_key(key.kind)


async def stored_name_of(db: Reader, key: BlobKey) -> StoredKey:
    """Return where the bytes of a blob lie.

    Raises:
        BlobNotFound: there is no such blob.
    """
    found = await stored_names_of(db, key.kind, [key.name])
    if key.name not in found:
        raise BlobNotFound(name=key.name)
    return found[key.name]


async def stored_names_of(db: Reader, kind: BlobKind, names: Sequence[str]) -> dict[str, StoredKey]:
    """Return where the bytes of those blobs lie that exist, by name."""
    rows = await db.all(_PLACES, kind=kind.value, names=list(names)) if names else []
    return {row.name: stored_key(BlobKey(kind, row.name), row.stored) for row in rows}


async def open_blob(db: Reader, store: BlobStore, key: BlobKey) -> Blob:
    """Return the bytes of a blob.

    Raises:
        BlobNotFound: there is no such blob, or its bytes are gone.
    """
    return await open_stored(store, key.name, await stored_name_of(db, key))


async def open_stored(store: BlobStore, name: str, place: StoredKey) -> Blob:
    """Return the bytes at ``place``, which are the blob called ``name``.

    Raises:
        BlobNotFound: they are gone; the error names the blob.
    """
    try:
        return await store.open(place)
    except BlobNotFound:
        raise BlobNotFound(name=name) from None


async def replace_bytes(tx: Tx, key: BlobKey, size: int, *, old: StoredKey, new: StoredKey) -> bool:
    """Have a blob lie at ``new`` from now on, because the bytes at ``old`` are damaged or gone.

    What was at ``old`` is deleted after the grace period, since somebody may be reading it.

    Args:
        tx: The transaction.
        key: The blob.
        size: Its bytes.
        old: Where it lies, as far as the caller knows.
        new: Where the store has the right bytes, checked; a place of `new_stored_name`.

    Returns:
        Whether it was done. Not if the blob lies somewhere else by now, or is going; then the
        bytes at ``new`` are nobody's.
    """
    moved = await tx.run(
        _MOVE,
        which_kind=key.kind.value,
        which_name=key.name,
        old=old.name,
        new=None if new == key else new.name,
        new_bytes=size,
    )
    if moved and new != old:
        await mark_stored_unreferenced(tx, [(old, size)])
    return bool(moved)


async def mark_stored_unreferenced(tx: Tx, places: Sequence[tuple[StoredKey, int]]) -> None:
    """Have deleted, after the grace period, what lies at places that no blob's row names.

    Args:
        tx: The transaction.
        places: Each with its bytes.
    """
    rows = [
        {
            "kind": place.kind.value,
            "name": secrets.token_hex(place.kind.name_chars // 2),
            "bytes": size,
            "stored": place.name,
            # Nobody reads them, and they may be damaged or gone: not for doctor to complain of.
            "folded_ms": 0,
        }
        for place, size in places
    ]
    if rows:
        await tx.run_many(_ADD_DOOMED, rows)


async def reclaim_stored(tx: Tx, key: BlobKey, place: StoredKey) -> None:
    """Keep from being deleted what lies at ``place``, which becomes the bytes of a blob.

    Raises:
        Unavailable: they are just being deleted.
    """
    where = {"which_kind": key.kind.value, "which_name": key.name}
    for row in await tx.all(_STRAY, **where, place=place.name):
        if row.doomed_ms == DELETING:
            raise Unavailable(reason="the object is just being removed, try again")
        await tx.run(_FORGET, which_kind=key.kind.value, which_name=row.name)
