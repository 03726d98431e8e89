"""The name of a blob: its kind, and the digest that the kind goes by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from hubstead.errors import InvalidInput

_HEX = re.compile(r"[0-9a-f]+")
_UPLOAD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

#: As many parts as S3 takes.
MAX_PARTS = 10_000


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
class BlobKey:
    """Which blob: ``lfs`` by sha256, ``xorb`` by Merkle hash, ``pack`` by git's name for it.

    Raises:
        InvalidInput: if no blob of the kind can have the name.
    """

    kind: BlobKind
    name: str

    def __post_init__(self) -> None:
        if len(self.name) != self.kind.name_chars or not _HEX.fullmatch(self.name):
            raise InvalidInput(
                reason=f"the name of a {self.kind} object is {self.kind.name_chars} "
                f"lower-case hex digits, not {self.name[:80]!r}"
            )

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


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
