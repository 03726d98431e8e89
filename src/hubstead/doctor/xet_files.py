"""Checks of Xet files: files that are reconstructed from xorbs."""

from __future__ import annotations

import builtins
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import bindparam, select

from hubstead.admission import Lane, run_in_lane
from hubstead.blobs import BlobKey, BlobKind
from hubstead.db import any_of, indexed, scan
from hubstead.doctor.findings import Finding, Inspection, Severity
from hubstead.doctor.xorbs import LOST
from hubstead.errors import BlobCorrupt, BlobNotFound, RangeNotSatisfiable
from hubstead.xet import (
    Buffer,
    Term,
    Terms,
    XorbIndex,
    decode_records,
    file_hash,
    inconsistent_objects,
    to_raw,
    to_text,
)
from hubstead.xet.tables import xet_file_xorbs, xorbs
from hubstead.xet.tables import xet_files as xet_files_table

#: Rows per query. A large file has many terms of 44 bytes.
_PAGE = 20
_HINT = "restore it from a backup, or upload the file again"


class _FileRow(NamedTuple):
    pk: int
    name: str
    sha256: str
    bytes: int
    terms: builtins.bytes


_FILES = scan(
    select(
        xet_files_table.c.pk,
        xet_files_table.c.name,
        xet_files_table.c.sha256,
        xet_files_table.c.bytes,
        xet_files_table.c.terms,
    )
    .where(xet_files_table.c.pk > bindparam("after_pk"))
    .order_by(xet_files_table.c.pk)
    .limit(_PAGE),
    _FileRow,
)
_NEEDED = scan(
    select(xorbs.c.name)
    .join_from(xet_file_xorbs, xorbs, xet_file_xorbs.c.xorb_pk == xorbs.c.pk)
    .where(xet_file_xorbs.c.file_pk == bindparam("which_pk")),
    str,
)
_EXISTING = scan(select(xorbs.c.name).where(any_of(xorbs.c.name, "names")), str)


class _XorbRow(NamedTuple):
    blob: str
    entries: bytes


_XORB = indexed(
    select(xorbs.c.blob, xorbs.c.entries).where(xorbs.c.name == bindparam("which_name")).limit(1),
    _XorbRow,
)


async def reconstructable_objects(inspection: Inspection) -> AsyncIterator[Finding]:
    """Every reconstructable LFS object has a Xet file of its size."""
    for row in await inconsistent_objects(inspection.storage.db):
        what = "it has to be reconstructed from xorbs, but has no Xet file"
        if row.file_bytes is not None:
            what = f"it has {row.bytes} bytes, but its Xet file has {row.file_bytes}"
        yield Finding(
            "reconstructable_objects", Severity.FAULT, f"blob lfs/{row.name}", what, _HINT
        )


async def xet_files(inspection: Inspection) -> AsyncIterator[Finding]:
    """Every Xet file has terms in existing xorbs, and the hash of their chunks is its name.

    If deep, the check reconstructs the file and compares its sha256. If quick, it only verifies
    that the xorbs exist.
    """
    xorb_cache = _XorbCache(inspection)
    after = 0
    while rows := await inspection.storage.db.all(_FILES, after_pk=after):
        for row in rows:
            fault = await _fault_of(xorb_cache, row)
            if fault:
                yield Finding("xet_files", Severity.FAULT, f"file {row.name}", fault, LOST)
        after = rows[-1].pk


@dataclass
class _Xorb:
    key: BlobKey
    index: XorbIndex


@dataclass
class _XorbCache:
    """The indexes of xorbs in the database, least recently used first."""

    inspection: Inspection
    _indexes: OrderedDict[bytes, _Xorb] = field(default_factory=OrderedDict)

    async def get(self, name: bytes) -> _Xorb | None:
        """Return a xorb; None if its row or its index is unusable, which ``xorbs`` reports."""
        if name not in self._indexes:
            row = await self.inspection.storage.db.one(_XORB, which_name=to_text(name))
            try:
                if row is None:
                    return None
                index = XorbIndex.unpack(row.entries)
            except ValueError:
                return None
            self._indexes[name] = _Xorb(BlobKey(BlobKind.XORB, row.blob), index)
            if len(self._indexes) > self.inspection.cached_xorb_indexes:
                self._indexes.popitem(last=False)
        self._indexes.move_to_end(name)
        return self._indexes[name]


async def _fault_of(xorb_cache: _XorbCache, row: _FileRow) -> str | None:
    db = xorb_cache.inspection.storage.db
    try:
        terms = Terms.unpack(row.terms)
    except ValueError as error:
        return f"its terms cannot be read: {error}"
    names = sorted({to_text(name) for name in terms.xorbs()})
    existing = set(await db.all(_EXISTING, names=names))
    if missing := [name for name in names if name not in existing]:
        return f"it needs the xorb {missing[0]}, which is missing ({len(missing)} such)"
    if set(await db.all(_NEEDED, which_pk=row.pk)) != set(names):
        return "its rows of needed xorbs do not match its terms"
    if terms.size != row.bytes:
        return f"its terms have {terms.size} bytes instead of {row.bytes}"
    if xorb_cache.inspection.quick:
        return None
    fault = await _terms_fault(xorb_cache, terms, row.name)
    if fault is None and xorb_cache.inspection.deep:
        fault = await _damage(xorb_cache, terms, row.sha256)
    return fault


async def _terms_fault(xorb_cache: _XorbCache, terms: Terms, name: str) -> str | None:
    leaves: list[tuple[bytes, int]] = []
    is_hashed = terms.size <= xorb_cache.inspection.largest_hashed_bytes
    for number, term in enumerate(terms):
        xorb = await xorb_cache.get(term.xorb)
        if xorb is None:
            return None  # its index cannot be read, or it was deleted just now
        index = xorb.index
        if not 0 <= term.start < term.end <= len(index):
            return f"term {number} names chunks that are not in its xorb"
        if index.length(term.start, term.end) != term.bytes:
            return f"the chunks of term {number} have other lengths than the term"
        if is_hashed:
            leaves += index.leaves(term.start, term.end)
    if not is_hashed:
        return None
    if await run_in_lane(Lane.DIGESTS, file_hash, leaves) != to_raw(name):
        return "the hash of its chunks is not its name"
    return None


async def _damage(xorb_cache: _XorbCache, terms: Terms, sha256: str) -> str | None:
    digest = hashlib.sha256()
    try:
        for term in terms:
            xorb = await xorb_cache.get(term.xorb)
            if xorb is None:
                return None
            records = await _records(xorb_cache, xorb, term)
            await run_in_lane(Lane.DIGESTS, _hash, records, digest.update)
    except BlobNotFound:
        return None  # ``blob_bytes`` reports it
    except (BlobCorrupt, RangeNotSatisfiable) as error:
        return error.message
    actual = digest.hexdigest()
    if actual == sha256:
        return None
    return f"its bytes have the sha256 {actual} instead of {sha256}"


async def _records(xorb_cache: _XorbCache, xorb: _Xorb, term: Term) -> bytes:
    first, end = xorb.index.span(term.start, term.end)
    source = await xorb_cache.inspection.storage.blobs.open(xorb.key)
    return b"".join([chunk async for chunk in source.chunks(first, end - first)])


def _hash(records: bytes, update: Callable[[Buffer], object]) -> None:
    for chunk in decode_records(records):
        update(chunk)
