"""Checks of blobs: their rows, links and bytes."""

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
from hubstead.doctor.findings import Finding, Inspection, Severity
from hubstead.doctor.xorbs import LOST as XORB_LOST
from hubstead.errors import BlobCorrupt, BlobNotFound

_SAME = and_(repo_blobs.c.kind == blobs.c.kind, repo_blobs.c.name == blobs.c.name)


class _BlobRow(NamedTuple):
    kind: str
    name: str
    bytes: int
    unreferenced_ms: int | None
    reconstructable_ms: int | None
    damaged_ms: int | None
    stored_name: str  # its name in the store


_BLOBS = scan(
    select(
        blobs.c.kind,
        blobs.c.name,
        blobs.c.bytes,
        blobs.c.unreferenced_ms,
        blobs.c.reconstructable_ms,
        blobs.c.damaged_ms,
        func.coalesce(blobs.c.stored, blobs.c.name).label("stored_name"),
    ).order_by(blobs.c.kind, blobs.c.name),
    _BlobRow,
)


class _BadLink(NamedTuple):
    repo_pk: int
    kind: str
    name: str
    bytes: int
    blob_bytes: int | None
    unreferenced_ms: int | None


_BAD_LINKS = scan(
    select(
        repo_blobs.c.repo_pk,
        repo_blobs.c.kind,
        repo_blobs.c.name,
        repo_blobs.c.bytes,
        blobs.c.bytes.label("blob_bytes"),
        blobs.c.unreferenced_ms,
    )
    .outerjoin_from(repo_blobs, blobs, _SAME)
    .where(
        blobs.c.name.is_(None)
        | (blobs.c.bytes != repo_blobs.c.bytes)
        | blobs.c.unreferenced_ms.is_not(None)
    )
    .order_by(repo_blobs.c.repo_pk, repo_blobs.c.kind, repo_blobs.c.name),
    _BadLink,
)


class _BlobName(NamedTuple):
    kind: str
    name: str


_UNLINKED = scan(
    select(blobs.c.kind, blobs.c.name)
    .outerjoin_from(blobs, repo_blobs, _SAME)
    .where(
        repo_blobs.c.name.is_(None),
        blobs.c.unreferenced_ms.is_(None),
        blobs.c.kind != BlobKind.XORB.value,  # rows of room ``xet`` keep these alive
    )
    .order_by(blobs.c.kind, blobs.c.name),
    _BlobName,
)
_NEVER_EXPIRING = scan(
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
    _BlobName,
)
_LOST = (
    "restore it from a backup (`hubstead repair --from BACKUP`), or upload the file again:"
    " identical bytes replace it"
)
_LOST_PACK = "restore it from a backup: `hubstead repair --from BACKUP`"
_HINTS = {BlobKind.LFS: _LOST, BlobKind.XORB: XORB_LOST, BlobKind.PACK: _LOST_PACK}
_REPORT = "this should not happen: report it, with the log"


async def links(inspection: Inspection) -> AsyncIterator[Finding]:
    """Every link names a live blob of its size; every live blob has a link."""
    db = inspection.storage.db
    for link in await db.all(_BAD_LINKS):
        what = f"repository number {link.repo_pk} links it, but {_link_fault(link)}"
        yield Finding("links", Severity.FAULT, _subject(link), what, _REPORT)
    for row in await db.all(_UNLINKED):
        what = "no repository links it, and it is not pending deletion"
        yield Finding("links", Severity.LEFTOVER, _subject(row), what, _REPORT)
    for row in await db.all(_NEVER_EXPIRING):
        what = "it was uploaded and never committed, and no hold lets it expire"
        yield Finding("links", Severity.LEFTOVER, _subject(row), what, _REPORT)


def _link_fault(row: _BadLink) -> str:
    if row.blob_bytes is None:
        return "the blob has no row"
    if row.blob_bytes != row.bytes:
        return f"with {row.bytes} bytes instead of {row.blob_bytes}"
    return "it is pending deletion"


async def blob_bytes(inspection: Inspection) -> AsyncIterator[Finding]:
    """Every blob has its bytes in the store, in their full size; if deep: with the right digest.

    Blobs under deletion and reconstructable LFS objects have no bytes. The check ``xorbs`` reads
    the bytes of xorbs.
    """
    rows = await inspection.storage.db.all(_BLOBS)
    for kind in BlobKind:
        if kind is BlobKind.PACK and not inspection.storage.packs_are_blobs:
            continue  # its bytes are the file in the repository's folder
        stored = await inspection.stored(kind)
        for row in rows:
            if row.kind != kind or row.unreferenced_ms == 0 or row.reconstructable_ms is not None:
                continue
            blob = stored.get(row.stored_name)
            fault = None
            if blob is None:
                fault = "its bytes are missing"
            elif blob.size != row.bytes:
                fault = f"it has {blob.size} bytes instead of {row.bytes}"
            elif inspection.deep and (
                fault := await _corruption(inspection, BlobKey(kind, row.name), blob)
            ):
                await mark_damaged(inspection.storage.db, BlobKey(kind, row.name))
            elif row.damaged_ms is not None:
                fault = "its bytes are marked as damaged"
            if fault:
                yield Finding("blob_bytes", Severity.FAULT, _subject(row), fault, _HINTS[kind])


async def _corruption(inspection: Inspection, key: BlobKey, blob: StoredBlob) -> str | None:
    verify: Verifier
    if key.kind is BlobKind.LFS:
        verify = Sha256Verifier(key.name)
    elif key.kind is BlobKind.PACK:
        verify = PackVerifier(key.name)
    else:
        return None
    try:
        source = await inspection.storage.blobs.open(blob.key)
        async for chunk in source.chunks():
            verify.update(chunk)
        verify.finish()
    except BlobCorrupt as error:
        return error.message
    except BlobNotFound:
        return "its bytes are missing"
    return None


async def blobs_without_row(inspection: Inspection) -> AsyncIterator[Finding]:
    """Every blob in the store has a row, unless it is younger than the grace period."""
    for kind in BlobKind:
        stored = await inspection.stored(kind)
        known = {row.stored_name for row in await _rows_of(inspection, kind)} if stored else set()
        for name in sorted(stored.keys() - known):
            grace_ms = inspection.storage.settings.blobs.grace_seconds * 1000
            if inspection.is_old(stored[name].modified_ms, than_ms=grace_ms):
                subject, what = f"blob {kind}/{name}", "it is in the store, but has no row"
                hint = "nothing: the hub deletes it in time"
                yield Finding("blobs_without_row", Severity.LEFTOVER, subject, what, hint)


async def _rows_of(inspection: Inspection, kind: BlobKind) -> Sequence[_BlobRow]:
    return [row for row in await inspection.storage.db.all(_BLOBS) if row.kind == kind]


def _subject(row: _BlobRow | _BadLink | _BlobName) -> str:
    return f"blob {row.kind}/{row.name}"
