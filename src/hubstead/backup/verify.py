"""Holding a hub, and a backup, against what a snapshot says."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from hubstead.backup.db_snapshot import SQLITE, DbSnapshot, open_db_snapshot
from hubstead.backup.errors import BackupFault
from hubstead.backup.folder import BackupFolder, Snapshot, opened_rows
from hubstead.backup.load import prepare_rows
from hubstead.backup.manifest import Amount
from hubstead.backup.progress import Progress
from hubstead.backup.required_blobs import RequiredBlob, required_amounts, required_blobs
from hubstead.backup.schema import Table, tables_of
from hubstead.backup.transfers import HubOrigin, Origin, StoreOrigin, verify_blobs
from hubstead.commits import Storage
from hubstead.doctor import Inspection, Severity, run_checks

#: What a restored hub has of its own.
_ITS_OWN = ("xet_epoch", "deletion_pause", "storage_change", "node")
_MODULUS = 1 << 256


async def verify_restore(
    stores: Storage, folder: BackupFolder, snapshot: Snapshot, progress: Progress
) -> AsyncIterator[str]:
    """Compare a hub that nobody has written to with a snapshot; yield each difference.

    Every row is compared, every byte read and compared with its digest, and the doctor called.

    Raises:
        Faulty: the snapshot's own rows are damaged.
        InvalidInput: its schema is newer than this program.
    """
    with TemporaryDirectory(prefix="hubstead-verify-") as place:
        rows = Path(place) / "rows.sqlite"
        await prepare_rows(snapshot, rows)
        async for difference in _rows(stores, rows, progress):
            yield difference
        with opened_rows(rows) as opened:
            total = sum(required_amounts(opened).values(), Amount())
            progress.begin("reading the hub's bytes", total.count, total.bytes)
            origin: Origin = HubOrigin(stores, opened)
            for fault in await verify_blobs(origin, required_blobs(opened), progress):
                yield f"hub: {fault}"
            progress.begin("reading the backup's bytes", total.count, total.bytes)
            origin = StoreOrigin(folder.blobs())
            for fault in await verify_blobs(origin, required_blobs(opened), progress):
                yield f"backup: {fault}"
    progress.begin("asking the doctor")
    async for finding in run_checks(Inspection(stores)):
        if finding.severity is Severity.FAULT:
            yield f"hub: {finding.subject}: {finding.what} ({finding.check})"


async def _rows(stores: Storage, rows: Path, progress: Progress) -> AsyncIterator[str]:
    with opened_rows(rows) as opened:
        tables = [table for table in tables_of(opened) if table.name not in _ITS_OWN]
    async with (
        open_db_snapshot(f"{SQLITE}{rows}") as wanted,
        open_db_snapshot(stores.settings.database_url) as found,
    ):
        for table in tables:
            progress.begin(f"comparing {table.name}")
            ours, theirs = await _digest(wanted, table), await _digest(found, table)
            if ours[0] != theirs[0]:
                yield f"hub: {table.name} has {theirs[0]} rows instead of {ours[0]}"
            elif ours != theirs:
                yield f"hub: {table.name} has other rows"


async def _digest(taken: DbSnapshot, table: Table) -> tuple[int, int]:
    """Return how many rows there are and a digest of all, whatever order they come in."""
    count = total = 0
    async for rows in taken.rows(table):
        count += len(rows)
        for row in rows:
            digest = hashlib.sha256(msgspec.msgpack.encode(row)).digest()
            total = (total + int.from_bytes(digest, "big")) % _MODULUS
    return count, total


async def check_backup(folder: BackupFolder, progress: Progress) -> AsyncIterator[str]:
    """Read a whole backup and compare it with its digests; yield each fault."""
    seen: set[tuple[str, bytes]] = set()
    origin = StoreOrigin(folder.blobs())
    for snapshot in reversed(folder.snapshots()):
        try:
            await asyncio.to_thread(snapshot.check_database)
            await asyncio.to_thread(snapshot.check_listing)
        except BackupFault as damage:
            for line in damage.faults:
                yield f"{snapshot.id}: {line}"
            continue
        progress.begin(f"reading {snapshot.id}")
        with snapshot.open() as rows:
            for fault in await verify_blobs(origin, _unseen(required_blobs(rows), seen), progress):
                yield f"{snapshot.id}: {fault}"


def _unseen(wanted: Iterable[RequiredBlob], seen: set[tuple[str, bytes]]) -> Iterator[RequiredBlob]:
    for need in wanted:
        mark = (need.key.kind.value, bytes.fromhex(need.key.name))
        if mark not in seen:
            seen.add(mark)
            yield need
