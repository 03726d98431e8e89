"""The blobs that the rows of a backup's snapshot require, and the rows that it leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import bindparam, select

from hubstead.blobs.keys import BlobKey, BlobKind, StoredKey, stored_key
from hubstead.blobs.tables import blobs
from hubstead.db import SqliteFile, scan


class SnapshotBlob(NamedTuple):
    """A blob in a snapshot."""

    kind: str
    name: str
    bytes: int
    stored: str | None

    @property
    def key(self) -> BlobKey:
        """The blob."""
        return BlobKey(BlobKind(self.kind), self.name)

    @property
    def place(self) -> StoredKey:
        """The stored name of its bytes in the hub."""
        return stored_key(self.key, self.stored)


# Objects that room ``xet`` reconstructs have no bytes of their own.
_WITH_BYTES = scan(
    select(blobs.c.kind, blobs.c.name, blobs.c.bytes, blobs.c.stored).where(
        blobs.c.kind == bindparam("kind"), blobs.c.reconstructable_ms.is_(None)
    ),
    SnapshotBlob,
)
_OF_KIND = scan(
    select(blobs.c.kind, blobs.c.name, blobs.c.bytes, blobs.c.stored).where(
        blobs.c.kind == bindparam("kind")
    ),
    SnapshotBlob,
)


def snapshot_lfs_objects(rows: SqliteFile) -> Iterator[SnapshotBlob]:
    """Yield the LFS objects that have bytes of their own."""
    return rows.rows(_WITH_BYTES, kind=BlobKind.LFS.value)


def snapshot_xorb_blobs(rows: SqliteFile) -> Iterator[SnapshotBlob]:
    """Yield the blobs of xorbs."""
    return rows.rows(_OF_KIND, kind=BlobKind.XORB.value)
