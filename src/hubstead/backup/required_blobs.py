"""The blobs that the rows of a snapshot reference, and how to verify their bytes."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain

import msgspec

from hubstead.backup.manifest import Amount
from hubstead.blobs import (
    BlobKey,
    BlobKind,
    PackVerifier,
    Sha256Verifier,
    StoredKey,
    Verifier,
    snapshot_lfs_objects,
    snapshot_xorb_blobs,
    stored_key,
)
from hubstead.commits import repos_of_snapshot_pack, snapshot_packs
from hubstead.db import SqliteFile
from hubstead.errors import BlobCorrupt
from hubstead.xet import XorbVerifier, snapshot_xorbs


class RequiredBlob(msgspec.Struct, frozen=True):
    """One blob that rows reference."""

    key: BlobKey  # also its key in the folder of a backup
    place: StoredKey  # its key in the store of a hub
    size: int
    xorb: str | None = None  # the hash string of a xorb
    entries: bytes = b""  # the packed index of a xorb

    def verifier(self) -> Verifier:
        """Return a verifier for the bytes."""
        if self.key.kind is BlobKind.LFS:
            return Sha256Verifier(self.key.name, self.size)
        if self.key.kind is BlobKind.PACK:
            return PackVerifier(self.key.name)
        return (
            SizeVerifier(self.size) if self.xorb is None else XorbVerifier(self.xorb, self.entries)
        )


class SizeVerifier:
    """Accepts bytes of one size: a xorb that lost a race has no row with an index."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._received = 0

    def update(self, chunk: bytes | memoryview) -> None:
        """Count the bytes."""
        self._received += len(chunk)

    def finish(self) -> None:
        """Compare the sizes.

        Raises:
            BlobCorrupt: the sizes differ.
        """
        if self._received != self._size:
            raise BlobCorrupt(expected=f"{self._size} bytes", got=f"{self._received} bytes")


def required_blobs(rows: sqlite3.Connection) -> Iterator[RequiredBlob]:
    """Yield the blobs that the rows of a snapshot reference, without duplicates.

    Packs come first, because a repack of a repository may delete old packs.
    """
    file = SqliteFile(rows)
    for pack in snapshot_packs(file):
        key = BlobKey(BlobKind.PACK, pack.name)
        yield RequiredBlob(key, stored_key(key, pack.stored), pack.bytes)
    for xorb in snapshot_xorbs(file):
        key = BlobKey(BlobKind.XORB, xorb.blob)
        yield RequiredBlob(key, key, xorb.bytes, xorb.name, xorb.entries or b"")
    for blob in snapshot_lfs_objects(file):
        yield RequiredBlob(blob.key, blob.place, blob.bytes)


def listed_blobs(rows: sqlite3.Connection) -> Iterator[tuple[str, str, int]]:
    """Yield kind, name and size of the blobs of ``required_blobs``; cheaper, without indexes."""
    file = SqliteFile(rows)
    yield from ((BlobKind.PACK.value, pack.name, pack.bytes) for pack in snapshot_packs(file))
    for blob in chain(snapshot_xorb_blobs(file), snapshot_lfs_objects(file)):
        yield blob.kind, blob.name, blob.bytes


def required_amounts(rows: sqlite3.Connection) -> dict[str, Amount]:
    """Return number and size of the blobs of ``required_blobs`` by kind."""
    amounts: defaultdict[str, Amount] = defaultdict(Amount)
    for kind, _, size in listed_blobs(rows):
        amounts[kind] += Amount(1, size)
    return dict(amounts)


def repos_of_pack(rows: sqlite3.Connection, pack: str) -> list[str]:
    """Return the ids of the repositories that have a pack."""
    return repos_of_snapshot_pack(SqliteFile(rows), pack)
