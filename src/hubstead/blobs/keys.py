"""The names of a blob: the digest that its kind goes by, and the name under which it is stored.

A stored name is used once. Bytes that come anew get a new one, made by chance, so a request to
delete the old ones destroys nothing, however late it arrives. The row of the blob leads from the
digest to the stored name.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from enum import StrEnum

from hubstead.errors import InvalidInput

_HEX = re.compile(r"[0-9a-f]+")
_UPLOAD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

#: As many parts as S3 takes.
MAX_PARTS = 10_000
#: The length of a stored name.
STORED_CHARS = 48


class BlobKind(StrEnum):
    """What the bytes are; each kind is named by a digest of its own."""

    LFS = "lfs"
    XORB = "xorb"
    PACK = "pack"

    @property
    def name_chars(self) -> int:
        """How many lower-case hex digits its names have."""
        return 40 if self is BlobKind.PACK else 64


@dataclass(frozen=True, slots=True)
class StoredKey:
    """Where bytes are stored: under a name made by chance, 48 lower-case hex digits.

    No kind is named by a digest of this length, so a release that knows digests only takes such
    an object for nothing of its own and leaves it alone.

    Raises:
        InvalidInput: if no stored object of the kind can have the name.
    """

    kind: BlobKind
    name: str

    def __post_init__(self) -> None:
        _check_name(self.kind, self.name, STORED_CHARS)

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class BlobKey(StoredKey):
    """Which blob: ``lfs`` by sha256, ``xorb`` by Merkle hash, ``pack`` by git's name for it.

    It is a stored key as well: of what earlier releases stored under the digest, and of xorbs,
    whose blobs are named by chance anyway.

    Raises:
        InvalidInput: if no blob of the kind can have the name.
    """

    def __post_init__(self) -> None:
        _check_name(self.kind, self.name, self.kind.name_chars)

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def new_stored_key(kind: BlobKind) -> StoredKey:
    """Return a stored key that was never used and never will be again."""
    return StoredKey(kind, secrets.token_hex(STORED_CHARS // 2))


def parse_stored(kind: BlobKind, name: str) -> StoredKey:
    """Return the key of what is stored under a name.

    Raises:
        InvalidInput: if nothing of the kind can be stored under the name.
    """
    return StoredKey(kind, name) if len(name) == STORED_CHARS else BlobKey(kind, name)


def stored_key(key: BlobKey, stored: str | None) -> StoredKey:
    """Return where a blob lies, given the column ``stored`` of its row."""
    return key if stored is None else parse_stored(key.kind, stored)


def _check_name(kind: BlobKind, name: str, chars: int) -> None:
    if len(name) != chars or not _HEX.fullmatch(name):
        raise InvalidInput(
            reason=f"the name of a {kind} object is {chars} lower-case hex digits, "
            f"not {name[:80]!r}"
        )


def check_upload(upload: str) -> str:
    """Return ``upload`` if an upload in parts may be called so.

    Raises:
        InvalidInput: if not; the id becomes part of paths.
    """
    if not _UPLOAD.fullmatch(upload):
        raise InvalidInput(reason=f"not the id of an upload: {upload[:80]!r}")
    return upload


def check_part_number(number: int) -> int:
    """Return ``number`` if a part may have it: 1 to 10000.

    Raises:
        InvalidInput: if not.
    """
    if not 1 <= number <= MAX_PARTS:
        raise InvalidInput(reason=f"parts are numbered from 1 to {MAX_PARTS}, not {number}")
    return number
