"""Letting go of old snapshots, and of the bytes that only they named."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence

from hubstead.backup.folder import BackupFolder, Snapshot
from hubstead.backup.manifest import Amount
from hubstead.blobs import BlobKind, LocalBlobs


async def prune_snapshots(folder: BackupFolder, keep: int) -> Amount:
    """Keep the newest ``keep`` snapshots (at least 1) of a folder that the caller holds alone.

    Returns:
        The blobs that went.

    Raises:
        Faulty: a snapshot cannot be read, so nobody can tell which blobs it needs.
    """
    found = folder.snapshots()
    kept = found[-keep:]
    for snapshot in kept:
        await asyncio.to_thread(snapshot.check_listing)
    for snapshot in found[: len(found) - len(kept)]:
        await asyncio.to_thread(snapshot.remove)
    return await _remove_unnamed(folder.blobs(), kept)


async def _remove_unnamed(store: LocalBlobs, kept: Sequence[Snapshot]) -> Amount:
    gone = Amount()
    named = _named(kept)
    try:
        for kind in BlobKind:
            async for each in store.keys(kind):
                if not _is_named(named, kind, each.key.name) and await store.delete(each.key):
                    gone += Amount(1, each.size)
    finally:
        named.close()
    return gone


def _named(snapshots: Sequence[Snapshot]) -> sqlite3.Connection:
    """Return what the snapshots name, in a table on disk: there may be millions."""
    connection = sqlite3.connect("", isolation_level=None)
    connection.execute("CREATE TABLE named (blob TEXT PRIMARY KEY) WITHOUT ROWID")
    connection.execute("BEGIN")
    for snapshot in snapshots:
        with snapshot.listing.open() as lines:
            rows = (("/".join(line.split("\t")[:2]),) for line in lines)
            connection.executemany("INSERT OR IGNORE INTO named VALUES (?)", rows)
    connection.execute("COMMIT")
    return connection


def _is_named(named: sqlite3.Connection, kind: BlobKind, name: str) -> bool:
    sql = "SELECT 1 FROM named WHERE blob = ?"
    return named.execute(sql, (f"{kind}/{name}",)).fetchone() is not None
