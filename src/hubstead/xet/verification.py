"""Verification of stored xorbs: their bytes against the index in their row."""

from __future__ import annotations

import builtins
from typing import NamedTuple

from sqlalchemy import bindparam, select

from hubstead.blobs import (
    BlobKey,
    BlobKind,
    BlobStore,
    Pace,
    mark_damaged,
    stored_fault,
    unmark_damaged,
)
from hubstead.db import Database, indexed
from hubstead.errors import BlobCorrupt
from hubstead.xet.tables import xorbs
from hubstead.xet.xorb_parser import XorbParser, XorbRefused


class XorbVerifier:
    """Accepts the bytes of the xorb ``name`` whose index is ``entries``, packed."""

    def __init__(self, name: str, entries: bytes) -> None:
        self._name = name
        self._entries = entries
        self._parser = XorbParser(name, lambda _records: None)

    def update(self, chunk: bytes | memoryview) -> None:
        """Unpack and hash the chunks.

        Raises:
            BlobCorrupt: a chunk is malformed.
        """
        try:
            self._parser.feed(chunk)
        except XorbRefused as error:
            raise self._corrupt(error.message) from error

    def finish(self) -> None:
        """Compare the indexes.

        Raises:
            BlobCorrupt: the xorb is incomplete or has another index.
        """
        try:
            index = self._parser.finish()
        except XorbRefused as error:
            raise self._corrupt(error.message) from error
        if index.pack() != self._entries:
            raise self._corrupt("other chunks, or chunks packed in another way")

    def _corrupt(self, got: str) -> BlobCorrupt:
        return BlobCorrupt(expected=f"the xorb {self._name}", got=got)


class _Row(NamedTuple):
    name: str
    bytes: int
    entries: builtins.bytes


_BY_BLOB = indexed(
    select(xorbs.c.name, xorbs.c.bytes, xorbs.c.entries).where(
        xorbs.c.blob == bindparam("which_blob")
    ),
    _Row,
)


async def verify_xorb(
    db: Database, store: BlobStore, blob: str, pace: Pace | None = None
) -> str | None:
    """Read the stored bytes of a xorb; mark its blob, or remove the mark.

    Returns:
        What is wrong with the bytes; None if nothing is, or no xorb has this blob.

    Raises:
        Unavailable: the store does not answer.
    """
    row = await db.one(_BY_BLOB, which_blob=blob)
    if row is None:
        return None
    key = BlobKey(BlobKind.XORB, blob)
    fault = await stored_fault(store, key, row.bytes, XorbVerifier(row.name, row.entries), pace)
    await (unmark_damaged(db, key) if fault is None else mark_damaged(db, key))
    return fault
