"""Parses shards: the description of an upload's files and xorbs.

A shard is a header, files, a bookend, xorbs, a bookend; every entry has 48 bytes and every number
is little-endian. The parser ignores the footer, and its length in the header: several client
releases state a wrong length or send no footer.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, overload

from hubstead.admission import checkpoint
from hubstead.errors import HubError
from hubstead.xet.hashes import to_text
from hubstead.xet.records import MAX_CHUNKS, MAX_UNPACKED_BYTES
from hubstead.xet.terms import Terms, select_words, unpack_u32
from hubstead.xet.xorbs import XorbIndex

MAGIC = b"HFRepoMetaData" + bytes.fromhex("00556967456a7b815783a5bdd95ccdd14aa9")
ENTRY = 48
BOOKEND = b"\xff" * 32 + bytes(16)
HAS_RANGE_HASHES = 1 << 31
HAS_SHA256 = 1 << 30
#: The most terms of all files of one shard: clients begin a new shard long before.
MAX_SHARD_TERMS = 1 << 20

_HEADER = struct.Struct("<32s2Q")
_FILE = struct.Struct("<32s2I8x")
_TERM = struct.Struct("<32x4x3I")
_XORB = struct.Struct("<32s4I")
_WORDS = ENTRY // 4
_HASH = tuple(range(8))
_TERM_WORDS = (*_HASH, 10, 11, 9)  # Terms has the bytes behind the chunks, and no flags
_LENGTH = (9,)

E = TypeVar("E")


class ShardRefused(HubError):
    """The shard is refused: {reason}"""

    reason: str


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file as the uploader describes it; an empty one has no terms and a zero hash."""

    hash: bytes
    terms: Terms
    range_hashes: bytes  # 32 bytes per term
    sha256: str | None  # what the uploader claims

    def range_hash(self, position: int) -> bytes:
        """Return the hash that proves that the uploader has the chunks of one term."""
        return self.range_hashes[32 * position : 32 * position + 32]


@dataclass(frozen=True, slots=True)
class XorbEntry:
    """A xorb as the uploader describes it; its chunks are parsed on demand."""

    hash: bytes
    unpacked: int  # as stated
    chunks: memoryview  # 48 bytes per chunk

    def __len__(self) -> int:
        return len(self.chunks) // ENTRY

    def hashes(self) -> bytes:
        """Return the concatenated raw hashes of the chunks."""
        return select_words(self.chunks, _WORDS, _HASH)

    def lengths(self) -> array[int]:
        """Return the lengths of the chunks in bytes."""
        return unpack_u32(select_words(self.chunks, _WORDS, _LENGTH))

    def matches(self, index: XorbIndex) -> bool:
        """Return whether these are the chunks of the stored xorb."""
        return (
            len(self) == len(index)
            and self.hashes() == index.hashes(0, len(index))
            and all(length == index.length(at, at + 1) for at, length in enumerate(self.lengths()))
        )


class Entries(Sequence[E], Generic[E]):
    """The entries of a section: their form is verified, their content is parsed on demand."""

    __slots__ = ("_offsets", "_read")

    def __init__(self, offsets: array[int], read: Callable[[int], E]) -> None:
        self._offsets = offsets
        self._read = read

    def __len__(self) -> int:
        return len(self._offsets)

    @overload
    def __getitem__(self, position: int) -> E: ...
    @overload
    def __getitem__(self, position: slice) -> list[E]: ...
    def __getitem__(self, position: int | slice) -> E | list[E]:
        if isinstance(position, slice):
            return [self._read(offset) for offset in self._offsets[position]]
        return self._read(self._offsets[position])

    def __iter__(self) -> Iterator[E]:
        return map(self._read, self._offsets)


@dataclass(frozen=True, slots=True)
class Shard:
    """A parsed shard."""

    files: Sequence[FileEntry]
    xorbs: Sequence[XorbEntry]


