"""Git LFS pointer files: what git holds in place of a large file.

The written format is "The Pointer" of git-lfs ``docs/spec.md``, https version 1. What is read is
what the program git-lfs takes for a pointer, which is more: a client whose checkout replaces a
text by an object needs that object, so it has to be linked here as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: A longer file is no pointer to git-lfs when it looks through a repository for objects.
MAX_BYTES = 1023
#: What git-lfs reads of a file of any length when it checks it out.
_SMUDGED_BYTES = MAX_BYTES + 1
#: A longer file in a push is not examined for a pointer with padding.
MAX_PADDED_POINTER_BYTES = 4096

_WRITTEN = b"https://git-lfs.github.com/spec/v1"
_VERSIONS = (_WRITTEN, b"https://hawser.github.com/spec/v1", b"http://git-media.io/v/2")
#: Every pointer file has one of these, and next to no other file.
MARKS = tuple(b"version " + version for version in _VERSIONS)
#: No pointer is shorter: the shortest version, and a size of one digit.
MIN_POINTER_BYTES = len(min(MARKS, key=len)) + len("\noid sha256:\nsize 0") + 64

#: Unicode's white space in UTF-8, as Go's ``bytes.TrimSpace`` takes it away at both ends.
_SPACE = (
    rb"(?:[\t-\r ]|\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2\x80[\x80-\x8a\xa8\xa9\xaf]"
    rb"|\xe2\x81\x9f|\xe3\x80\x80)*"
)
_END = rb"(?:\r?\n)+"
_EXTENSION = rb"ext-[0-9]-[0-9A-Za-z_][^ \n]* sha256:[0-9a-f]{64}"
_EXTENSIONS = rb"((?:" + _EXTENSION + _END + rb")*)"
_POINTER = re.compile(
    _SPACE
    + (_EXTENSIONS + b"(?:%b)" % b"|".join(re.escape(mark) for mark in MARKS) + _END)
    + (_EXTENSIONS + rb"oid sha256:([0-9a-f]{64})" + _END)
    + (_EXTENSIONS + rb"size ([+-]?[0-9]+)" + _SPACE)
)
_KEY = re.compile(rb"^ext-([0-9])-[^ \n]*", re.MULTILINE)


@dataclass(frozen=True, order=True, slots=True)
class Pointer:
    """Names a large file by its sha256 (64 hex digits) and size in bytes."""

    oid: str
    size: int

    def format(self) -> bytes:
        """Return the pointer file."""
        return b"version %b\noid sha256:%b\nsize %d\n" % (_WRITTEN, self.oid.encode(), self.size)


def parse(data: bytes) -> Pointer | None:
    """Return what a file's content points to, or None when it is no pointer.

    The rules are those of git-lfs's decoder: the versions of its beginnings, white space around
    the text, empty lines and CRLF within, lines of extensions anywhere above the size (one name
    for each priority), a size with sign and leading zeros below 2**63.
    """
    return None if len(data) > MAX_BYTES else _decode(data)


def is_padded_pointer(data: bytes) -> bool:
    """Say whether a file is too long for a pointer, and git-lfs replaces it in a checkout.

    It reads no more than the beginning then. Its other commands pass such a file over: they
    neither upload nor fetch the object.
    """
    return len(data) > MAX_BYTES and _decode(data[:_SMUDGED_BYTES]) is not None


def _decode(data: bytes) -> Pointer | None:
    if not any(mark in data for mark in MARKS):
        return None
    match = _POINTER.fullmatch(data)
    if match is None:
        return None
    *extensions, size = match[1], match[2], match[4], int(match[5])
    keys = {key[0]: key[1] for text in extensions for key in _KEY.finditer(text)}
    if not 0 <= size < 1 << 63 or len(set(keys.values())) < len(keys):
        return None
    return Pointer(match[3].decode(), size)
