"""What a snapshot says of itself: ``manifest.json``, written when all else is there."""

from __future__ import annotations

import msgspec

FORMAT = 1


class Amount(msgspec.Struct, frozen=True):
    """How many things, and their bytes together."""

    count: int = 0
    bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.count + other.count, self.bytes + other.bytes)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One complete snapshot."""

    format: int = FORMAT
    id: str
    made_ms: int  # the moment that it shows
    program: str  # version of Hubstead
    schema: str  # of database.sqlite, such as 0002
    shape: str  # what was backed up: sqlite+files or postgresql+s3
    database_bytes: int
    database_sha256: str
    list_sha256: str  # of blobs.tsv
    tables: dict[str, int]  # rows
    blobs: dict[str, Amount]  # by kind: all that it names
    new: Amount  # blobs that it was the first to bring
    lacking: tuple[str, ...] = ()  # blobs it names whose bytes could not be had

    @property
    def total(self) -> Amount:
        """All blobs that it names."""
        return sum(self.blobs.values(), Amount())


def encode(manifest: Manifest) -> bytes:
    """Return the file's bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode(data: bytes) -> Manifest | None:
    """Read a manifest; None if this is none, or one of a newer format."""
    try:
        found = msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError:
        return None
    return found if found.format == FORMAT else None
