"""Rows of blobs, their bytes, and who holds them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from sqlalchemy import and_, func, select

from hubstead.blobs import (
    BlobKey,
    BlobKind,
    PackVerifier,
    Sha256Verifier,
    StoredBlob,
    Verifier,
    mark_damaged,
)
from hubstead.blobs.tables import blobs, holds, repo_blobs
from hubstead.db import scan
from hubstead.doctor.findings import Fault, Inspection, Severity
from hubstead.doctor.xorbs import LOST as XORB_LOST
from hubstead.errors import BlobCorrupt, BlobNotFound

_SAME = and_(repo_blobs.c.kind == blobs.c.kind, repo_blobs.c.name == blobs.c.name)


class _BlobRow(NamedTuple):
    kind: str
    name: str
    bytes: int
    doomed_ms: int | None
    folded_ms: int | None
    damaged_ms: int | None
    place: str  # the name under which the store has it


_BLOBS = scan(
    select(
        blobs.c.kind,
        blobs.c.name,
        blobs.c.bytes,
        blobs.c.doomed_ms,
        blobs.c.folded_ms,
        blobs.c.damaged_ms,
        func.coalesce(blobs.c.stored, blobs.c.name).label("place"),
    ).order_by(blobs.c.kind, blobs.c.name),
    _BlobRow,
)


class _BadLink(NamedTuple):
    repo_pk: int
    kind: str
    name: str
    bytes: int
    blob_bytes: int | None
    doomed_ms: int | None


_BAD_LINKS = scan(
    select(
        repo_blobs.c.repo_pk,
        repo_blobs.c.kind,
        repo_blobs.c.name,
        repo_blobs.c.bytes,
        blobs.c.bytes.label("blob_bytes"),
        blobs.c.doomed_ms,
    )
    .outerjoin_from(repo_blobs, blobs, _SAME)
    .where(
        blobs.c.name.is_(None)
        | (blobs.c.bytes != repo_blobs.c.bytes)
        | blobs.c.doomed_ms.is_not(None)
    )
    .order_by(repo_blobs.c.repo_pk, repo_blobs.c.kind, repo_blobs.c.name),
    _BadLink,
)


class _Named(NamedTuple):
    kind: str
    name: str


_UNHELD = scan(
    select(blobs.c.kind, blobs.c.name)
    .outerjoin_from(blobs, repo_blobs, _SAME)
    .where(
        repo_blobs.c.name.is_(None),
        blobs.c.doomed_ms.is_(None),
        blobs.c.kind != BlobKind.XORB.value,  # rows of room ``xet`` keep these alive
    )
    .order_by(blobs.c.kind, blobs.c.name),
    _Named,
)
_FORGOTTEN = scan(
    select(repo_blobs.c.kind, repo_blobs.c.name)
    .outerjoin_from(
        repo_blobs,
        holds,
        and_(
            holds.c.repo_pk == repo_blobs.c.repo_pk,
            holds.c.kind == repo_blobs.c.kind,
            holds.c.name == repo_blobs.c.name,
        ),
    )
    .where(repo_blobs.c.committed == 0, holds.c.name.is_(None))
    .order_by(repo_blobs.c.kind, repo_blobs.c.name),
    _Named,
)
_LOST = (
    "put it back from a backup (`hubstead repair --from BACKUP`), or upload the file again:"
    " identical bytes heal it"
)
_LOST_PACK = "put it back from a backup: `hubstead repair --from BACKUP`"
_HINTS = {BlobKind.LFS: _LOST, BlobKind.XORB: XORB_LOST, BlobKind.PACK: _LOST_PACK}
_REPORT = "this should not happen: report it, with the log"


async def links(patient: Inspection) -> AsyncIterator[Fault]:
    """Each link leads to a live blob of its size; each live blob is held by somebody."""
    db = patient.stores.db
    for link in await db.all(_BAD_LINKS):
        what = f"repository number {link.repo_pk} links it, but {_link_fault(link)}"
        yield Fault("links", Severity.FAULT, _subject(link), what, _REPORT)
    for row in await db.all(_UNHELD):
        what = "no repository links it, and it is not marked to be deleted"
        yield Fault("links", Severity.LITTER, _subject(row), what, _REPORT)
    for row in await db.all(_FORGOTTEN):
        what = "it was uploaded and never committed, and no hold will end that"
        yield Fault("links", Severity.LITTER, _subject(row), what, _REPORT)


def _link_fault(row: _BadLink) -> str:
    if row.blob_bytes is None:
        return "there is no such blob"
    if row.blob_bytes != row.bytes:
        return f"with {row.bytes} bytes instead of {row.blob_bytes}"
    return "it is marked to be deleted"


async def blob_bytes(patient: Inspection) -> AsyncIterator[Fault]:
    """Each blob that is not being deleted has its bytes in the store; if deep: the right ones.

    LFS objects that are put together from xorbs have none; of xorbs, another check reads the
    bytes.
    """
    rows = await patient.stores.db.all(_BLOBS)
    for kind in BlobKind:
        if kind is BlobKind.PACK and not patient.stores.packs_are_blobs:
            continue  # its bytes are the file in the repository's folder
        stored = await patient.stored(kind)
        for row in rows:
            if row.kind != kind or row.doomed_ms == 0 or row.folded_ms is not None:
                continue
            found = stored.get(row.place)
            fault = None
            if found is None:
                fault = "its bytes are missing"
            elif found.size != row.bytes:
                fault = f"there are {found.size} bytes instead of {row.bytes}"
            elif patient.deep and (
                fault := await _corruption(patient, BlobKey(kind, row.name), found)
            ):
                await mark_damaged(patient.stores.db, BlobKey(kind, row.name))
            elif row.damaged_ms is not None:
                fault = "its bytes were read and found damaged"
            if fault:
                yield Fault("blob_bytes", Severity.FAULT, _subject(row), fault, _HINTS[kind])


async def _corruption(patient: Inspection, key: BlobKey, found: StoredBlob) -> str | None:
    verify: Verifier
    if key.kind is BlobKind.LFS:
        verify = Sha256Verifier(key.name)
    elif key.kind is BlobKind.PACK:
        verify = PackVerifier(key.name)
    else:
        return None
    try:
        source = await patient.stores.blobs.open(found.key)
        async for chunk in source.chunks():
            verify.update(chunk)
        verify.finish()
    except BlobCorrupt as error:
        return error.message
    except BlobNotFound:
        return "its bytes are missing"
    return None


async def blobs_without_row(patient: Inspection) -> AsyncIterator[Fault]:
    """The store has no bytes that no row names, but for those of writes under way."""
    for kind in BlobKind:
        stored = await patient.stored(kind)
        known = {row.place for row in await _rows_of(patient, kind)} if stored else set()
        for name in sorted(stored.keys() - known):
            grace_ms = patient.stores.settings.blobs.grace_seconds * 1000
            if patient.is_old(stored[name].modified_ms, than_ms=grace_ms):
                subject, what = f"blob {kind}/{name}", "the store has it, but no row names it"
                hint = "nothing: it is removed in time"
                yield Fault("blobs_without_row", Severity.LITTER, subject, what, hint)


async def _rows_of(patient: Inspection, kind: BlobKind) -> Sequence[_BlobRow]:
    return [row for row in await patient.stores.db.all(_BLOBS) if row.kind == kind]


def _subject(row: _BlobRow | _BadLink | _Named) -> str:
    return f"blob {row.kind}/{row.name}"
