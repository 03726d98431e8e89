"""Checks of xorbs: their rows, blobs and chunk indexes."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator
from typing import NamedTuple

from sqlalchemy import bindparam, select

from hubstead.admission import Lane, run_in_lane
from hubstead.blobs import BlobKey, BlobKind, mark_damaged
from hubstead.db import scan
from hubstead.doctor.findings import Finding, Inspection, Severity
from hubstead.errors import BlobNotFound
from hubstead.xet import (
    InconsistentXorb,
    XorbIndex,
    XorbParser,
    XorbRefused,
    inconsistent_xorbs,
    unused_xorb_blobs,
)
from hubstead.xet.tables import xorbs as xorbs_table

LOST = (
    "restore it from a backup (`hubstead repair --from BACKUP`), or upload the files again that"
    " need it"
)
_REPORT = "this should not happen: report it, with the log"
#: Rows per query. An index has 40 bytes per chunk, so up to 330 KB.
_PAGE = 100


class _XorbRow(NamedTuple):
    pk: int
    name: str
    blob: str
    bytes: int
    unpacked: int
    chunks: int
    entries: builtins.bytes


_XORBS = scan(
    select(
        xorbs_table.c.pk,
        xorbs_table.c.name,
        xorbs_table.c.blob,
        xorbs_table.c.bytes,
        xorbs_table.c.unpacked,
        xorbs_table.c.chunks,
        xorbs_table.c.entries,
    )
    .where(xorbs_table.c.pk > bindparam("after_pk"))
    .order_by(xorbs_table.c.pk)
    .limit(_PAGE),
    _XorbRow,
)


async def xorbs(inspection: Inspection) -> AsyncIterator[Finding]:
    """Every xorb has a live blob and a matching index; if deep, the index matches the bytes.

    The check ``blob_bytes`` verifies that the bytes exist. If quick, no index is read.
    """
    db = inspection.storage.db
    for bad in await inconsistent_xorbs(db):
        yield _fault(bad.name, _blob_fault(bad), LOST)
    for name in await unused_xorb_blobs(db):
        what = "no xorb uses it, and it is not pending deletion"
        yield Finding("xorbs", Severity.LEFTOVER, f"blob xorb/{name}", what, _REPORT)
    after = 0
    while not inspection.quick and (rows := await db.all(_XORBS, after_pk=after)):
        for row in rows:
            fault = await _fault_of(inspection, row)
            if fault:
                yield _fault(row.name, fault, LOST)
        after = rows[-1].pk


def _fault(name: str, what: str, hint: str) -> Finding:
    return Finding("xorbs", Severity.FAULT, f"xorb {name}", what, hint)


def _blob_fault(row: InconsistentXorb) -> str:
    if row.blob_bytes is None:
        return "its blob has no row"
    if row.blob_bytes != row.bytes:
        return f"its blob has {row.blob_bytes} bytes instead of {row.bytes}"
    return "its blob is pending deletion"


async def _fault_of(inspection: Inspection, row: _XorbRow) -> str | None:
    try:
        index = XorbIndex.unpack(row.entries)
    except ValueError as error:
        return f"its index cannot be read: {error}"
    if (index.size, index.unpacked, len(index)) != (row.bytes, row.unpacked, row.chunks):
        return "its row does not match its index"
    if not inspection.deep:
        return None
    return await _damage(inspection, row)


async def _damage(inspection: Inspection, row: _XorbRow) -> str | None:
    parser = XorbParser(row.name, lambda _records: None)
    try:
        source = await inspection.storage.blobs.open(BlobKey(BlobKind.XORB, row.blob))
        async for chunk in source.chunks():
            await run_in_lane(Lane.DIGESTS, parser.feed, chunk)
        index = await run_in_lane(Lane.DIGESTS, parser.finish)
    except XorbRefused as error:
        await mark_damaged(inspection.storage.db, BlobKey(BlobKind.XORB, row.blob))
        return f"its bytes are damaged: {error.reason}"
    except BlobNotFound:
        return None  # ``blob_bytes`` reports it
    return None if index.pack() == row.entries else "its index does not match its bytes"
