"""The blobs that the rows of a snapshot reference, and how to verify their bytes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

from hubstead.backup.manifest import Amount
from hubstead.blobs import (
    BlobKey,
    BlobKind,
    PackVerifier,
    Sha256Verifier,
    StoredKey,
    Verifier,
    stored_key,
)
from hubstead.errors import BlobCorrupt
from hubstead.xet import XorbParser, XorbRefused

# Packs first: a repack of a repository may delete old packs.
_PACKS = (
    "SELECT pack.name, max(pack.bytes), max(blob.stored) FROM pack"
    " LEFT JOIN blob ON blob.kind = 'pack' AND blob.name = pack.name GROUP BY pack.name"
)
_XORBS = (
    "SELECT blob.name, blob.bytes, xorb.name, xorb.entries FROM blob"
    " LEFT JOIN xorb ON xorb.blob = blob.name WHERE blob.kind = 'xorb'"
)
# Objects that room ``xet`` reconstructs have no bytes of their own.
_LFS = "SELECT name, bytes, stored FROM blob WHERE kind = 'lfs' AND folded_ms IS NULL"
#: The same blobs without the columns that verify them: cheap to read.
_LISTED = (
    "SELECT 'pack' AS kind, name, max(bytes) AS bytes FROM pack GROUP BY name"
    " UNION ALL SELECT kind, name, bytes FROM blob WHERE kind = 'xorb'"
    " UNION ALL SELECT kind, name, bytes FROM blob WHERE kind = 'lfs' AND folded_ms IS NULL"
)
_REPOS_OF_PACK = "SELECT repo.id FROM pack JOIN repo ON repo.pk = pack.repo_pk WHERE pack.name = ?"


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
        return SizeVerifier(self.size) if self.xorb is None else XorbVerifier(self)


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


class XorbVerifier:
    """Accepts the bytes of a xorb whose index equals the index in its row."""

    def __init__(self, blob: RequiredBlob) -> None:
        assert blob.xorb is not None
        self._blob = blob
        self._parser = XorbParser(blob.xorb, lambda _records: None)

    def update(self, chunk: bytes | memoryview) -> None:
        """Unpack and hash the chunks.

        Raises:
            BlobCorrupt: a chunk is malformed.
        """
        try:
            self._parser.feed(chunk)
        except XorbRefused as error:
            raise self._corrupt(error.message) from error

    def finish(self) -> None:
        """Compare the indexes.

        Raises:
            BlobCorrupt: the xorb is incomplete or has another index.
        """
        try:
            index = self._parser.finish()
        except XorbRefused as error:
            raise self._corrupt(error.message) from error
        if index.pack() != self._blob.entries:
            raise self._corrupt("other chunks, or chunks packed in another way")

    def _corrupt(self, got: str) -> BlobCorrupt:
        return BlobCorrupt(expected=f"the xorb {self._blob.xorb}", got=got)


def required_blobs(rows: sqlite3.Connection) -> Iterator[RequiredBlob]:
    """Yield the blobs that the rows of a snapshot reference, without duplicates."""
    for name, size, stored in rows.execute(_PACKS):
        key = BlobKey(BlobKind.PACK, name)
        yield RequiredBlob(key, stored_key(key, stored), size)
    for name, size, xorb, entries in rows.execute(_XORBS):
        key = BlobKey(BlobKind.XORB, name)
        yield RequiredBlob(key, key, size, xorb, entries or b"")
    for name, size, stored in rows.execute(_LFS):
        key = BlobKey(BlobKind.LFS, name)
        yield RequiredBlob(key, stored_key(key, stored), size)


def listed_blobs(rows: sqlite3.Connection) -> Iterator[tuple[str, str, int]]:
    """Yield kind, name and size of the blobs of ``required_blobs``."""
    yield from rows.execute(_LISTED)


def required_amounts(rows: sqlite3.Connection) -> dict[str, Amount]:
    """Return number and size of the blobs of ``required_blobs`` by kind."""
    sql = f"SELECT kind, count(*), sum(bytes) FROM ({_LISTED}) GROUP BY kind"  # noqa: S608
    return {kind: Amount(count, size) for kind, count, size in rows.execute(sql)}


def repos_of_pack(rows: sqlite3.Connection, pack: str) -> list[str]:
    """Return the ids of the repositories that have a pack."""
    return [row[0] for row in rows.execute(_REPOS_OF_PACK, (pack,))]
