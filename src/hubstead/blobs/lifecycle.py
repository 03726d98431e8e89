"""The life of a blob: every statement that writes table ``blob``, one function per transition.

States of a blob (``unreferenced_ms`` of its row):

- live (null): a repository links it, or an upload holds it.
- unreferenced (a time): the last link or hold has ended; `add` and `revive` make it live again.
- deleting (`DELETING`): the grace period is over and its bytes are going (`deletion.py`); nothing
  revives it until its row is gone.

Where its bytes are (``reconstructable_ms``, LFS only):

- plain (null): in the store, under the stored name.
- reconstructable (0, or a time): room ``xet`` assembles it from xorbs, so it needs no bytes of its
  own (`xet_backed.py`). The time is the one since which bytes that may still exist are unneeded.

``damaged_ms`` marks wrong bytes (`damage.py`), ``stored`` is the stored name (`stored_names.py`).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Text,
    bindparam,
    case,
    cast,
    delete,
    func,
    not_,
    null,
    or_,
    select,
    update,
)

from hubstead.blobs.keys import BlobKey, BlobKind, StoredKey, stored_key
from hubstead.blobs.tables import DELETING, blobs, repo_blobs
from hubstead.db import DatabaseNow, SqliteFile, Tx, any_of, indexed, insert_into, scan
from hubstead.errors import Unavailable
from hubstead.ids import now_ms

_KEY = (blobs.c.kind == bindparam("which_kind"), blobs.c.name == bindparam("which_name"))
_NOT_DELETING = or_(blobs.c.unreferenced_ms.is_(None), blobs.c.unreferenced_ms != DELETING)
#: Whether a repository links the blob.
IS_LINKED = (
    select(repo_blobs.c.name)
    .where(repo_blobs.c.kind == blobs.c.kind, repo_blobs.c.name == blobs.c.name)
    .exists()
)


# -- registration ------------------------------------------------------------------------------


class _Added(NamedTuple):
    bytes: int
    reconstructable_ms: int | None
    stored: str | None


#: Adds or revives the row of a blob whose bytes are stored. If the blob is reconstructable and the
#: bytes lie under its own name, they are unneeded since now: `delete_plain_copies` removes them.
_ADD = indexed(
    insert_into(blobs, "kind", "name", "bytes", "stored")
    .values(created_ms=DatabaseNow())
    .on_conflict_do_update(
        index_elements=["kind", "name"],
        set_={
            "unreferenced_ms": None,
            "reconstructable_ms": case(
                (blobs.c.reconstructable_ms.is_(None), cast(null(), BigInteger)),
                (
                    cast(bindparam("stored"), Text).is_(None),
                    DatabaseNow(),
                ),
                else_=blobs.c.reconstructable_ms,
            ),
        },
        where=_NOT_DELETING,
    )
    .returning(blobs.c.bytes, blobs.c.reconstructable_ms, blobs.c.stored),
    _Added,
)
_ADD_RECONSTRUCTABLE = indexed(
    insert_into(blobs, "kind", "name", "bytes", "reconstructable_ms")
    .values(created_ms=DatabaseNow())
    .on_conflict_do_update(
        index_elements=["kind", "name"], set_={"unreferenced_ms": None}, where=_NOT_DELETING
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
_REVIVE = indexed(update(blobs).values(unreferenced_ms=None).where(*_KEY, _NOT_DELETING))


class RegisteredBlob(msgspec.Struct, frozen=True):
    """The row of a registered blob."""

    place: StoredKey  # the blob's stored name: another one than the upload's if it had bytes
    reconstructable_ms: int | None


async def add(tx: Tx, key: BlobKey, size: int, place: StoredKey) -> RegisteredBlob:
    """Add the row of a blob whose bytes are stored under ``place``, or revive it.

    Raises:
        Unavailable: the blob, or the bytes at ``place``, are being deleted.
    """
    await _reclaim(tx, key, place)
    row = await tx.one(
        _ADD,
        kind=key.kind.value,
        name=key.name,
        bytes=size,
        stored=None if place == key else place.name,
    )
    if row is None:
        raise Unavailable(reason="the object is just being removed, try again")
    return RegisteredBlob(stored_key(key, row.stored), row.reconstructable_ms)


async def add_reconstructable(tx: Tx, objects: Sequence[tuple[str, int]]) -> None:
    """Add or revive rows of LFS objects without bytes of their own; existing bytes stay.

    Args:
        tx: The transaction.
        objects: (sha256, size in bytes), sorted, so that two transactions with the same objects
            wait and do not deadlock.

    Raises:
        Unavailable: one of the objects is being deleted.
    """
    kind = BlobKind.LFS.value
    rows = [
        {"kind": kind, "name": name, "bytes": size, "reconstructable_ms": 0}
        for name, size in objects
    ]
    await tx.run_many(_ADD_RECONSTRUCTABLE, rows)
    names = [name for name, _ in objects]
    if names and await tx.one(_SELECT_DELETING, names=names) is not None:
        raise Unavailable(reason="an object is just being removed, try again")


async def revive(tx: Tx, key: BlobKey) -> bool:
    """Make a blob live, because it gets a link; return False if it is deleted or being deleted."""
    return bool(await tx.run(_REVIVE, which_kind=key.kind.value, which_name=key.name))


# -- where the bytes are -----------------------------------------------------------------------

_MARK_PLAIN = indexed(
    update(blobs)
    .values(reconstructable_ms=None, damaged_ms=None, bytes=bindparam("size"))
    .where(*_KEY)
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
_MARK_UNNEEDED = scan(
    update(blobs)
    .values(reconstructable_ms=DatabaseNow())
    .where(
        blobs.c.kind == bindparam("kind"),
        blobs.c.reconstructable_ms == 0,
        any_of(blobs.c.name, "names"),
    )
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


async def mark_plain(tx: Tx, key: BlobKey, size: int) -> None:
    """Mark a blob as plain and undamaged: verified bytes of ``size`` are in the store."""
    await tx.run(_MARK_PLAIN, which_kind=key.kind.value, which_name=key.name, size=size)


async def mark_reconstructable(tx: Tx, sha256s: Sequence[str]) -> int:
    """Mark LFS objects as reconstructable: their own bytes are unneeded from now on.

    Returns:
        How many objects were not reconstructable before.
    """
    return await tx.run(_MARK_RECONSTRUCTABLE, names=list(sha256s))


async def mark_unneeded(tx: Tx, kind: BlobKind, names: Sequence[str]) -> None:
    """Mark bytes of blobs that need none as unneeded from now on."""
    await tx.run(_MARK_UNNEEDED, kind=kind.value, names=list(names))


async def mark_without_bytes(tx: Tx, copies: Iterable[tuple[str, int]]) -> None:
    """Mark LFS objects whose unneeded bytes are deleted.

    Args:
        tx: The transaction.
        copies: (sha256, the ``reconstructable_ms`` that was read); a changed row stays.
    """
    await tx.run_many(
        _MARK_WITHOUT_BYTES, [{"which_name": name, "seen_ms": seen} for name, seen in copies]
    )


# -- stored names ------------------------------------------------------------------------------

_REPLACE = indexed(
    update(blobs)
    .values(stored=bindparam("new"), bytes=bindparam("new_bytes"))
    .where(
        *_KEY,
        func.coalesce(blobs.c.stored, blobs.c.name) == bindparam("old"),
        blobs.c.unreferenced_ms.is_distinct_from(DELETING),
    )
)
_ADD_STORED_UNREFERENCED = indexed(
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
_DELETE = indexed(delete(blobs).where(*_KEY))


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
        await tx.run_many(_ADD_STORED_UNREFERENCED, rows)


async def _reclaim(tx: Tx, key: BlobKey, place: StoredKey) -> None:
    """Delete the unreferenced row of bytes at ``place``, which become the bytes of blob ``key``.

    Raises:
        Unavailable: the bytes are being deleted.
    """
    values = {"which_kind": key.kind.value, "which_name": key.name}
    for row in await tx.all(_SELECT_REPLACED, **values, place=place.name):
        if row.unreferenced_ms == DELETING:
            raise Unavailable(reason="the object is just being removed, try again")
        await tx.run(_DELETE, which_kind=key.kind.value, which_name=row.name)


# -- damage ------------------------------------------------------------------------------------

_MARK_DAMAGED = indexed(
    update(blobs)
    .values(damaged_ms=bindparam("now_ms", type_=BigInteger))
    .where(*_KEY, blobs.c.damaged_ms.is_(None))
)
_UNMARK_DAMAGED = indexed(
    update(blobs).values(damaged_ms=None).where(*_KEY, blobs.c.damaged_ms.is_not(None))
)


async def mark_damaged(tx: Tx, key: BlobKey) -> bool:
    """Mark the bytes of a blob as damaged; return whether the mark is new."""
    values = {"which_kind": key.kind.value, "which_name": key.name, "now_ms": now_ms()}
    return bool(await tx.run(_MARK_DAMAGED, **values))


async def unmark_damaged(tx: Tx, key: BlobKey) -> bool:
    """Remove the mark of damage; return whether there was one."""
    return bool(await tx.run(_UNMARK_DAMAGED, which_kind=key.kind.value, which_name=key.name))


# -- the end -----------------------------------------------------------------------------------

_MARK_UNREFERENCED = indexed(
    update(blobs)
    .values(unreferenced_ms=DatabaseNow())
    .where(*_KEY, blobs.c.unreferenced_ms.is_(None), not_(IS_LINKED))
)
_ADD_ORPHAN = indexed(
    insert_into(blobs, "kind", "name", "bytes")
    .values(created_ms=DatabaseNow(), unreferenced_ms=DatabaseNow())
    .on_conflict_do_nothing()
)
_MARK_DELETING = indexed(update(blobs).values(unreferenced_ms=DELETING).where(*_KEY))
_DELETE_DELETING = indexed(delete(blobs).where(*_KEY, blobs.c.unreferenced_ms == DELETING))


async def mark_unreferenced(tx: Tx, keys: Iterable[BlobKey]) -> None:
    """Mark blobs that no repository links as unreferenced: the grace period begins."""
    await tx.run_many(_MARK_UNREFERENCED, [_which(key) for key in keys])


async def add_orphan(tx: Tx, key: BlobKey, size: int) -> bool:
    """Add the unreferenced row of bytes that lie under their own name; False if there is a row."""
    row = {"kind": key.kind.value, "name": key.name, "bytes": size}
    return bool(await tx.run(_ADD_ORPHAN, **row))


async def mark_deleting(tx: Tx, keys: Iterable[BlobKey]) -> None:
    """Mark unreferenced blobs whose grace period is over: their bytes go from now on."""
    for key in keys:
        await tx.run(_MARK_DELETING, **_which(key))


async def delete_deleting(tx: Tx, keys: Iterable[BlobKey]) -> None:
    """Delete the rows of blobs marked as deleting, whose bytes are gone."""
    await tx.run_many(_DELETE_DELETING, [_which(key) for key in keys])


def delete_pending(snapshot: SqliteFile, is_used: ColumnElement[bool]) -> None:
    """Delete unreferenced blobs from a snapshot, whose bytes a backup leaves out.

    Args:
        snapshot: The rows.
        is_used: Whether a row of another room uses the blob, which stays then.
    """
    pending = delete(blobs).where(
        blobs.c.unreferenced_ms.is_not(None), not_(IS_LINKED), not_(is_used)
    )
    snapshot.change(scan(pending))


def _which(key: BlobKey) -> dict[str, str]:
    return {"which_kind": key.kind.value, "which_name": key.name}
