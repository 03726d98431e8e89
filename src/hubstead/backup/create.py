"""Creates a backup of a hub while servers use it."""

from __future__ import annotations

from dataclasses import dataclass, field

import hubstead
from hubstead.admission import Lane, run_in_lane
from hubstead.backup.blob_copy import CopyResult, Patience, copy_missing
from hubstead.backup.db_snapshot import open_db_snapshot
from hubstead.backup.deletion_pause import deletion_paused
from hubstead.backup.errors import BackupFault
from hubstead.backup.folder import BackupFolder, Snapshot, digest_of
from hubstead.backup.manifest import Amount, Manifest
from hubstead.backup.progress import Progress
from hubstead.backup.required_blobs import required_amounts, required_blobs
from hubstead.backup.snapshot_db import write_listing, write_snapshot_db
from hubstead.backup.transfers import HubOrigin
from hubstead.commits import Storage
from hubstead.db import SCHEMA_VERSION, require_own_schema
from hubstead.ids import now_ms

#: Snapshots taken before missing bytes count as lost: repacking deletes git packs even while
#: deletion is paused.
ATTEMPTS = 3


#: Minutes of a store that fails do not end the backup of a night.
PATIENCE = Patience()


@dataclass
class _Draft:
    """An incomplete snapshot."""

    snapshot: Snapshot
    created_ms: int
    tables: dict[str, int] = field(default_factory=dict)
    blobs: dict[str, Amount] = field(default_factory=dict)
    copied: CopyResult = field(default_factory=CopyResult)


async def create_backup(
    stores: Storage,
    folder: BackupFolder,
    progress: Progress,
    *,
    keep_going: bool = False,
    patience: Patience = PATIENCE,
) -> Manifest:
    """Add a snapshot of a hub to a backup's folder.

    Args:
        stores: The hub; a server may run beside and take writes.
        folder: The folder, which the caller has locked exclusively.
        progress: Receives the progress.
        keep_going: Complete the snapshot even if bytes are missing or damaged, and list them in
            its manifest.
        patience: How long the copy returns to objects that the hub's store fails to send.

    Raises:
        BackupFault: bytes are missing or damaged. Copied blobs stay for the next run.
        StorageFull: the folder's disk is full. Copied blobs stay for the next run.
        Unavailable: the database or the bytes cannot be read now.
        NewerSchema: a newer release has migrated the database, with tables unknown here.
    """
    await require_own_schema(stores.db)
    await run_in_lane(Lane.BACKGROUND, folder.clear)
    await folder.blobs().sweep(0)
    new = Amount()
    async with deletion_paused(stores.db):
        for _attempt in range(ATTEMPTS):
            draft = await _create_draft(stores, folder, progress, patience)
            new = new + draft.copied.new
            if not draft.copied.missing:
                break
    lacking = draft.copied.lacking
    if lacking and not keep_going:
        raise BackupFault(
            "the hub lacks bytes that its rows name, so there is no snapshot", lacking
        )
    progress.begin("finishing")
    return await run_in_lane(Lane.BACKGROUND, _complete, stores, draft, new)


async def _create_draft(
    stores: Storage, folder: BackupFolder, progress: Progress, patience: Patience
) -> _Draft:
    await run_in_lane(Lane.BACKGROUND, folder.clear)
    created_ms = now_ms()
    draft = _Draft(await run_in_lane(Lane.BACKGROUND, folder.begin, created_ms), created_ms)
    snapshot = draft.snapshot
    async with open_db_snapshot(stores.settings.database_url) as db_snapshot:
        draft.tables = await write_snapshot_db(snapshot.database, db_snapshot, progress)
    with snapshot.open() as rows:
        await run_in_lane(Lane.BACKGROUND, write_listing, snapshot.listing, rows)
        draft.blobs = required_amounts(rows)
        total = sum(draft.blobs.values(), Amount())
        progress.begin("copying", total.count, total.bytes)
        origin, target = HubOrigin(stores, rows), folder.blobs()
        draft.copied = await copy_missing(origin, target, required_blobs(rows), progress, patience)
    return draft


def _complete(stores: Storage, draft: _Draft, new: Amount) -> Manifest:
    snapshot = draft.snapshot
    manifest = Manifest(
        id=snapshot.id,
        made_ms=draft.created_ms,
        program=hubstead.__version__,
        schema=SCHEMA_VERSION,
        shape=f"{stores.db.dialect_name}+{'s3' if stores.packs_are_blobs else 'files'}",
        database_bytes=snapshot.database.stat().st_size,
        database_sha256=digest_of(snapshot.database),
        list_sha256=digest_of(snapshot.listing),
        tables=draft.tables,
        blobs=draft.blobs,
        new=new,
        lacking=draft.copied.lacking,
    )
    snapshot.complete(manifest)
    return manifest
