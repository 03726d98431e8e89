"""The names of a blob: its digest, and the stored name under which a store has its bytes.

A stored name is used once. New bytes get a new random one, so a delayed request to delete the old
bytes cannot destroy the new ones. The row of the blob maps the digest to the stored name.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from enum import StrEnum

from hubstead.errors import InvalidInput

_HEX = re.compile(r"[0-9a-f]+")
_UPLOAD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

#: The maximum number of parts of an S3 multipart upload.
MAX_PARTS = 10_000
#: The length of a stored name.
STORED_CHARS = 48


class BlobKind(StrEnum):
    """The kind of a blob; every kind has its own digest."""

    LFS = "lfs"
    XORB = "xorb"
    PACK = "pack"

    @property
    def name_chars(self) -> int:
        """The length of its names in lower-case hex digits."""
        return 40 if self is BlobKind.PACK else 64


@dataclass(frozen=True, slots=True)
class StoredKey:
    """The name of stored bytes: 48 random lower-case hex digits.

    No digest has this length, so a release that knows only digests ignores such an object.

    Raises:
        InvalidInput: if the name is invalid for stored bytes of the kind.
    """

    kind: BlobKind
    name: str

    def __post_init__(self) -> None:
        _check_name(self.kind, self.name, STORED_CHARS)

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class BlobKey(StoredKey):
    """The digest of a blob: sha256 of ``lfs``, Merkle hash of ``xorb``, git's name of ``pack``.

    It is a stored key, too: of blobs that earlier releases stored under their digest, and of
    xorbs, whose names are random anyway.

    Raises:
        InvalidInput: if the name is invalid for a blob of the kind.
    """

    def __post_init__(self) -> None:
        _check_name(self.kind, self.name, self.kind.name_chars)

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def new_stored_key(kind: BlobKind) -> StoredKey:
    """Return a new random stored key."""
    return StoredKey(kind, secrets.token_hex(STORED_CHARS // 2))


def parse_stored(kind: BlobKind, name: str) -> StoredKey:
    """Return the key of a stored name.

    Raises:
        InvalidInput: if the name is invalid for stored bytes of the kind.
    """
    return StoredKey(kind, name) if len(name) == STORED_CHARS else BlobKey(kind, name)


def stored_key(key: BlobKey, stored: str | None) -> StoredKey:
    """Return the stored key of a blob, given the column ``stored`` of its row."""
    return key if stored is None else parse_stored(key.kind, stored)


def _check_name(kind: BlobKind, name: str, chars: int) -> None:
    if len(name) != chars or not _HEX.fullmatch(name):
        raise InvalidInput(
            reason=f"the name of a {kind} object is {chars} lower-case hex digits, "
            f"not {name[:80]!r}"
        )


def check_upload(upload: str) -> str:
    """Return ``upload`` if it is a valid id of a multipart upload.

    Raises:
        InvalidInput: if not; the id becomes part of paths.
    """
    if not _UPLOAD.fullmatch(upload):
        raise InvalidInput(reason=f"not the id of an upload: {upload[:80]!r}")
    return upload


def check_part_number(number: int) -> int:
    """Return ``number`` if it is a valid part number: 1 to 10000.

    Raises:
        InvalidInput: if not.
    """
    if not 1 <= number <= MAX_PARTS:
        raise InvalidInput(reason=f"parts are numbered from 1 to {MAX_PARTS}, not {number}")
    return number
