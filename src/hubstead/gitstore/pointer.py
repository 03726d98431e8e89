"""Git LFS pointer files, which git stores in place of large files.

The writer follows "The Pointer" of git-lfs ``docs/spec.md``, https version 1. The parser accepts
every text that the program git-lfs accepts, which is more: if a checkout replaces a text by an
object, the client needs that object, so the repository must link it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: git-lfs ignores longer files when it scans a repository for pointers.
MAX_BYTES = 1023
#: git-lfs reads so many bytes of a file of any length at checkout.
_SMUDGED_BYTES = MAX_BYTES + 1
#: Pushes are not scanned for padded pointers in longer files.
MAX_PADDED_POINTER_BYTES = 4096

_WRITTEN = b"https://git-lfs.github.com/spec/v1"
_VERSIONS = (_WRITTEN, b"https://hawser.github.com/spec/v1", b"http://git-media.io/v/2")
#: Every pointer file contains one of these; hardly any other file does.
MARKS = tuple(b"version " + version for version in _VERSIONS)
#: The shortest possible pointer: the shortest version, and a size of one digit.
MIN_POINTER_BYTES = len(min(MARKS, key=len)) + len("\noid sha256:\nsize 0") + 64

#: Unicode's white space in UTF-8, which Go's ``bytes.TrimSpace`` strips from both ends.
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
    """The sha256 (64 hex digits) and the size in bytes of a large file."""

    oid: str
    size: int

    def format(self) -> bytes:
        """Return the content of the pointer file."""
        return b"version %b\noid sha256:%b\nsize %d\n" % (_WRITTEN, self.oid.encode(), self.size)


def parse(data: bytes) -> Pointer | None:
    """Parse the content of a file; return None if it is not a pointer.

    Like git-lfs's decoder it accepts old version URLs, surrounding white space, empty lines and
    CRLF, extension lines anywhere above the size (one name per priority), and a size with sign
    and leading zeros below 2**63.
    """
    return None if len(data) > MAX_BYTES else _decode(data)


def is_padded_pointer(data: bytes) -> bool:
    """Tell whether git-lfs replaces the file at checkout although it is too long for a pointer.

    At checkout git-lfs reads only the beginning of the file. Its other commands ignore such a
    file: they neither upload nor fetch the object.
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
