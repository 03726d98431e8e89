"""Rows of xorbs, of their uploads, and of the chunks that clients query.

A xorb exists as long as its row does. A transaction that will rely on a xorb later (it tells a
client not to send the xorb, names it in a response, or registers a file made of it) renews the
xorb, which also ends a quarantine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import BigInteger, bindparam, or_, select, update

from hubstead import blobs
from hubstead.blobs import BlobKey, BlobKind
from hubstead.db import DatabaseNow, Reader, Tx, any_of, indexed, insert_into, scan
from hubstead.errors import Unavailable
from hubstead.settings import XetSettings
from hubstead.xet.dedup_shards import is_eligible
from hubstead.xet.expiry import staleness_ms
from hubstead.xet.tables import xet_chunks, xorb_uploads, xorbs
from hubstead.xet.xorbs import XorbIndex

#: Xorbs that contain a queried chunk, at most.
_CANDIDATES = 8
#: Names that one statement looks up in the event loop; more of them go to a thread.
_FEW = 8
_PAGE = 1000


class KnownXorb(NamedTuple):
    """A stored xorb."""

    pk: int
    name: str
    blob: str  # the name of its blob, which is never used for other bytes
    bytes: int  # as stored
    unpacked: int
    chunks: int

    @property
    def key(self) -> BlobKey:
        """The blob that has its bytes."""
        return BlobKey(BlobKind.XORB, self.blob)


_COLUMNS = (xorbs.c.pk, xorbs.c.name, xorbs.c.blob, xorbs.c.bytes, xorbs.c.unpacked, xorbs.c.chunks)


class _XorbRow(NamedTuple):
    pk: int
    name: str
    blob: str
    bytes: int
    unpacked: int
    chunks: int
    quarantined_ms: int | None


_BY_NAME = indexed(
    select(*_COLUMNS, xorbs.c.quarantined_ms).where(xorbs.c.name == bindparam("which_name")),
    _XorbRow,
)
_NAMED = select(*_COLUMNS).where(any_of(xorbs.c.name, "names"))
_SOME = indexed(_NAMED, KnownXorb)
_MANY = scan(_NAMED, KnownXorb)


class _ContainingXorb(NamedTuple):
    pk: int
    name: str
    blob: str
    bytes: int
    unpacked: int
    chunks: int
    position: int


_CONTAINING = indexed(
    select(*_COLUMNS, xet_chunks.c.position)
    .join_from(xet_chunks, xorbs, xorbs.c.pk == xet_chunks.c.xorb_pk)
    .where(xet_chunks.c.hash == bindparam("which_hash"))
    .order_by(xorbs.c.pk)
    .limit(_CANDIDATES),
    _ContainingXorb,
)


class _LockedXorb(NamedTuple):
    pk: int
    blob: str


_LOCK = indexed(
    select(xorbs.c.pk, xorbs.c.blob)
    .where(xorbs.c.name == bindparam("which_name"))
    .with_for_update(key_share=True),
    _LockedXorb,
)
# Ordered, so that two transactions that renew the same xorbs wait and do not deadlock.
_LOCK_MANY = scan(
    select(xorbs.c.pk, xorbs.c.blob)
    .where(any_of(xorbs.c.blob, "blobs"))
    .order_by(xorbs.c.pk)
    .with_for_update(key_share=True),
    _LockedXorb,
)
_RENEW = scan(
    update(xorbs)
    .values(touched_ms=DatabaseNow(), quarantined_ms=None)
    .where(
        any_of(xorbs.c.pk, "pks"),
        or_(
            xorbs.c.touched_ms < DatabaseNow() - bindparam("stale_ms", type_=BigInteger),
            xorbs.c.quarantined_ms.is_not(None),
        ),
    )
)
_ADD = indexed(
    insert_into(
        xorbs,
        "name",
        "blob",
        "bytes",
        "unpacked",
        "chunks",
        "entries",
    )
    .values(created_ms=DatabaseNow(), touched_ms=DatabaseNow())
    .on_conflict_do_nothing()
    .returning(xorbs.c.pk),
    int,
)
_REPLACE = indexed(
    update(xorbs)
    .values(
        blob=bindparam("new_blob"),
        bytes=bindparam("new_bytes"),
        entries=bindparam("new_entries"),
    )
    .where(xorbs.c.pk == bindparam("which_pk"), xorbs.c.blob == bindparam("old_blob"))
)
_ADD_UPLOAD = indexed(insert_into(xorb_uploads, "repo_pk", "xorb_pk").on_conflict_do_nothing())
_WAS_UPLOADED = indexed(
    select(xorb_uploads.c.repo_pk).where(
        xorb_uploads.c.repo_pk == bindparam("repo_pk"),
        xorb_uploads.c.xorb_pk == bindparam("xorb_pk"),
    ),
    int,
)
_ADD_CHUNK = indexed(
    insert_into(xet_chunks, "hash", "xorb_pk", "position").on_conflict_do_nothing()
)


class UploadedXorb(msgspec.Struct, frozen=True):
    """A xorb that was received completely and verified."""

    name: str
    key: BlobKey  # the blob that it became
    index: XorbIndex | None  # None if its bytes were not stored, because the xorb was known
    replaces: str | None = None  # the damaged blob of the same xorb


async def find_xorb(db: Reader, name: str) -> KnownXorb | None:
    """Return a xorb by its hash string."""
    row = await db.one(_BY_NAME, which_name=name)
    return None if row is None else _known(row)


async def find_live_xorb(db: Reader, name: str) -> KnownXorb | None:
    """Return a xorb that is not in quarantine, where it may be deleted at any moment."""
    row = await db.one(_BY_NAME, which_name=name)
    return None if row is None or row.quarantined_ms is not None else _known(row)


async def find_xorbs(db: Reader, names: Sequence[str]) -> dict[str, KnownXorb]:
    """Return those of the xorbs that exist, by hash string."""
    known: dict[str, KnownXorb] = {}
    for start in range(0, len(names), _PAGE):
        page = list(names[start : start + _PAGE])
        rows = await db.all(_SOME if len(page) <= _FEW else _MANY, names=page)
        known.update((xorb.name, xorb) for xorb in rows)
    return known


async def xorbs_containing(db: Reader, chunk: bytes) -> list[tuple[KnownXorb, int]]:
    """Return up to eight xorbs that contain a chunk, with the position of the chunk in each.

    Only chunks that clients query are indexed: the first of a file, and eligible ones. The caller
    decides what a client may learn (`chunk_users`, `was_uploaded`) and renews the xorbs.

    Args:
        db: The database.
        chunk: The raw hash, 32 bytes.
    """
    rows = await db.all(_CONTAINING, which_hash=chunk)
    return [(_known(row), row.position) for row in rows]


def _known(row: _XorbRow | _ContainingXorb) -> KnownXorb:
    return KnownXorb(row.pk, row.name, row.blob, row.bytes, row.unpacked, row.chunks)


async def add_xorb(tx: Tx, repo_pk: int, uploaded: UploadedXorb, settings: XetSettings) -> bool:
    """Register a xorb and its upload to a repository; its bytes, if stored, are durable.

    A known xorb moves to the uploaded blob if its own blob is the damaged one.

    Returns:
        Whether the uploaded blob is in use: the xorb is new, or its blob was damaged.

    Raises:
        Unavailable: the bytes were not stored because the xorb was known, and it was deleted
            meanwhile; the client has to send it again.
        Conflict: the repository is gone.
    """
    row = await tx.one(_LOCK, which_name=uploaded.name)
    if row is None and uploaded.index is not None:
        pk = await _add(tx, uploaded, uploaded.index)
        if pk is not None:
            await tx.run(_ADD_UPLOAD, repo_pk=repo_pk, xorb_pk=pk)
            return True
        row = await tx.one(_LOCK, which_name=uploaded.name)  # another upload came first
    if row is None:
        raise Unavailable(reason="the xorb was just being removed, send it again")
    await _renew(tx, [row.pk], settings)
    await tx.run(_ADD_UPLOAD, repo_pk=repo_pk, xorb_pk=row.pk)
    if uploaded.index is None or uploaded.replaces is None or row.blob != uploaded.replaces:
        return False
    return await _replace(tx, row.pk, row.blob, uploaded.key, uploaded.index)


async def _replace(tx: Tx, pk: int, old: str, key: BlobKey, index: XorbIndex) -> bool:
    """Move a xorb to another blob, which may have the same chunks compressed differently."""
    replaced = await tx.run(
        _REPLACE,
        which_pk=pk,
        old_blob=old,
        new_blob=key.name,
        new_bytes=index.size,
        new_entries=index.pack(),
    )
    if replaced:
        await blobs.register_blob(tx, key, index.size)
        await blobs.mark_unreferenced(tx, [BlobKey(BlobKind.XORB, old)])
    return bool(replaced)


async def _add(tx: Tx, uploaded: UploadedXorb, index: XorbIndex) -> int | None:
    pk = await tx.one(
        _ADD,
        name=uploaded.name,
        blob=uploaded.key.name,
        bytes=index.size,
        unpacked=index.unpacked,
        chunks=len(index),
        entries=index.pack(),
    )
    if pk is not None:
        await blobs.register_blob(tx, uploaded.key, index.size)
        await add_chunks(tx, _eligible(index, pk))
    return pk


def _eligible(index: XorbIndex, xorb_pk: int) -> Iterator[tuple[bytes, int, int]]:
    for position in range(len(index)):
        raw = index.hash_at(position)
        if is_eligible(raw):
            yield raw, xorb_pk, position


async def add_chunks(tx: Tx, chunks: Iterable[tuple[bytes, int, int]]) -> None:
    """Index chunks that clients may query: (raw hash, pk of the xorb, position in it)."""
    rows = [
        {"hash": raw, "xorb_pk": xorb_pk, "position": position}
        for raw, xorb_pk, position in sorted(chunks)
    ]
    if rows:
        await tx.run_many(_ADD_CHUNK, rows)


async def renew_xorbs(tx: Tx, xorbs: Iterable[KnownXorb], settings: XetSettings) -> set[str]:
    """Restart the retention time of xorbs and end their quarantine.

    Returns:
        The blob names of the xorbs that still exist and still have that blob.
    """
    names = [xorb.blob for xorb in xorbs]
    rows = await tx.all(_LOCK_MANY, blobs=names) if names else []
    await _renew(tx, [row.pk for row in rows], settings)
    return {row.blob for row in rows}


async def _renew(tx: Tx, pks: list[int], settings: XetSettings) -> None:
    if pks:
        await tx.run(_RENEW, pks=pks, stale_ms=staleness_ms(settings))


async def was_uploaded(db: Reader, repo_pk: int, xorb: KnownXorb) -> bool:
    """Return whether a xorb was uploaded to a repository."""
    return await db.one(_WAS_UPLOADED, repo_pk=repo_pk, xorb_pk=xorb.pk) is not None
