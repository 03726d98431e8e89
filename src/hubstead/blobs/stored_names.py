"""Stored names: the name under which the store has a blob's bytes, and its replacement.

The column ``stored`` of a blob's row has it; null means the blob's own name, under which earlier
releases stored everything. Replaced bytes get an unreferenced row of their own under a random
digest, so `delete_unreferenced` deletes them after the grace period like any other blob.
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

#: The row of table ``storage_change`` about random stored names.
STORED_NAMES = "stored_names"

_SINCE = indexed(
    select(storage_changes.c.since_ms).where(storage_changes.c.name == STORED_NAMES), int
)


class _Place(NamedTuple):
    name: str
    stored: str | None


_SELECT_PLACES = scan(
    select(blobs.c.name, blobs.c.stored).where(
        blobs.c.kind == bindparam("kind"), any_of(blobs.c.name, "names")
    ),
    _Place,
)
_REPLACE = indexed(
    update(blobs)
    .values(stored=bindparam("new"), bytes=bindparam("new_bytes"))
    .where(
        blobs.c.kind == bindparam("which_kind"),
        blobs.c.name == bindparam("which_name"),
        func.coalesce(blobs.c.stored, blobs.c.name) == bindparam("old"),
        blobs.c.unreferenced_ms.is_distinct_from(DELETING),
    )
)
_ADD_UNREFERENCED = indexed(
    insert_into(blobs, "kind", "name", "bytes", "stored", "reconstructable_ms")
    .values(created_ms=DatabaseNow(), unreferenced_ms=DatabaseNow())
    .on_conflict_do_nothing()
)


class _Replaced(NamedTuple):
    name: str
    unreferenced_ms: int | None


_SELECT_REPLACED = indexed(
    select(blobs.c.name, blobs.c.unreferenced_ms).where(
        blobs.c.kind == bindparam("which_kind"),
        blobs.c.stored == bindparam("place"),
        blobs.c.name != bindparam("which_name"),
    ),
    _Replaced,
)
_DELETE_ROW = indexed(
    delete(blobs).where(
        blobs.c.kind == bindparam("which_kind"), blobs.c.name == bindparam("which_name")
    )
)


async def new_stored_name(db: Reader, key: BlobKey, settings: Settings) -> StoredKey:
    """Return the stored name for new bytes of a blob: one never used before.

    For ``update_seconds`` after the migration, while nodes of the previous release may run, it is
    the blob's own name, the only one that those nodes read. A xorb always has its own name, which
    is random already.
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
    """Return the stored name of a blob.

    Raises:
        BlobNotFound: there is no such blob.
    """
    places = await stored_names_of(db, key.kind, [key.name])
    if key.name not in places:
        raise BlobNotFound(name=key.name)
    return places[key.name]


async def stored_names_of(db: Reader, kind: BlobKind, names: Sequence[str]) -> dict[str, StoredKey]:
    """Return the stored names of those blobs that exist, by name."""
    rows = await db.all(_SELECT_PLACES, kind=kind.value, names=list(names)) if names else []
    return {row.name: stored_key(BlobKey(kind, row.name), row.stored) for row in rows}


async def open_blob(db: Reader, store: BlobStore, key: BlobKey) -> Blob:
    """Return the bytes of a blob.

    Raises:
        BlobNotFound: there is no such blob, or its bytes are gone.
    """
    return await open_stored(store, key.name, await stored_name_of(db, key))


async def open_stored(store: BlobStore, name: str, place: StoredKey) -> Blob:
    """Return the bytes stored under ``place``, which are the blob ``name``.

    Raises:
        BlobNotFound: the bytes are gone; the error names the blob.
    """
    try:
        return await store.open(place)
    except BlobNotFound:
        raise BlobNotFound(name=name) from None


async def replace_bytes(tx: Tx, key: BlobKey, size: int, *, old: StoredKey, new: StoredKey) -> bool:
    """Replace the damaged or missing bytes of a blob, ``old``, by those stored under ``new``.

    The bytes at ``old`` become unreferenced, so a current reader has the grace period to finish.

    Args:
        tx: The transaction.
        key: The blob.
        size: Its bytes.
        old: The stored name that the caller read from the row.
        new: The stored name (`new_stored_name`) of the verified bytes.

    Returns:
        False if the blob has another stored name by now, or is being deleted; the bytes at
        ``new`` are orphans then.
    """
    replaced = await tx.run(
        _REPLACE,
        which_kind=key.kind.value,
        which_name=key.name,
        old=old.name,
        new=None if new == key else new.name,
        new_bytes=size,
    )
    if replaced and new != old:
        await mark_stored_unreferenced(tx, [(old, size)])
    return bool(replaced)


async def mark_stored_unreferenced(tx: Tx, places: Sequence[tuple[StoredKey, int]]) -> None:
    """Add unreferenced rows for stored bytes that no blob's row names.

    Args:
        tx: The transaction.
        places: Stored names with the number of bytes.
    """
    rows = [
        {
            "kind": place.kind.value,
            "name": secrets.token_hex(place.kind.name_chars // 2),
            "bytes": size,
            "stored": place.name,
            # No reader needs these bytes: doctor does not report them as damaged or missing.
            "reconstructable_ms": 0,
        }
        for place, size in places
    ]
    if rows:
        await tx.run_many(_ADD_UNREFERENCED, rows)


async def reclaim_stored(tx: Tx, key: BlobKey, place: StoredKey) -> None:
    """Delete the unreferenced row of bytes at ``place``, which become the bytes of blob ``key``.

    Raises:
        Unavailable: the bytes are being deleted.
    """
    values = {"which_kind": key.kind.value, "which_name": key.name}
    for row in await tx.all(_SELECT_REPLACED, **values, place=place.name):
        if row.unreferenced_ms == DELETING:
            raise Unavailable(reason="the object is just being removed, try again")
        await tx.run(_DELETE_ROW, which_kind=key.kind.value, which_name=row.name)