def parse_shard(
    data: bytes | bytearray | memoryview, *, max_files: int = 1 << 20, max_terms: int = 65_536
) -> Shard:
    """Verify the form of ``data`` and return its entries.

    `ShardRegistration` verifies the content. The entries are parsed out of ``data`` on demand, so
    ``data`` must not change; beyond it they take 8 bytes of memory per file.

    Raises:
        ShardRefused: the form is wrong, or a limit is exceeded.
    """
    view = memoryview(data).cast("B").toreadonly()
    if len(view) < _HEADER.size:
        raise ShardRefused(reason="it is shorter than a header")
    magic, version, _ = _HEADER.unpack_from(view)
    if magic != MAGIC or version != 2:
        raise ShardRefused(reason="it does not begin as shards of version 2 do")
    left = [MAX_SHARD_TERMS]
    files, after = _section(view, _HEADER.size, lambda at: _file_end(view, at, max_terms, left))
    if len(files) > max_files:
        raise ShardRefused(reason=f"it lists {len(files)} files, more than {max_files}")
    xorbs, _ = _section(view, after, lambda at: _xorb_end(view, at))
    return Shard(
        Entries(files, lambda at: _read_file(view, at)),
        Entries(xorbs, lambda at: _read_xorb(view, at)),
    )


def _section(view: memoryview, at: int, end_of: Callable[[int], int]) -> tuple[array[int], int]:
    """Return the offsets of the entries of a section, and its end."""
    offsets = array("Q")
    while True:
        if at + ENTRY > len(view):
            raise ShardRefused(reason="it ends before its second bookend")
        if view[at : at + 32] == BOOKEND[:32]:
            return offsets, at + ENTRY
        end = end_of(at)
        if end > len(view):
            raise ShardRefused(reason="it states more entries than it has")
        offsets.append(at)
        at = end


def _file_end(view: memoryview, at: int, max_terms: int, left: list[int]) -> int:
    """Verify a file entry; return its end, which may lie beyond the shard.

    ``left`` holds the number of terms that the shard may still have.
    """
    checkpoint()
    name, flags, count = _FILE.unpack_from(view, at)
    if count > max_terms:
        reason = f"the file {to_text(name)} has {count} terms, more than {max_terms}"
        raise ShardRefused(reason=f"{reason} (xet_max_terms)")
    left[0] -= count
    if left[0] < 0:
        raise ShardRefused(reason=f"it has more than {MAX_SHARD_TERMS} terms in all")
    if (name == bytes(32)) != (count == 0):
        raise ShardRefused(reason=f"the file {to_text(name)} has {count} terms")
    if count and not flags & HAS_RANGE_HASHES:
        raise ShardRefused(reason=f"the file {to_text(name)} has no range hashes")
    terms_end: int = at + ENTRY * (1 + count)
    if terms_end <= len(view):
        _check_terms(view[at + ENTRY : terms_end], name)
    ranges = count if flags & HAS_RANGE_HASHES else 0
    return terms_end + ENTRY * (ranges + bool(flags & HAS_SHA256))


def _check_terms(entries: memoryview, name: bytes) -> None:
    for size, start, end in _TERM.iter_unpack(entries):
        if not (start < end <= MAX_CHUNKS and end - start <= size <= MAX_UNPACKED_BYTES):
            term = f"chunks {start} to {end} with {size} bytes, which no xorb can have"
            raise ShardRefused(reason=f"a term of the file {to_text(name)} is {term}")


def _xorb_end(view: memoryview, at: int) -> int:
    name, _, count, _, _ = _XORB.unpack_from(view, at)
    if not 0 < count <= MAX_CHUNKS:
        raise ShardRefused(reason=f"the xorb {to_text(name)} has {count} chunks")
    return at + ENTRY * (1 + int(count))


def _read_file(view: memoryview, at: int) -> FileEntry:
    name, flags, count = _FILE.unpack_from(view, at)
    at += ENTRY
    terms = Terms(select_words(view[at : at + ENTRY * count], _WORDS, _TERM_WORDS))
    at += ENTRY * count
    ranges = b""
    if flags & HAS_RANGE_HASHES:
        ranges = select_words(view[at : at + ENTRY * count], _WORDS, _HASH)
        at += ENTRY * count
    # Clients write the digest with the code for hashes, which reverses its words.
    sha256 = to_text(bytes(view[at : at + 32])) if flags & HAS_SHA256 else None
    return FileEntry(name, terms, ranges, sha256)


def _read_xorb(view: memoryview, at: int) -> XorbEntry:
    name, _, count, unpacked, _ = _XORB.unpack_from(view, at)
    at += ENTRY
    return XorbEntry(name, unpacked, view[at : at + ENTRY * count])
