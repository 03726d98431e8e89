"""Files that are put together from xorbs."""

from __future__ import annotations

import asyncio
import builtins
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import bindparam, or_, select

from hubstead.blobs import BlobKey, BlobKind
from hubstead.blobs.tables import blobs
from hubstead.db import any_of, indexed, scan
from hubstead.doctor.findings import Fault, Inspection, Severity
from hubstead.doctor.xorbs import LOST
from hubstead.errors import BlobCorrupt, BlobNotFound, RangeNotSatisfiable
from hubstead.xet import Term, Terms, XorbIndex, decode_records, file_hash, to_raw, to_text
from hubstead.xet.records import Buffer
from hubstead.xet.tables import xet_file_xorbs, xorbs
from hubstead.xet.tables import xet_files as xet_files_table

#: The terms of a file have 44 bytes each, and a large file has many.
_PAGE = 20
#: How many indexes are kept while files are looked at: 330 KB each at most.
_INDEXES = 200
#: The name of a larger file is not computed: that takes 200 bytes of memory a chunk.
_LARGE_BYTES = 64 << 30
_HINT = "restore it from a backup, or upload the file again"


class _FileRow(NamedTuple):
    pk: int
    name: str
    sha256: str
    bytes: int
    terms: builtins.bytes


_EVERY = scan(
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
_THERE = scan(select(xorbs.c.name).where(any_of(xorbs.c.name, "names")), str)


class _XorbRow(NamedTuple):
    blob: str
    entries: bytes


_XORB = indexed(
    select(xorbs.c.blob, xorbs.c.entries).where(xorbs.c.name == bindparam("which_name")).limit(1),
    _XorbRow,
)


class _FoldedRow(NamedTuple):
    kind: str
    name: str
    bytes: int
    file_bytes: int | None


_FOLDED = scan(
    select(blobs.c.kind, blobs.c.name, blobs.c.bytes, xet_files_table.c.bytes.label("file_bytes"))
    .outerjoin_from(blobs, xet_files_table, xet_files_table.c.sha256 == blobs.c.name)
    .where(
        blobs.c.kind == BlobKind.LFS.value,
        blobs.c.folded_ms.is_not(None),
        or_(blobs.c.doomed_ms.is_(None), blobs.c.doomed_ms != 0),
        # Doomed and stored elsewhere: bytes that no blob needs, which are about to go.
        or_(blobs.c.doomed_ms.is_(None), blobs.c.stored.is_(None)),
        or_(xet_files_table.c.name.is_(None), xet_files_table.c.bytes != blobs.c.bytes),
    )
    .distinct()
    .order_by(blobs.c.name),
    _FoldedRow,
)


async def reconstructable_objects(patient: Inspection) -> AsyncIterator[Fault]:
    """Each LFS object that needs no bytes of its own has a Xet file to be put together from."""
    for row in await patient.stores.db.all(_FOLDED):
        what = "it is to be put together from xorbs, and nothing says how"
        if row.file_bytes is not None:
            what = f"it has {row.bytes} bytes, and a Xet file of it has {row.file_bytes}"
        yield Fault("folded", Severity.FAULT, f"blob {row.kind}/{row.name}", what, _HINT)


async def xet_files(patient: Inspection) -> AsyncIterator[Fault]:
    """Each Xet file has its terms, in xorbs that are there, and their chunks give it its name.

    If deep, it is put together, and its sha256 compared. If quick, only the xorbs are looked for.
    """
    known = _Xorbs(patient)
    after = 0
    while rows := await patient.stores.db.all(_EVERY, after_pk=after):
        for row in rows:
            fault = await _fault_of(known, row)
            if fault:
                yield Fault("xet_files", Severity.FAULT, f"file {row.name}", fault, LOST)
        after = rows[-1].pk


@dataclass
class _Known:
    key: BlobKey
    index: XorbIndex


@dataclass
class _Xorbs:
    """What the database knows of xorbs, the ones used last kept at hand."""

    patient: Inspection
    _kept: OrderedDict[bytes, _Known] = field(default_factory=OrderedDict)

    async def get(self, name: bytes) -> _Known | None:
        """Return what is known of one; None if that is nothing sensible: another check tells."""
        if name not in self._kept:
            row = await self.patient.stores.db.one(_XORB, which_name=to_text(name))
            try:
                if row is None:
                    return None
                index = XorbIndex.unpack(row.entries)
            except ValueError:
                return None
            self._kept[name] = _Known(BlobKey(BlobKind.XORB, row.blob), index)
            if len(self._kept) > _INDEXES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(name)
        return self._kept[name]


async def _fault_of(known: _Xorbs, row: _FileRow) -> str | None:
    db = known.patient.stores.db
    try:
        terms = Terms.unpack(row.terms)
    except ValueError as error:
        return f"its terms cannot be read: {error}"
    names = sorted({to_text(name) for name in terms.xorbs()})
    there = set(await db.all(_THERE, names=names))
    if missing := [name for name in names if name not in there]:
        return f"it needs the xorb {missing[0]}, which is not there ({len(missing)} such)"
    if set(await db.all(_NEEDED, which_pk=row.pk)) != set(names):
        return "what is noted of the xorbs it needs is not what its terms say"
    if terms.size != row.bytes:
        return f"its terms have {terms.size} bytes instead of {row.bytes}"
    if known.patient.quick:
        return None
    fault = await _terms_fault(known, terms, row.name)
    if fault is None and known.patient.deep:
        fault = await _damage(known, terms, row.sha256)
    return fault


async def _terms_fault(known: _Xorbs, terms: Terms, name: str) -> str | None:
    leaves: list[tuple[bytes, int]] = []
    for number, term in enumerate(terms):
        found = await known.get(term.xorb)
        if found is None:
            return None  # its index cannot be read, or it went away just now
        index = found.index
        if not 0 <= term.start < term.end <= len(index):
            return f"term {number} names chunks that are not in its xorb"
        if index.length(term.start, term.end) != term.bytes:
            return f"the chunks of term {number} have other lengths than it says"
        if terms.size <= _LARGE_BYTES:
            leaves += index.leaves(term.start, term.end)
    if terms.size > _LARGE_BYTES:
        return None
    if await asyncio.to_thread(file_hash, leaves) != to_raw(name):
        return "its chunks do not give it its name"
    return None


async def _damage(known: _Xorbs, terms: Terms, sha256: str) -> str | None:
    digest = hashlib.sha256()
    try:
        for term in terms:
            found = await known.get(term.xorb)
            if found is None:
                return None
            records = await _records(known, found, term)
            await asyncio.to_thread(_hash, records, digest.update)
    except BlobNotFound:
        return None  # told by another check
    except (BlobCorrupt, RangeNotSatisfiable) as error:
        return error.message
    got = digest.hexdigest()
    return None if got == sha256 else f"its bytes have the sha256 {got} instead of {sha256}"


async def _records(known: _Xorbs, found: _Known, term: Term) -> bytes:
    first, end = found.index.span(term.start, term.end)
    source = await known.patient.stores.blobs.open(found.key)
    return b"".join([chunk async for chunk in source.chunks(first, end - first)])


def _hash(records: bytes, update: Callable[[Buffer], object]) -> None:
    for chunk in decode_records(records):
        update(chunk)
