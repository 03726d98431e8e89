"""The xorbs that the rows of a backup's snapshot require."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import select

from hubstead.blobs import BlobKind
from hubstead.blobs.tables import blobs
from hubstead.db import SqliteFile, scan
from hubstead.xet.tables import xorbs

#: Whether a xorb has the blob: joined to a statement of room ``blobs``.
BLOB_IS_OF_XORB = (
    select(xorbs.c.name)
    .where(blobs.c.kind == BlobKind.XORB.value, xorbs.c.blob == blobs.c.name)
    .exists()
)


class SnapshotXorb(NamedTuple):
    """The blob of a xorb in a snapshot, with its row if it has one."""

    blob: str
    bytes: int
    name: str | None  # the hash string; a xorb that lost a race has no row
    entries: builtins.bytes | None  # the packed index


_XORBS = scan(
    select(blobs.c.name.label("blob"), blobs.c.bytes, xorbs.c.name, xorbs.c.entries)
    .outerjoin_from(blobs, xorbs, xorbs.c.blob == blobs.c.name)
    .where(blobs.c.kind == BlobKind.XORB.value),
    SnapshotXorb,
)


def snapshot_xorbs(rows: SqliteFile) -> Iterator[SnapshotXorb]:
    """Yield the blobs of xorbs."""
    return rows.rows(_XORBS)
