"""Removes old snapshots, and the blobs that no other snapshot references."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from hubstead.admission import Lane, run_in_lane
from hubstead.backup.folder import BackupFolder, Snapshot
from hubstead.backup.manifest import Amount
from hubstead.blobs import BlobKind, LocalBlobs


async def prune_snapshots(folder: BackupFolder, keep: int) -> Amount:
    """Remove all snapshots but the newest ``keep`` (at least 1); the caller has the exclusive lock.

    Returns:
        The removed blobs.

    Raises:
        BackupFault: a remaining snapshot is damaged, so its references are unknown.
    """
    snapshots = folder.snapshots()
    remaining = snapshots[-keep:]
    for snapshot in remaining:
        await run_in_lane(Lane.BACKGROUND, snapshot.check_listing)
    for snapshot in snapshots[: len(snapshots) - len(remaining)]:
        await run_in_lane(Lane.BACKGROUND, snapshot.remove)
    return await _remove_unreferenced(folder.blobs(), remaining)


async def _remove_unreferenced(store: LocalBlobs, remaining: Sequence[Snapshot]) -> Amount:
    removed = Amount()
    references = _index_references(remaining)
    try:
        for kind in BlobKind:
            async for entry in store.keys(kind):
                if _is_referenced(references, kind, entry.key.name):
                    continue
                if await store.delete(entry.key):
                    removed += Amount(1, entry.size)
    finally:
        references.close()
    return removed


def _index_references(snapshots: Sequence[Snapshot]) -> sqlite3.Connection:
    """Return the references of the snapshots as a table on disk: there may be millions."""
    connection = sqlite3.connect("", isolation_level=None)
    connection.execute("CREATE TABLE named (blob TEXT PRIMARY KEY) WITHOUT ROWID")
    connection.execute("BEGIN")
    for snapshot in snapshots:
        with snapshot.listing.open() as lines:
            rows = (("/".join(line.split("\t")[:2]),) for line in lines)
            connection.executemany("INSERT OR IGNORE INTO named VALUES (?)", rows)
    connection.execute("COMMIT")
    return connection


def _is_referenced(references: sqlite3.Connection, kind: BlobKind, name: str) -> bool:
    sql = "SELECT 1 FROM named WHERE blob = ?"
    return references.execute(sql, (f"{kind}/{name}",)).fetchone() is not None
