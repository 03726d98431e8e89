"""A cache of xorb indexes, least recently used first out.

It needs no invalidation: the content of a xorb's blob never changes, and its name is never used
again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import LargeBinary, func, select

from hubstead.db import Reader, any_of, indexed, scan
from hubstead.errors import BlobNotFound
from hubstead.xet.hashes import HASH_BYTES
from hubstead.xet.tables import xorbs
from hubstead.xet.xorbs import XorbIndex

#: Indexes that one statement reads.
_PAGE = 64
_WITH_HASHES = select(xorbs.c.blob, xorbs.c.entries).where(any_of(xorbs.c.blob, "blobs"))
_WITHOUT_HASHES = select(
    xorbs.c.blob,
    func.substr(xorbs.c.entries, 1 + HASH_BYTES * xorbs.c.chunks, type_=LargeBinary).label(
        "entries"
    ),
).where(any_of(xorbs.c.blob, "blobs"))


class _IndexRow(NamedTuple):
    blob: str
    entries: bytes


class IndexCache:
    """Indexes by blob name.

    Args:
        db: The database that has them.
        max_bytes: The memory that they may take, in bytes.
        hashes: Whether to load the hashes of chunks; an index without them has only offsets and
            takes a fifth of the memory.
    """

    def __init__(self, db: Reader, max_bytes: int, *, hashes: bool) -> None:
        self._db = db
        self._max_bytes = max_bytes
        self._hashes = hashes
        element = _WITH_HASHES if hashes else _WITHOUT_HASHES
        self._statements = [indexed(element, _IndexRow), scan(element, _IndexRow)]
        self._indexes: OrderedDict[str, XorbIndex] = OrderedDict()
        self._bytes = 0

    async def get(self, blob: str) -> XorbIndex:
        """Return the index of one xorb; raise as `get_many`."""
        return (await self.get_many([blob]))[blob]

    async def get_many(self, blobs: Iterable[str]) -> dict[str, XorbIndex]:
        """Return the indexes of xorbs by blob name.

        Raises:
            BlobNotFound: a xorb was deleted.
        """
        wanted = list(dict.fromkeys(blobs))
        indexes = {blob: index for blob in wanted if (index := self._indexes.get(blob)) is not None}
        for blob in indexes:
            self._indexes.move_to_end(blob)
        missing = [blob for blob in wanted if blob not in indexes]
        for start in range(0, len(missing), _PAGE):
            indexes |= await self._load(missing[start : start + _PAGE])
        return indexes

    async def _load(self, blobs: list[str]) -> dict[str, XorbIndex]:
        statement = self._statements[len(blobs) > 1]
        rows = await self._db.all(statement, blobs=blobs)
        unpack = XorbIndex.unpack if self._hashes else XorbIndex.unpack_offsets
        indexes = {row.blob: unpack(row.entries) for row in rows}
        for blob in blobs:
            if blob not in indexes:
                raise BlobNotFound(name=blob)
            self.add(blob, indexes[blob])
        return indexes

    def add(self, blob: str, index: XorbIndex) -> None:
        """Add an index that is likely to be needed soon."""
        if blob not in self._indexes:
            self._indexes[blob] = index
            self._bytes += self._weight(index)
        while self._bytes > self._max_bytes and self._indexes:
            _, dropped = self._indexes.popitem(last=False)
            self._bytes -= self._weight(dropped)

    def _weight(self, index: XorbIndex) -> int:
        return 512 + len(index) * (40 if self._hashes else 8)
