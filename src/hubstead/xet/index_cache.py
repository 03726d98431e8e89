"""Indexes of xorbs that were used lately.

What a blob of a xorb holds never changes, and its name is never used again, so nothing here is
ever out of date.
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

#: How many are read at a time.
_PAGE = 64
_WHOLE = select(xorbs.c.blob, xorbs.c.entries).where(any_of(xorbs.c.blob, "blobs"))
_PLACES = select(
    xorbs.c.blob,
    func.substr(xorbs.c.entries, 1 + HASH_BYTES * xorbs.c.chunks, type_=LargeBinary).label(
        "entries"
    ),
).where(any_of(xorbs.c.blob, "blobs"))


class _IndexRow(NamedTuple):
    blob: str
    entries: bytes


class IndexCache:
    """Indexes by the name of the blob, those used last up to a bound.

    Args:
        db: Where they are.
        max_bytes: How much they may take, in bytes.
        hashes: Whether the hashes of chunks are needed; else an index has only their places,
            which is a fifth of it.
    """

    def __init__(self, db: Reader, max_bytes: int, *, hashes: bool) -> None:
        self._db = db
        self._max_bytes = max_bytes
        self._hashes = hashes
        element = _WHOLE if hashes else _PLACES
        self._statements = [indexed(element, _IndexRow), scan(element, _IndexRow)]
        self._kept: OrderedDict[str, XorbIndex] = OrderedDict()
        self._bytes = 0

    async def of(self, blobs: Iterable[str]) -> dict[str, XorbIndex]:
        """Return the indexes of xorbs.

        Raises:
            BlobNotFound: one of them is gone.
        """
        wanted = list(dict.fromkeys(blobs))
        found = {blob: index for blob in wanted if (index := self._kept.get(blob)) is not None}
        for blob in found:
            self._kept.move_to_end(blob)
        missing = [blob for blob in wanted if blob not in found]
        for start in range(0, len(missing), _PAGE):
            found |= await self._read(missing[start : start + _PAGE])
        return found

    async def _read(self, blobs: list[str]) -> dict[str, XorbIndex]:
        statement = self._statements[len(blobs) > 1]
        rows = await self._db.all(statement, blobs=blobs)
        unpack = XorbIndex.unpack if self._hashes else XorbIndex.unpack_places
        found = {row.blob: unpack(row.entries) for row in rows}
        for blob in blobs:
            if blob not in found:
                raise BlobNotFound(name=blob)
            self.keep(blob, found[blob])
        return found

    def keep(self, blob: str, index: XorbIndex) -> None:
        """Take an index that somebody is going to ask for."""
        if blob not in self._kept:
            self._kept[blob] = index
            self._bytes += self._weight(index)
        while self._bytes > self._max_bytes and self._kept:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= self._weight(dropped)

    def _weight(self, index: XorbIndex) -> int:
        return 512 + len(index) * (40 if self._hashes else 8)
