"""Verifies the statements of a shard against the hub's own indexes of the xorbs.

Nothing here trusts the shard. Until a statement about a xorb proves true, its refusal is the same
as for a xorb that is not stored: who only knows a xorb's name does not learn whether it is here.
 The hub computed all chunk hashes when the xorbs arrived, so a
correct range hash proves that the uploader has the chunks, and a correct file hash names the bytes.
This reads metadata only; ``file_hasher.py`` reads the bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Protocol

from hubstead.admission import Lane, run_in_lane
from hubstead.xet.hashes import HASH_BYTES, file_hash_of, range_hash, to_text
from hubstead.xet.index import KnownXorb
from hubstead.xet.index_cache import IndexCache
from hubstead.xet.shards import FileEntry, ShardRefused, XorbEntry
from hubstead.xet.work_units import DEFAULT_UNITS, WorkUnits
from hubstead.xet.xorbs import XorbIndex

KnownXorbs = Mapping[bytes, KnownXorb]
Indexes = Mapping[bytes, XorbIndex]


class XorbsDiffer(ShardRefused):
    """The shard is refused: {reason}"""

    reason: str = (
        "a xorb that it names is not stored here, or has other chunks than the shard says. Clear "
        "the client's cache (HF_XET_CACHE) and upload again"
    )


class _Check(Protocol):
    """The check of one entry of a shard, a few xorbs at a time."""

    xorbs: Sequence[bytes]

    def run(self, count: int, indexes: Indexes) -> None:
        """Verify the statements about the next ``count`` xorbs.

        Raises:
            ShardRefused: a statement is false.
        """


class _FileCheck:
    """Verifies a file term by term, and adds the hash of its first chunk to ``first_chunks``."""

    def __init__(self, entry: FileEntry, first_chunks: dict[bytes, bytes]) -> None:
        self.entry = entry
        self.xorbs: Sequence[bytes] = entry.terms.xorb_of_each()
        self._first_chunks = first_chunks
        self._position = 0
        self._hashes: list[bytes] = []
        self._lengths = array("I")

    def run(self, count: int, indexes: Indexes) -> None:
        for position in range(self._position, self._position + count):
            self._check_term(position, indexes)
        self._position += count
        if self._position == len(self.xorbs) and self._file_hash() != self.entry.hash:
            raise self._refused("its hash is not the one that its chunks give it")

    def _check_term(self, position: int, indexes: Indexes) -> None:
        xorb, start, end, size = self.entry.terms[position]
        index = indexes[xorb]
        if not start < end <= len(index) or index.length(start, end) != size:
            raise XorbsDiffer()
        hashes = index.hashes(start, end)
        if range_hash(hashes) != self.entry.range_hash(position):
            raise XorbsDiffer()
        self._hashes.append(hashes)
        self._lengths.extend(index.lengths(start, end))

    def _file_hash(self) -> bytes:
        hashes = b"".join(self._hashes)
        self._hashes = []
        self._first_chunks[self.entry.hash] = hashes[:HASH_BYTES]
        return file_hash_of(hashes, self._lengths)

    def _refused(self, why: str) -> ShardRefused:
        return ShardRefused(reason=f"the file {to_text(self.entry.hash)}: {why}")


class _XorbCheck:
    """Verifies the chunks that a shard lists for a xorb."""

    def __init__(self, entry: XorbEntry) -> None:
        self._entry = entry
        self.xorbs: Sequence[bytes] = [entry.hash]

    def run(self, _count: int, indexes: Indexes) -> None:
        if not self._entry.matches(indexes[self._entry.hash]):
            raise XorbsDiffer()


#: A check, and the first and last (exclusive) of its xorbs to check now.
_Step = tuple[_Check, int, int]


async def check_shard(
    files: Iterable[FileEntry],
    xorbs: Iterable[XorbEntry],
    known: KnownXorbs,
    indexes: IndexCache,
    *,
    units: WorkUnits = DEFAULT_UNITS,
) -> dict[bytes, bytes]:
    """Verify all statements of a shard except sha256s.

    Args:
        files: Its files, without empty ones.
        xorbs: Its xorbs.
        known: Every xorb that any of them names.
        indexes: The indexes of those, with hashes.
        units: How much work is one batch.

    Returns:
        The hash of the first chunk of each file, by the hash of the file.

    Raises:
        ShardRefused: a statement is false.
        BlobNotFound: a xorb was deleted meanwhile.
    """
    first_chunks: dict[bytes, bytes] = {}
    checks: Iterator[_Check] = chain(
        (_FileCheck(file, first_chunks) for file in files), map(_XorbCheck, xorbs)
    )
    batches = _batches(checks, known, units.checked)
    while batch := await run_in_lane(Lane.DIGESTS, next, batches, None):
        names = {xorb for check, start, end in batch for xorb in check.xorbs[start:end]}
        by_blob = await indexes.get_many(known[xorb].blob for xorb in names)
        by_name = {xorb: by_blob[known[xorb].blob] for xorb in names}
        await run_in_lane(Lane.DIGESTS, _run, batch, by_name)
    return first_chunks


def _run(batch: Sequence[_Step], indexes: Indexes) -> None:
    for check, start, end in batch:
        check.run(end - start, indexes)


def _batches(checks: Iterable[_Check], known: KnownXorbs, most: int) -> Iterator[list[_Step]]:
    batch: list[_Step] = []
    seen: set[bytes] = set()
    effort = 0
    for check in checks:
        start = 0
        for at, xorb in enumerate(check.xorbs):
            if effort > most:
                if at > start:
                    batch.append((check, start, at))
                yield batch
                batch, seen, effort, start = [], set(), 0, at
            effort += 1 if xorb in seen else known[xorb].chunks
            seen.add(xorb)
        batch.append((check, start, len(check.xorbs)))
    yield batch
