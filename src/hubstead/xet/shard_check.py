"""What a shard says, held against what the hub knows of the xorbs itself.

Nothing here trusts the shard: chunk hashes are those that were computed when the xorbs came, so
a range hash that is right proves that the uploader has the chunks, and a file hash that is right
names the bytes. All of it is metadata; bytes are read in ``hashing.py``.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from hubstead.xet.hashes import HASH_BYTES, file_hash_of, range_hash, to_text
from hubstead.xet.index import KnownXorb
from hubstead.xet.index_cache import IndexCache
from hubstead.xet.shards import FileEntry, ShardRefused, XorbEntry
from hubstead.xet.xorbs import XorbIndex

#: What is checked together: chunks of different xorbs, 40 bytes each, and terms.
_EFFORT = 500_000

Known = Mapping[bytes, KnownXorb]
Indexes = Mapping[bytes, XorbIndex]


class Check:
    """One entry of a shard being checked, a few xorbs at a time."""

    xorbs: Sequence[bytes]

    def take(self, count: int, indexes: Indexes) -> None:
        """Check what the entry says of its next ``count`` xorbs.

        Raises:
            ShardRefused: something is not so.
        """
        raise NotImplementedError


class FileCheck(Check):
    """Checks a file, term by term, and notes the hash of its first chunk in ``firsts``."""

    def __init__(self, entry: FileEntry, firsts: dict[bytes, bytes]) -> None:
        self.entry = entry
        self._firsts = firsts
        self.xorbs = entry.terms.xorb_of_each()
        self._position = 0
        self._hashes: list[bytes] = []
        self._lengths = array("I")

    def take(self, count: int, indexes: Indexes) -> None:
        """See `Check.take`."""
        for position in range(self._position, self._position + count):
            self._take_term(position, indexes)
        self._position += count
        if self._position == len(self.xorbs) and self._name() != self.entry.hash:
            raise self._refused("its hash is not the one that its chunks give it")

    def _take_term(self, position: int, indexes: Indexes) -> None:
        xorb, start, end, size = self.entry.terms[position]
        index = indexes[xorb]
        if not start < end <= len(index):
            raise self._refused(
                f"term {position} is chunks {start} to {end} of a xorb of {len(index)} chunks"
            )
        if index.length(start, end) != size:
            raise self._refused(f"term {position} says {size} bytes of {index.length(start, end)}")
        hashes = index.hashes(start, end)
        if range_hash(hashes) != self.entry.range_hash(position):
            raise self._refused(f"the range hash of term {position} is wrong")
        self._hashes.append(hashes)
        self._lengths.extend(index.lengths(start, end))

    def _name(self) -> bytes:
        hashes = b"".join(self._hashes)
        self._hashes = []
        self._firsts[self.entry.hash] = hashes[:HASH_BYTES]
        return file_hash_of(hashes, self._lengths)

    def _refused(self, why: str) -> ShardRefused:
        return ShardRefused(reason=f"the file {to_text(self.entry.hash)}: {why}")


class XorbCheck(Check):
    """Checks what is said of a xorb."""

    def __init__(self, entry: XorbEntry) -> None:
        self._entry = entry
        self.xorbs = [entry.hash]

    def take(self, count: int, indexes: Indexes) -> None:
        """See `Check.take`."""
        if not self._entry.matches(indexes[self._entry.hash]):
            raise ShardRefused(
                reason=f"the xorb {to_text(self._entry.hash)} has other chunks than those listed"
            )


async def check(
    files: Iterable[FileEntry], xorbs: Iterable[XorbEntry], known: Known, indexes: IndexCache
) -> dict[bytes, bytes]:
    """Check everything that a shard says, sha256 apart.

    Args:
        files: Its files, those without terms left out.
        xorbs: Its xorbs.
        known: Every xorb that any of them names.
        indexes: Where their indexes are had, hashes included.

    Returns:
        The hash of the first chunk of each file, by the hash of the file.

    Raises:
        ShardRefused: something is not so.
        BlobNotFound: a xorb has gone meanwhile.
    """
    firsts: dict[bytes, bytes] = {}
    checks: Iterator[Check] = chain(
        (FileCheck(each, firsts) for each in files), map(XorbCheck, xorbs)
    )
    portions = _portions(checks, known)
    while work := await asyncio.to_thread(next, portions, None):
        named = {xorb for each, start, end in work for xorb in each.xorbs[start:end]}
        found = await indexes.of(known[xorb].blob for xorb in named)
        by_name = {xorb: found[known[xorb].blob] for xorb in named}
        await asyncio.to_thread(_take, work, by_name)
    return firsts


def _take(work: Sequence[tuple[Check, int, int]], indexes: Indexes) -> None:
    for each, start, end in work:
        each.take(end - start, indexes)


def _portions(checks: Iterable[Check], known: Known) -> Iterator[list[tuple[Check, int, int]]]:
    """Yield what is checked together: entries, each with from where to where in its xorbs."""
    work: list[tuple[Check, int, int]] = []
    seen: set[bytes] = set()
    effort = 0
    for each in checks:
        start = 0
        for at, xorb in enumerate(each.xorbs):
            if effort > _EFFORT:
                if at > start:
                    work.append((each, start, at))
                yield work
                work, seen, effort, start = [], set(), 0, at
            effort += 1 if xorb in seen else known[xorb].chunks
            seen.add(xorb)
        work.append((each, start, len(each.xorbs)))
    yield work
