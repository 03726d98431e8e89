"""Compares a restored hub with a snapshot, and a backup with its digests."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from hubstead.admission import Lane, run_in_lane
from hubstead.backup.db_snapshot import SQLITE, DbSnapshot, open_db_snapshot
from hubstead.backup.errors import BackupFault
from hubstead.backup.folder import BackupFolder, Snapshot, open_rows
from hubstead.backup.load import prepare_rows
from hubstead.backup.manifest import Amount, Manifest
from hubstead.backup.progress import Progress
from hubstead.backup.required_blobs import RequiredBlob, required_amounts, required_blobs
from hubstead.backup.schema import Table, tables_of
from hubstead.backup.snapshot_db import count_rows, own_tables
from hubstead.backup.transfers import HubOrigin, Origin, StoreOrigin, verify_blobs
from hubstead.commits import Storage
from hubstead.doctor import Inspection, Severity, run_checks

_MODULUS = 1 << 256


async def verify_restore(
    stores: Storage, folder: BackupFolder, snapshot: Snapshot, progress: Progress
) -> AsyncIterator[str]:
    """Compare a restored hub without later writes with its snapshot; yield the differences.

    Compare all rows, read all bytes and compare their digests, and run the doctor.

    Raises:
        BackupFault: the rows of the snapshot are damaged.
        InvalidInput: the schema of the snapshot is newer than this program.
    """
    with TemporaryDirectory(prefix="hubstead-verify-") as folder_name:
        rows = Path(folder_name) / "rows.sqlite"
        await prepare_rows(snapshot, rows)
        async for difference in _compare_rows(stores, rows, progress):
            yield difference
        with open_rows(rows) as rows_db:
            total = sum(required_amounts(rows_db).values(), Amount())
            progress.begin("reading the hub's bytes", total.count, total.bytes)
            origin: Origin = HubOrigin(stores, rows_db)
            for fault in await verify_blobs(origin, required_blobs(rows_db), progress):
                yield f"hub: {fault}"
            progress.begin("reading the backup's bytes", total.count, total.bytes)
            origin = StoreOrigin(folder.blobs())
            for fault in await verify_blobs(origin, required_blobs(rows_db), progress):
                yield f"backup: {fault}"
    progress.begin("asking the doctor")
    async for finding in run_checks(Inspection(stores)):
        if finding.severity is Severity.FAULT:
            yield f"hub: {finding.subject}: {finding.what} ({finding.check})"


async def _compare_rows(stores: Storage, rows: Path, progress: Progress) -> AsyncIterator[str]:
    with open_rows(rows) as rows_db:
        own = own_tables()
        tables = [table for table in tables_of(rows_db) if table.name not in own]
    async with (
        open_db_snapshot(f"{SQLITE}{rows}") as ours,
        open_db_snapshot(stores.settings.database_url) as theirs,
    ):
        for table in tables:
            progress.begin(f"comparing {table.name}")
            wanted, actual = await _digest(ours, table), await _digest(theirs, table)
            if wanted[0] != actual[0]:
                yield f"hub: {table.name} has {actual[0]} rows instead of {wanted[0]}"
            elif wanted != actual:
                yield f"hub: {table.name} has other rows"


async def _digest(snapshot: DbSnapshot, table: Table) -> tuple[int, int]:
    """Return the number of rows, and a digest that does not depend on their order."""
    count = total = 0
    async for rows in snapshot.rows(table):
        count += len(rows)
        for row in rows:
            digest = hashlib.sha256(msgspec.msgpack.encode(row)).digest()
            total = (total + int.from_bytes(digest, "big")) % _MODULUS
    return count, total


async def check_backup(folder: BackupFolder, progress: Progress) -> AsyncIterator[str]:
    """Read a whole backup and compare it with its digests; yield the faults."""
    seen: set[tuple[str, bytes]] = set()
    origin = StoreOrigin(folder.blobs())
    for snapshot in reversed(folder.snapshots()):
        try:
            await run_in_lane(Lane.BACKGROUND, snapshot.check_database)
            await run_in_lane(Lane.BACKGROUND, snapshot.check_listing)
        except BackupFault as damage:
            for line in damage.faults:
                yield f"{snapshot.id}: {line}"
            continue
        progress.begin(f"reading {snapshot.id}")
        with snapshot.open() as rows:
            for difference in _manifest_differences(snapshot.read(), rows):
                yield f"{snapshot.id}: manifest.json: {difference}"
            for fault in await verify_blobs(origin, _unseen(required_blobs(rows), seen), progress):
                yield f"{snapshot.id}: {fault}"


def _manifest_differences(manifest: Manifest, rows: sqlite3.Connection) -> Iterator[str]:
    """Yield what a manifest says of its rows and is not true, which no digest covers."""
    schema = rows.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    if schema != manifest.schema:
        yield f"it names the schema {manifest.schema}, but the rows have {schema}"
    counts = count_rows(rows)
    for table in sorted(counts.keys() | manifest.tables.keys()):
        if counts.get(table, 0) != manifest.tables.get(table, 0):
            listed = manifest.tables.get(table, 0)
            yield f"it counts {listed} rows of {table}, but there are {counts.get(table, 0)}"
    amounts = required_amounts(rows)
    for kind in sorted(amounts.keys() | manifest.blobs.keys()):
        if amounts.get(kind, Amount()) != manifest.blobs.get(kind, Amount()):
            yield f"its number or size of objects of kind {kind} is not that of the rows"


def _unseen(wanted: Iterable[RequiredBlob], seen: set[tuple[str, bytes]]) -> Iterator[RequiredBlob]:
    for blob in wanted:
        mark = (blob.key.kind.value, bytes.fromhex(blob.key.name))
        if mark not in seen:
            seen.add(mark)
            yield blob
