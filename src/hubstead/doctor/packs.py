"""Every pack that the database counts on is there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping

from hubstead.blobs import BlobKind, StoredBlob
from hubstead.commits import PackRow
from hubstead.doctor.findings import Fault, Inspection
from hubstead.doctor.repositories import RepoInspection, inspect_repos

_HINT = "put the pack back from a backup: `hubstead repair --from BACKUP`"
_INDEX_HINT = "make the index anew of its pack: `hubstead repair`"
_CACHE_HINT = "fetch it from the blob store again: `hubstead repair`"


async def pack_files(patient: Inspection) -> AsyncIterator[Fault]:
    """Each registered pack has its file (or its blob, if packs are blobs) in its full size."""
    cases = [(case, await case.packs()) async for case in inspect_repos(patient)]
    blobs = await patient.stored(BlobKind.PACK) if patient.stores.packs_are_blobs else None
    for case, rows in cases:
        for row in rows:
            found = list(_on_disk(case, row) if blobs is None else _in_store(case, row, blobs))
            if found and row.name not in {now.name for now in await case.packs()}:
                continue  # it was replaced, and removed, since its row was read
            for finding in found:
                yield finding


def _on_disk(case: RepoInspection, row: PackRow) -> Iterator[Fault]:
    folder = case.patient.stores.git.packs_path(case.repo.id)
    for suffix in ("pack", "idx"):
        path = folder / f"pack-{row.name}.{suffix}"
        size = path.stat().st_size if path.is_file() else None
        if size is None:
            hint = _HINT if suffix == "pack" else _INDEX_HINT
            yield case.finding("pack_files", f"the file {path.name} is missing", hint)
        elif suffix == "pack" and size != row.bytes:
            what = f"{path.name} has {size} bytes, not {row.bytes}"
            yield case.finding("pack_files", what, _HINT)


def _in_store(
    case: RepoInspection, row: PackRow, blobs: Mapping[str, StoredBlob]
) -> Iterator[Fault]:
    blob = blobs.get(row.key.name)
    if blob is None:
        yield case.finding("pack_files", f"the blob pack/{row.name} is missing", _HINT)
    elif blob.size != row.bytes:
        what = f"the blob pack/{row.name} has {blob.size} bytes, not {row.bytes}"
        yield case.finding("pack_files", what, _HINT)
    cached = case.patient.stores.git.packs_path(case.repo.id) / f"pack-{row.name}.pack"
    if cached.is_file() and cached.stat().st_size != row.bytes:
        what = f"this node's copy of {cached.name} has not {row.bytes} bytes"
        yield case.finding("pack_files", what, _CACHE_HINT)
