"""Checks that every registered pack exists in its full size."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping

from hubstead.blobs import BlobKind, StoredBlob
from hubstead.commits import PackRow
from hubstead.doctor.findings import Finding, Inspection
from hubstead.doctor.repositories import RepoInspection, inspect_repos

_HINT = "restore the pack from a backup: `hubstead repair --from BACKUP`"
_INDEX_HINT = "rebuild the index from its pack: `hubstead repair`"
_CACHE_HINT = "fetch it from the blob store again: `hubstead repair`"


async def pack_files(inspection: Inspection) -> AsyncIterator[Finding]:
    """Every registered pack has its file (or its blob, if packs are blobs) in its full size."""
    repositories = [
        (repository, await repository.packs()) async for repository in inspect_repos(inspection)
    ]
    blobs = await inspection.stored(BlobKind.PACK) if inspection.storage.packs_are_blobs else None
    for repository, rows in repositories:
        for row in rows:
            findings = list(
                _on_disk(repository, row) if blobs is None else _in_store(repository, row, blobs)
            )
            if findings and row.name not in {pack.name for pack in await repository.packs()}:
                continue  # a repack removed it after its row was read
            for finding in findings:
                yield finding


def _on_disk(repository: RepoInspection, row: PackRow) -> Iterator[Finding]:
    folder = repository.inspection.storage.git.packs_path(repository.repo.id)
    for suffix in ("pack", "idx"):
        path = folder / f"pack-{row.name}.{suffix}"
        size = path.stat().st_size if path.is_file() else None
        if size is None:
            hint = _HINT if suffix == "pack" else _INDEX_HINT
            yield repository.finding("pack_files", f"the file {path.name} is missing", hint)
        elif suffix == "pack" and size != row.bytes:
            what = f"{path.name} has {size} bytes, not {row.bytes}"
            yield repository.finding("pack_files", what, _HINT)


def _in_store(
    repository: RepoInspection, row: PackRow, blobs: Mapping[str, StoredBlob]
) -> Iterator[Finding]:
    blob = blobs.get(row.key.name)
    if blob is None:
        yield repository.finding("pack_files", f"the blob pack/{row.name} is missing", _HINT)
    elif blob.size != row.bytes:
        what = f"the blob pack/{row.name} has {blob.size} bytes, not {row.bytes}"
        yield repository.finding("pack_files", what, _HINT)
    cached = (
        repository.inspection.storage.git.packs_path(repository.repo.id) / f"pack-{row.name}.pack"
    )
    if cached.is_file() and cached.stat().st_size != row.bytes:
        what = f"this node's copy of {cached.name} has not {row.bytes} bytes"
        yield repository.finding("pack_files", what, _CACHE_HINT)
