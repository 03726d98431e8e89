"""What ``hubstead doctor`` and ``hubstead repair`` read: rows of blobs, and rows that disagree."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import and_, select

from hubstead.blobs.keys import BlobKey, BlobKind, StoredKey, stored_key
from hubstead.blobs.tables import DELETING, blobs, holds, repo_blobs
from hubstead.db import Reader, scan

_SAME = and_(repo_blobs.c.kind == blobs.c.kind, repo_blobs.c.name == blobs.c.name)


class BlobRow(NamedTuple):
    """The row of a blob."""

    kind: str
    name: str
    bytes: int
    unreferenced_ms: int | None
    reconstructable_ms: int | None
    damaged_ms: int | None
    stored: str | None

    @property
    def key(self) -> BlobKey:
        """The blob."""
        return BlobKey(BlobKind(self.kind), self.name)

    @property
    def place(self) -> StoredKey:
        """The stored name of its bytes."""
        return stored_key(self.key, self.stored)

    @property
    def stored_name(self) -> str:
        """The name part of ``place``."""
        return self.stored or self.name

    @property
    def needs_bytes(self) -> bool:
        """Whether the store must have its bytes: it is neither reconstructable nor deleting."""
        return self.reconstructable_ms is None and self.unreferenced_ms != DELETING


_BLOBS = select(*(blobs.c[name] for name in BlobRow._fields)).order_by(blobs.c.kind, blobs.c.name)
_ALL_BLOBS = scan(_BLOBS, BlobRow)
_BLOBS_NEEDING_BYTES = scan(
    _BLOBS.where(
        blobs.c.reconstructable_ms.is_(None), blobs.c.unreferenced_ms.is_distinct_from(DELETING)
    ),
    BlobRow,
)


class InconsistentLink(NamedTuple):
    """A link that does not agree with its blob."""

    repo_pk: int
    kind: str
    name: str
    bytes: int
    blob_bytes: int | None  # None: the blob has no row
    unreferenced_ms: int | None


_INCONSISTENT_LINKS = scan(
    select(
        repo_blobs.c.repo_pk,
        repo_blobs.c.kind,
        repo_blobs.c.name,
        repo_blobs.c.bytes,
        blobs.c.bytes.label("blob_bytes"),
        blobs.c.unreferenced_ms,
    )
    .outerjoin_from(repo_blobs, blobs, _SAME)
    .where(
        blobs.c.name.is_(None)
        | (blobs.c.bytes != repo_blobs.c.bytes)
        | blobs.c.unreferenced_ms.is_not(None)
    )
    .order_by(repo_blobs.c.repo_pk, repo_blobs.c.kind, repo_blobs.c.name),
    InconsistentLink,
)


class BlobName(NamedTuple):
    """Kind and name of a blob."""

    kind: str
    name: str


_UNLINKED = scan(
    select(blobs.c.kind, blobs.c.name)
    .outerjoin_from(blobs, repo_blobs, _SAME)
    .where(
        repo_blobs.c.name.is_(None),
        blobs.c.unreferenced_ms.is_(None),
        blobs.c.kind != BlobKind.XORB.value,  # rows of room ``xet`` keep these alive
    )
    .order_by(blobs.c.kind, blobs.c.name),
    BlobName,
)
_WITHOUT_HOLD = scan(
    select(repo_blobs.c.kind, repo_blobs.c.name)
    .outerjoin_from(
        repo_blobs,
        holds,
        and_(
            holds.c.repo_pk == repo_blobs.c.repo_pk,
            holds.c.kind == repo_blobs.c.kind,
            holds.c.name == repo_blobs.c.name,
        ),
    )
    .where(repo_blobs.c.committed == 0, holds.c.name.is_(None))
    .order_by(repo_blobs.c.kind, repo_blobs.c.name),
    BlobName,
)


async def blob_rows(db: Reader, *, needing_bytes: bool = False) -> list[BlobRow]:
    """Return the rows of all blobs, or of those that need bytes in the store, by kind and name."""
    return await db.all(_BLOBS_NEEDING_BYTES if needing_bytes else _ALL_BLOBS)


async def inconsistent_links(db: Reader) -> list[InconsistentLink]:
    """Return the links to blobs that have no row, another size, or no right to be linked."""
    return await db.all(_INCONSISTENT_LINKS)


async def unlinked_blobs(db: Reader) -> list[BlobName]:
    """Return the blobs, except xorbs, that are live without a link: nothing ever deletes them."""
    return await db.all(_UNLINKED)


async def uploads_without_hold(db: Reader) -> list[BlobName]:
    """Return the uncommitted blobs without a hold: nothing ever unlinks them."""
    return await db.all(_WITHOUT_HOLD)
