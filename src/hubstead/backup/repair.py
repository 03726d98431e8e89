"""Repairs single damaged objects: replaces their bytes, reads them back and compares."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, select

from hubstead.admission import Lane, run_in_lane
from hubstead.backup.folder import BackupFolder
from hubstead.backup.required_blobs import RequiredBlob
from hubstead.backup.transfers import StoreOrigin, pour_file, verify_blob
from hubstead.blobs import (
    BlobKey,
    BlobKind,
    BlobRow,
    PackVerifier,
    blob_rows,
    damaged_blobs,
    mark_damaged,
    new_stored_name,
    replace_bytes,
    stored_names_of,
    unmark_damaged,
)
from hubstead.commits import RepoPack, Storage, every_pack
from hubstead.db import indexed
from hubstead.errors import BlobCorrupt, BlobNotFound
from hubstead.xet.tables import xorbs

_CHECKSUM_BYTES = 20


class RepairResult(msgspec.Struct, frozen=True):
    """The result for one object that was damaged, or marked as damaged."""

    subject: str
    what: str
    whole: bool  # whether the object is intact now


class _Xorb(NamedTuple):
    name: str
    entries: bytes


_XORB = indexed(
    select(xorbs.c.name, xorbs.c.entries).where(xorbs.c.blob == bindparam("which_blob")), _Xorb
)


async def repair_objects(
    stores: Storage, backup: BackupFolder | None, *, deep: bool
) -> AsyncIterator[RepairResult]:
    """Replace damaged objects, also while servers run; yield a result per damaged object.

    A blob is read if it is marked as damaged, or if its size in the store differs from its row;
    ``deep`` reads every blob. Packs in the folders of git are always read. An index is rebuilt
    from its pack. Other bytes come from ``backup``, packs also from another repository or the
    store. Replaced bytes are read back, and the mark of a blob is removed when they match.

    Raises:
        StorageFull: the disk or the store is full.
        Unavailable: the store does not answer.
    """
    rows = await blob_rows(stores.db, needing_bytes=True)
    for kind in BlobKind:
        of_kind = {row.name: row for row in rows if row.kind == kind}
        suspects = set(of_kind)
        if kind is BlobKind.PACK and not stores.packs_are_blobs:
            continue
        if not deep:
            suspects &= await damaged_blobs(stores.db, stores.blobs, kind, list(of_kind))
        for name in sorted(suspects):
            outcome = await _repair_blob(stores, backup, of_kind[name])
            if outcome is not None:
                yield outcome
    for row in await every_pack(stores.db):
        outcome = await _repair_pack(stores, backup, row)
        if outcome is not None:
            yield outcome


async def _repair_blob(
    stores: Storage, backup: BackupFolder | None, row: BlobRow
) -> RepairResult | None:
    blob, origin = await _required_blob(stores, row), StoreOrigin(stores.blobs, at_place=True)
    fault = await verify_blob(origin, blob)
    if fault is None:
        if row.damaged_ms is None:
            return None
        await unmark_damaged(stores.db, blob.key)
        return RepairResult(
            f"blob {blob.key}", "its bytes are right: the mark is removed", whole=True
        )
    await mark_damaged(stores.db, blob.key)
    if backup is None:
        return _unrepaired(blob, fault, "run it with --from BACKUP")
    source = backup.blobs()
    lacking = await verify_blob(StoreOrigin(source), blob)
    if lacking is not None:
        return _unrepaired(blob, fault, "the backup has not its right bytes either")
    path = (await source.open(blob.key)).path
    place = await new_stored_name(stores.db, blob.key, stores.settings.blobs)
    await stores.blobs.put_file(place, path, blob.verifier(), replace=True)
    fault = await verify_blob(origin, msgspec.structs.replace(blob, place=place))
    if fault is not None:
        return _unrepaired(
            blob, fault, "what was put back did not come out right: look at the disk"
        )
    await stores.db.write(replace_bytes, blob.key, blob.size, old=blob.place, new=place)
    await unmark_damaged(stores.db, blob.key)
    return RepairResult(
        f"blob {blob.key}", "it was put back from the backup and read again", whole=True
    )


def _unrepaired(blob: RequiredBlob, fault: str, advice: str) -> RepairResult:
    if blob.key.kind is not BlobKind.PACK:
        advice += "; uploading the same files again mends it, too"
    return RepairResult(f"blob {blob.key}", f"{fault.partition(': ')[2]}; {advice}", whole=False)


async def _required_blob(stores: Storage, row: BlobRow) -> RequiredBlob:
    key, xorb = row.key, None
    if key.kind is BlobKind.XORB:
        xorb = await stores.db.one(_XORB, which_blob=row.name)
    if xorb is None:
        return RequiredBlob(key, row.place, row.bytes)
    return RequiredBlob(key, key, row.bytes, xorb.name, bytes(xorb.entries))


# -- packs in the folders of git ------------------------------------------------------------------


async def _repair_pack(
    stores: Storage, backup: BackupFolder | None, row: RepoPack
) -> RepairResult | None:
    folder = stores.git.packs_path(row.repo_id)
    pack, index = folder / f"pack-{row.name}.pack", folder / f"pack-{row.name}.idx"
    if stores.packs_are_blobs and not pack.exists() and not index.exists():
        return None  # a node fetches the pack on demand
    is_intact = await run_in_lane(Lane.BACKGROUND, _is_pack, pack, row.name)
    if is_intact and await run_in_lane(Lane.BACKGROUND, _is_index, index, row.name):
        return None
    subject = f"pack {row.name} of repository {row.repo_id}"
    with TemporaryDirectory(prefix="hubstead-repair-") as folder_name:
        source = pack if is_intact else await _intact_copy(stores, backup, row, Path(folder_name))
        if source is None:
            return RepairResult(
                subject, "no right copy of it was found: use --from BACKUP", whole=False
            )

        def install() -> None:
            index.unlink(missing_ok=True)
            if not is_intact:
                pack.unlink(missing_ok=True)
            stores.git.install_pack(row.repo_id, row.name, source)

        await run_in_lane(Lane.BACKGROUND, install)
    whole = _is_pack(pack, row.name) and _is_index(index, row.name)
    what = "its index was made anew of it" if is_intact else "it was put back, with a new index"
    return RepairResult(subject, what if whole else "it did not come out right", whole=whole)


async def _intact_copy(
    stores: Storage, backup: BackupFolder | None, row: RepoPack, target: Path
) -> Path | None:
    """Return an intact copy of a pack from another repository, the store or the backup."""
    for other in await every_pack(stores.db):
        path = stores.git.packs_path(other.repo_id) / f"pack-{row.name}.pack"
        if other.name == row.name and await run_in_lane(Lane.BACKGROUND, _is_pack, path, row.name):
            return path
    key = BlobKey(BlobKind.PACK, row.name)
    place = (await stored_names_of(stores.db, key.kind, [key.name])).get(key.name, key)
    blob = RequiredBlob(key, place, row.bytes)
    sources = [StoreOrigin(stores.blobs, at_place=True)] if stores.packs_are_blobs else []
    for source in [*sources, *([StoreOrigin(backup.blobs())] if backup else [])]:
        path = target / "copy.pack"
        try:
            with path.open("wb") as file:
                await source.pour(blob, file.write)
        except BlobNotFound:
            continue
        if await run_in_lane(Lane.BACKGROUND, _is_pack, path, row.name):
            return path
    return None


def _is_pack(path: Path, name: str) -> bool:
    verifier = PackVerifier(name)
    try:
        pour_file(path, verifier.update)
        verifier.finish()
    except (BlobNotFound, BlobCorrupt):
        return False
    return True


def _is_index(path: Path, name: str) -> bool:
    """Tell whether an index is intact and of this pack: it ends with both checksums."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return False
    body, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    digest = hashlib.sha1(body, usedforsecurity=False).digest()
    return digest == checksum and body[-_CHECKSUM_BYTES:].hex() == name
