"""Which bytes the rows of a snapshot need, and how one knows them again."""

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

# Packs first: folding a repository's packs may take old ones away.
_PACKS = (
    "SELECT pack.name, max(pack.bytes), max(blob.stored) FROM pack"
    " LEFT JOIN blob ON blob.kind = 'pack' AND blob.name = pack.name GROUP BY pack.name"
)
_XORBS = (
    "SELECT blob.name, blob.bytes, xorb.name, xorb.entries FROM blob"
    " LEFT JOIN xorb ON xorb.blob = blob.name WHERE blob.kind = 'xorb'"
)
# What room ``xet`` puts together has no bytes of its own.
_LFS = "SELECT name, bytes, stored FROM blob WHERE kind = 'lfs' AND folded_ms IS NULL"
#: The same without what tells them: cheap to read.
_BRIEFLY = (
    "SELECT 'pack' AS kind, name, max(bytes) AS bytes FROM pack GROUP BY name"
    " UNION ALL SELECT kind, name, bytes FROM blob WHERE kind = 'xorb'"
    " UNION ALL SELECT kind, name, bytes FROM blob WHERE kind = 'lfs' AND folded_ms IS NULL"
)
_HOMES = "SELECT repo.id FROM pack JOIN repo ON repo.pk = pack.repo_pk WHERE pack.name = ?"


class RequiredBlob(msgspec.Struct, frozen=True):
    """One blob that rows name."""

    key: BlobKey  # its name, also in the folder of a backup
    place: StoredKey  # where a hub has it
    size: int
    xorb: str | None = None  # its hash string
    entries: bytes = b""  # and its index

    def verifier(self) -> Verifier:
        """Return who tells whether bytes are the right ones."""
        if self.key.kind is BlobKind.LFS:
            return Sha256Verifier(self.key.name, self.size)
        if self.key.kind is BlobKind.PACK:
            return PackVerifier(self.key.name)
        return SizeVerifier(self.size) if self.xorb is None else XorbVerifier(self)


class SizeVerifier:
    """Accepts a number of bytes: a xorb that lost a race has no row that says more."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._seen = 0

    def update(self, chunk: bytes | memoryview) -> None:
        """Count."""
        self._seen += len(chunk)

    def finish(self) -> None:
        """Compare."""
        if self._seen != self._size:
            raise BlobCorrupt(expected=f"{self._size} bytes", got=f"{self._seen} bytes")


class XorbVerifier:
    """Accepts the bytes of a xorb that give exactly the index which its row has."""

    def __init__(self, need: RequiredBlob) -> None:
        assert need.xorb is not None
        self._need = need
        self._receiver = XorbParser(need.xorb, lambda _records: None)

    def update(self, chunk: bytes | memoryview) -> None:
        """Unpack and hash.

        Raises:
            BlobCorrupt: as soon as something is wrong.
        """
        try:
            self._receiver.feed(chunk)
        except XorbRefused as error:
            raise self._corrupt(error.message) from error

    def finish(self) -> None:
        """Compare."""
        try:
            index = self._receiver.finish()
        except XorbRefused as error:
            raise self._corrupt(error.message) from error
        if index.pack() != self._need.entries:
            raise self._corrupt("other chunks, or chunks packed in another way")

    def _corrupt(self, got: str) -> BlobCorrupt:
        return BlobCorrupt(expected=f"the xorb {self._need.xorb}", got=got)


def required_blobs(rows: sqlite3.Connection) -> Iterator[RequiredBlob]:
    """Yield every blob that the rows of a snapshot need, each once."""
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
    """Yield kind, name and bytes of what ``needs`` yields."""
    yield from rows.execute(_BRIEFLY)


def required_amounts(rows: sqlite3.Connection) -> dict[str, Amount]:
    """Return by kind how much ``needs`` yields."""
    sql = f"SELECT kind, count(*), sum(bytes) FROM ({_BRIEFLY}) GROUP BY kind"  # noqa: S608
    return {kind: Amount(count, size) for kind, count, size in rows.execute(sql)}


def repos_of_pack(rows: sqlite3.Connection, pack: str) -> list[str]:
    """Return the ids of the repositories that hold a pack."""
    return [row[0] for row in rows.execute(_HOMES, (pack,))]
