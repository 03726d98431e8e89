"""Checks of blobs: their rows, links and bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from hubstead.blobs import (
    BlobKey,
    BlobKind,
    BlobName,
    BlobRow,
    InconsistentLink,
    PackVerifier,
    Sha256Verifier,
    StoredBlob,
    Verifier,
    blob_rows,
    inconsistent_links,
    mark_damaged,
    unlinked_blobs,
    uploads_without_hold,
)
from hubstead.doctor.findings import Finding, Inspection, Severity
from hubstead.doctor.xorbs import LOST as XORB_LOST
from hubstead.errors import BlobCorrupt, BlobNotFound

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
    for link in await inconsistent_links(db):
        what = f"repository number {link.repo_pk} links it, but {_link_fault(link)}"
        yield Finding("links", Severity.FAULT, _subject(link), what, _REPORT)
    for row in await unlinked_blobs(db):
        what = "no repository links it, and it is not pending deletion"
        yield Finding("links", Severity.LEFTOVER, _subject(row), what, _REPORT)
    for row in await uploads_without_hold(db):
        what = "it was uploaded and never committed, and no hold lets it expire"
        yield Finding("links", Severity.LEFTOVER, _subject(row), what, _REPORT)


def _link_fault(row: InconsistentLink) -> str:
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
    rows = await blob_rows(inspection.storage.db)
    for kind in BlobKind:
        if kind is BlobKind.PACK and not inspection.storage.packs_are_blobs:
            continue  # its bytes are the file in the repository's folder
        stored = await inspection.stored(kind)
        for row in rows:
            if row.kind != kind or not row.needs_bytes:
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


async def _rows_of(inspection: Inspection, kind: BlobKind) -> Sequence[BlobRow]:
    return [row for row in await blob_rows(inspection.storage.db) if row.kind == kind]


def _subject(row: BlobRow | InconsistentLink | BlobName) -> str:
    return f"blob {row.kind}/{row.name}"
