"""Stored names: the name under which the store has a blob's bytes, and its replacement.

The column ``stored`` of a blob's row has it; null means the blob's own name, under which earlier
releases stored everything. Replaced bytes get an unreferenced row of their own under a random
digest, so `delete_unreferenced` deletes them after the grace period like any other blob.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select

from hubstead.blobs.interface import Blob, BlobStore
from hubstead.blobs.keys import BlobKey, BlobKind, StoredKey, new_stored_key, stored_key
from hubstead.blobs.tables import blobs, storage_changes
from hubstead.db import Reader, any_of, database_now_ms, indexed, scan
from hubstead.errors import BlobDamaged, BlobNotFound
from hubstead.settings import BlobSettings

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


async def new_stored_name(db: Reader, key: BlobKey, settings: BlobSettings) -> StoredKey:
    """Return the stored name for new bytes of a blob: one never used before.

    For ``update_seconds`` after the migration, while nodes of the previous release may run, it is
    the blob's own name, the only one that those nodes read. A xorb always has its own name, which
    is random already.
    """
    if key.kind is BlobKind.XORB:
        return key
    since_ms = await db.one(_SINCE)
    if since_ms is not None:
        end_ms = since_ms + int(settings.update_seconds * 1000)
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


async def open_intact(store: BlobStore, key: BlobKey, place: StoredKey, size: int) -> Blob:
    """Return the bytes stored under ``place``, which are those of a blob of ``size`` bytes.

    The store's own size is compared: no request is added to the one that opens the bytes.

    Raises:
        BlobDamaged: the bytes are gone, or have another size.
    """
    try:
        blob = await store.open(place)
    except BlobNotFound:
        raise BlobDamaged(blob=str(key), fault="its bytes are missing") from None
    if blob.size != size:
        raise BlobDamaged(blob=str(key), fault=f"it has {blob.size} bytes instead of {size}")
    return blob
