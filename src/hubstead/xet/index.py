"""The rows of xorbs: which there are, where their bytes are, who sent them, who needs them.

A xorb exists as long as its row does. Whoever relies on one for what comes later (an upload that
need not be sent, an answer that names it, a file that is made of it) touches it in the same
transaction, which takes it out of quarantine as well.
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
from hubstead.settings import Settings
from hubstead.xet.dedup_shards import is_eligible
from hubstead.xet.expiry import staleness_ms
from hubstead.xet.tables import xet_chunks, xorb_uploads, xorbs
from hubstead.xet.xorbs import XorbIndex

#: How many xorbs may hold one chunk that clients ask for, in an answer.
_CANDIDATES = 8
#: As many names are looked up in the event loop; more go to a thread.
_FEW = 8
_PAGE = 1000


class KnownXorb(NamedTuple):
    """A xorb that exists."""

    pk: int
    name: str
    blob: str  # the name of its blob, which no other bytes ever have
    bytes: int  # as stored
    unpacked: int
    chunks: int

    @property
    def key(self) -> BlobKey:
        """Its bytes."""
        return BlobKey(BlobKind.XORB, self.blob)


_COLUMNS = (xorbs.c.pk, xorbs.c.name, xorbs.c.blob, xorbs.c.bytes, xorbs.c.unpacked, xorbs.c.chunks)


class _XorbRow(NamedTuple):
    pk: int
    name: str
    blob: str
    bytes: int
    unpacked: int
    chunks: int
    doomed_ms: int | None


_BY_NAME = indexed(
    select(*_COLUMNS, xorbs.c.doomed_ms).where(xorbs.c.name == bindparam("which_name")), _XorbRow
)
_NAMED = select(*_COLUMNS).where(any_of(xorbs.c.name, "names"))
_SOME = indexed(_NAMED, KnownXorb)
_MANY = scan(_NAMED, KnownXorb)


class _Holding(NamedTuple):
    pk: int
    name: str
    blob: str
    bytes: int
    unpacked: int
    chunks: int
    position: int


_HOLDING = indexed(
    select(*_COLUMNS, xet_chunks.c.position)
    .join_from(xet_chunks, xorbs, xorbs.c.pk == xet_chunks.c.xorb_pk)
    .where(xet_chunks.c.hash == bindparam("which_hash"))
    .order_by(xorbs.c.pk)
    .limit(_CANDIDATES),
    _Holding,
)


class _Locked(NamedTuple):
    pk: int
    blob: str


_LOCK = indexed(
    select(xorbs.c.pk, xorbs.c.blob)
    .where(xorbs.c.name == bindparam("which_name"))
    .with_for_update(key_share=True),
    _Locked,
)
# In the order of their numbers, so that two who touch the same xorbs wait and do not deadlock.
_LOCK_MANY = scan(
    select(xorbs.c.pk, xorbs.c.blob)
    .where(any_of(xorbs.c.blob, "blobs"))
    .order_by(xorbs.c.pk)
    .with_for_update(key_share=True),
    _Locked,
)
_TOUCH = scan(
    update(xorbs)
    .values(touched_ms=DatabaseNow(), doomed_ms=None)
    .where(
        any_of(xorbs.c.pk, "pks"),
        or_(
            xorbs.c.touched_ms < DatabaseNow() - bindparam("stale_ms", type_=BigInteger),
            xorbs.c.doomed_ms.is_not(None),
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
_SENT = indexed(insert_into(xorb_uploads, "repo_pk", "xorb_pk").on_conflict_do_nothing())
_WAS_SENT = indexed(
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
    """A xorb that was received whole and checked."""

    name: str
    key: BlobKey  # the blob that it became
    index: XorbIndex | None  # None if that was not kept, because the xorb was known
    damaged: str | None = None  # the blob that it replaces, which was found damaged


async def find_xorb(db: Reader, name: str) -> KnownXorb | None:
    """Return a xorb by its hash string."""
    row = await db.one(_BY_NAME, which_name=name)
    return None if row is None else _known(row)


async def find_settled(db: Reader, name: str) -> KnownXorb | None:
    """Return a xorb that exists and will for a while: one in quarantine may go at any moment."""
    row = await db.one(_BY_NAME, which_name=name)
    return None if row is None or row.doomed_ms is not None else _known(row)


async def find_xorbs(db: Reader, names: Sequence[str]) -> dict[str, KnownXorb]:
    """Return those of the xorbs that exist, by hash string."""
    found: dict[str, KnownXorb] = {}
    for start in range(0, len(names), _PAGE):
        page = list(names[start : start + _PAGE])
        rows = await db.all(_SOME if len(page) <= _FEW else _MANY, names=page)
        found.update((xorb.name, xorb) for xorb in rows)
    return found


async def xorbs_containing(db: Reader, chunk: bytes) -> list[tuple[KnownXorb, int]]:
    """Return xorbs that hold a chunk (32 raw bytes) which clients ask for, and its place in each.

    Only chunks that are the first of a file, or eligible by their hash, are found.
    """
    rows = await db.all(_HOLDING, which_hash=chunk)
    return [(_known(row), row.position) for row in rows]


def _known(row: _XorbRow | _Holding) -> KnownXorb:
    return KnownXorb(row.pk, row.name, row.blob, row.bytes, row.unpacked, row.chunks)


async def add_xorb(tx: Tx, repo_pk: int, sent: UploadedXorb, settings: Settings) -> bool:
    """Note that a xorb was sent to a repository; its bytes, if they were kept, are durable.

    If the xorb was known and lies in the blob that was found damaged, what was sent takes the
    place of that.

    Returns:
        Whether its blob is needed: it is new, or replaces a damaged one.

    Raises:
        Unavailable: nothing was kept, and what was known is gone; send it again.
        Conflict: the repository is gone.
    """
    row = await tx.one(_LOCK, which_name=sent.name)
    if row is None and sent.index is not None:
        pk = await _add(tx, sent, sent.index)
        if pk is not None:
            await tx.run(_SENT, repo_pk=repo_pk, xorb_pk=pk)
            return True
        row = await tx.one(_LOCK, which_name=sent.name)  # somebody else was first
    if row is None:
        raise Unavailable(reason="the xorb was just being removed, send it again")
    await _touch(tx, [row.pk], settings)
    await tx.run(_SENT, repo_pk=repo_pk, xorb_pk=row.pk)
    if sent.index is None or sent.damaged is None or row.blob != sent.damaged:
        return False
    return await _replace(tx, row.pk, row.blob, sent.key, sent.index)


async def _replace(tx: Tx, pk: int, old: str, key: BlobKey, index: XorbIndex) -> bool:
    """Have a xorb lie in another blob, whose chunks are the same but may be stored otherwise."""
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


async def _add(tx: Tx, sent: UploadedXorb, index: XorbIndex) -> int | None:
    pk = await tx.one(
        _ADD,
        name=sent.name,
        blob=sent.key.name,
        bytes=index.size,
        unpacked=index.unpacked,
        chunks=len(index),
        entries=index.pack(),
    )
    if pk is not None:
        await blobs.register_blob(tx, sent.key, index.size)
        await add_chunks(tx, _eligible(index, pk))
    return pk


def _eligible(index: XorbIndex, xorb_pk: int) -> Iterator[tuple[bytes, int, int]]:
    for position in range(len(index)):
        raw = index.hash_at(position)
        if is_eligible(raw):
            yield raw, xorb_pk, position


async def add_chunks(tx: Tx, chunks: Iterable[tuple[bytes, int, int]]) -> None:
    """Note where chunks are that clients may ask for: raw hash, number of the xorb, place."""
    rows = [
        {"hash": raw, "xorb_pk": xorb_pk, "position": position}
        for raw, xorb_pk, position in sorted(chunks)
    ]
    if rows:
        await tx.run_many(_ADD_CHUNK, rows)


async def touch(tx: Tx, found: Iterable[KnownXorb], settings: Settings) -> set[str]:
    """Keep xorbs for longer, because somebody is going to rely on them.

    Returns:
        The blobs of those that still exist, as they were found.
    """
    names = [each.blob for each in found]
    rows = await tx.all(_LOCK_MANY, blobs=names) if names else []
    await _touch(tx, [row.pk for row in rows], settings)
    return {row.blob for row in rows}


async def _touch(tx: Tx, pks: list[int], settings: Settings) -> None:
    if pks:
        await tx.run(_TOUCH, pks=pks, stale_ms=staleness_ms(settings))


async def was_uploaded(db: Reader, repo_pk: int, xorb_pk: int) -> bool:
    """Say whether a xorb was uploaded to a repository."""
    return await db.one(_WAS_SENT, repo_pk=repo_pk, xorb_pk=xorb_pk) is not None
