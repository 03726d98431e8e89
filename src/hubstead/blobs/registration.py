"""Registration of stored bytes as blobs: row, link and hold in one transaction."""

from __future__ import annotations

from contextlib import suppress

from hubstead.blobs.damage import damaged_blobs
from hubstead.blobs.holds import add_hold
from hubstead.blobs.interface import BlobStore
from hubstead.blobs.keys import BlobKey, StoredKey
from hubstead.blobs.lifecycle import (
    RegisteredBlob,
    add,
    mark_plain,
    mark_stored_unreferenced,
    replace_bytes,
)
from hubstead.blobs.links import Link, add_link, unlink_blobs
from hubstead.blobs.multipart import delete_upload
from hubstead.db import Database, Tx
from hubstead.errors import HubError, Unavailable


async def register_upload(
    db: Database,
    store: BlobStore,
    repo_pk: int,
    key: BlobKey,
    size: int,
    *,
    pusher_pk: int | None,
    hold_ms: int,
    place: StoredKey | None = None,
    upload_id: str | None = None,
    replaced: bool = False,
) -> None:
    """Register that a user uploaded a blob, whose bytes are in the store, to a repository.

    No upload succeeds while the stored bytes are damaged. If the blob already has bytes, they
    stay and the uploaded ones are deleted; if those are missing or damaged, the uploaded ones
    replace them.

    Args:
        db: The database.
        store: Where the bytes are.
        repo_pk: The repository.
        key: The blob.
        size: Its bytes.
        pusher_pk: Who uploaded it.
        hold_ms: How long the hold for the commit that names it lasts, in milliseconds.
        place: Their stored name (`new_stored_name`); the blob's own name if None.
        upload_id: The multipart upload that this completes; its row is deleted.
        replaced: The bytes replace damaged ones, or damaged xorbs: the blob becomes plain.

    Raises:
        Unavailable: a blob of this name is being deleted, or is damaged; upload it again.
        Conflict: the repository is gone.
    """
    uploaded = place or key
    row = await db.write(
        _add_upload,
        repo_pk,
        key,
        size,
        uploaded,
        pusher_pk=pusher_pk,
        hold_ms=hold_ms,
        upload_id=upload_id,
        replaced=replaced,
    )
    if row.place == uploaded:
        if row.reconstructable_ms is None:
            await _check_stored(db, store, repo_pk, key, uploaded)
        return
    # The committed row protects its bytes from deletion, so one check now is enough.
    if (
        row.reconstructable_ms is None
        and await damaged_blobs(db, store, key.kind, [key.name])
        and await db.write(_replace_damaged, key, size, row.place, uploaded)
    ):
        return
    if uploaded != key:
        with suppress(HubError):  # the bytes are an orphan then
            await store.delete(uploaded)


async def _add_upload(
    tx: Tx,
    repo_pk: int,
    key: BlobKey,
    size: int,
    uploaded: StoredKey,
    *,
    pusher_pk: int | None,
    hold_ms: int,
    upload_id: str | None,
    replaced: bool,
) -> RegisteredBlob:
    row = await add(tx, key, size, uploaded)
    await add_link(tx, repo_pk, Link(key, size), pusher_pk, committed=0)
    await add_hold(tx, repo_pk, key, hold_ms)
    if upload_id is not None:
        await delete_upload(tx, upload_id)
    if not replaced:
        return row
    if row.place != uploaded:
        await replace_bytes(tx, key, size, old=row.place, new=uploaded)
    await mark_plain(tx, key, size)
    return RegisteredBlob(uploaded, None)


async def _replace_damaged(
    tx: Tx, key: BlobKey, size: int, old: StoredKey, uploaded: StoredKey
) -> bool:
    replaced = await replace_bytes(tx, key, size, old=old, new=uploaded)
    if replaced:
        await mark_plain(tx, key, size)
    return replaced


async def _check_stored(
    db: Database, store: BlobStore, repo_pk: int, key: BlobKey, place: StoredKey
) -> None:
    """Unlink an uploaded blob whose bytes are gone, and fail if they are damaged.

    The writer may have left older bytes under the blob's own name in place, which
    `delete_unreferenced` then deleted before the row protected them.

    Raises:
        Unavailable: the bytes are gone or damaged.
    """
    if await store.size(place) is None:
        await db.write(unlink_blobs, repo_pk, [key])
        raise Unavailable(reason="the object was just being removed, upload it again")
    if await damaged_blobs(db, store, key.kind, [key.name]):
        raise Unavailable(reason="what is stored of the object is damaged, upload it again")


async def link_new_blob(
    tx: Tx, repo_pk: int, key: BlobKey, size: int, *, place: StoredKey | None = None
) -> None:
    """Register and link a blob that the hub stored for one repository, such as a pack.

    If the blob already has bytes, they stay, and the bytes at ``place`` become unreferenced.
    """
    place = place or key
    row = await add(tx, key, size, place)
    if row.place != place:
        await mark_stored_unreferenced(tx, [(place, size)])
    await add_link(tx, repo_pk, Link(key, size), None, committed=1)


async def register_blob(tx: Tx, key: BlobKey, size: int) -> int | None:
    """Register a blob whose bytes are in the store, or revive it.

    Without a link, this serves only kinds that another room references by rows of its own and
    releases with `mark_unreferenced`.

    Returns:
        The time since which the bytes are unneeded, in milliseconds since the epoch; None if they
        are needed.

    Raises:
        Unavailable: a blob of this name is being deleted.
    """
    return (await add(tx, key, size, key)).reconstructable_ms
