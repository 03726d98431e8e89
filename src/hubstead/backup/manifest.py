"""The manifest of a snapshot: ``manifest.json``, written after all other files."""

from __future__ import annotations

import msgspec

FORMAT = 1


class Amount(msgspec.Struct, frozen=True):
    """A number of blobs, and the sum of their bytes."""

    count: int = 0
    bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.count + other.count, self.bytes + other.bytes)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The description of one complete snapshot."""

    format: int = FORMAT
    id: str
    made_ms: int  # the time of the rows
    program: str  # version of Hubstead
    schema: str  # of database.sqlite, such as 0002
    shape: str  # of the hub: sqlite+files or postgresql+s3
    database_bytes: int
    database_sha256: str
    list_sha256: str  # of blobs.tsv
    tables: dict[str, int]  # rows
    blobs: dict[str, Amount]  # by kind: all blobs of the snapshot
    new: Amount  # blobs that no earlier snapshot copied
    lacking: tuple[str, ...] = ()  # blobs without bytes in the backup, with the reason

    @property
    def total(self) -> Amount:
        """All blobs of the snapshot."""
        return sum(self.blobs.values(), Amount())


def encode(manifest: Manifest) -> bytes:
    """Return the content of ``manifest.json``."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode(data: bytes) -> Manifest | None:
    """Parse ``manifest.json``; None if it is damaged or of a newer format."""
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError:
        return None
    return manifest if manifest.format == FORMAT else None
