"""Git LFS pointer files: what git holds in place of a large file.

The format is "The Pointer" of git-lfs ``docs/spec.md``, https version 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_BYTES = 1023
BEGINNING = b"version https://git-lfs.github.com/spec/v1\n"
_POINTER = re.compile(
    re.escape(BEGINNING) + rb"(?:ext-[0-9]-[a-z0-9]+ sha256:[0-9a-f]{64}\n)*"
    rb"oid sha256:([0-9a-f]{64})\n"
    rb"size (0|[1-9][0-9]{0,18})\n?"
)


@dataclass(frozen=True, slots=True)
class Pointer:
    """Names a large file by its sha256 (64 hex digits) and size in bytes."""

    oid: str
    size: int

    def format(self) -> bytes:
        """Return the pointer file."""
        return b"%boid sha256:%b\nsize %d\n" % (BEGINNING, self.oid.encode(), self.size)


def parse(data: bytes) -> Pointer | None:
    """Return what a file's content points to, or None when it is no pointer.

    As git-lfs does, lets the last newline be missing and skips extension lines; all else has to
    be exact.
    """
    if len(data) > MAX_BYTES:
        return None
    found = _POINTER.fullmatch(data)
    if found is None or int(found[2]) >= 1 << 63:
        return None
    return Pointer(found[1].decode(), int(found[2]))
