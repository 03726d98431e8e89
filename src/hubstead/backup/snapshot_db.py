"""Writes a consistent snapshot of a database to the file of a backup's snapshot."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from hubstead.admission import Lane, run_in_lane
from hubstead.backup.db_snapshot import SQLITE, DbSnapshot, Rows
from hubstead.backup.folder import open_private
from hubstead.backup.progress import Progress
from hubstead.backup.required_blobs import listed_blobs
from hubstead.backup.schema import Table, quoted, tables_of
from hubstead.blobs import delete_pending
from hubstead.db import SqliteFile, metadata, migrate
from hubstead.jobs import end_leases
from hubstead.xet import BLOB_IS_OF_XORB


def own_tables() -> list[str]:
    """Return the tables about one running hub, which differ in a restored one."""
    return [name for name, table in metadata.tables.items() if table.info["backup"] == "own"]


def skipped_tables() -> list[str]:
    """Return the tables whose rows a backup leaves out, as the rooms declare them."""
    return [name for name, table in metadata.tables.items() if table.info["backup"] != "copy"]


async def write_snapshot_db(path: Path, source: DbSnapshot, progress: Progress) -> dict[str, int]:
    """Write the rows of ``source`` to the database ``path``; return the row count per table.

    Raises:
        StorageFull: the disk is full.
    """
    with open_private(path):
        pass  # SQLite keeps the mode
    await migrate(f"{SQLITE}{path}")
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        # A snapshot without a manifest does not count, so its database need not survive a crash.
        for pragma in ("journal_mode=DELETE", "synchronous=OFF", "foreign_keys=OFF"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        for table in tables_of(connection):
            progress.begin(f"reading {table.name}")
            await _copy(connection, table, source)
        for name in skipped_tables():
            connection.execute(f"DELETE FROM {quoted(name)}")  # noqa: S608 - declared by rooms
        file = SqliteFile(connection)
        delete_pending(file, BLOB_IS_OF_XORB)
        end_leases(file)
        connection.execute("COMMIT")
        return count_rows(connection)
    finally:
        connection.close()


def count_rows(rows: sqlite3.Connection) -> dict[str, int]:
    """Return the number of rows of each table of a snapshot."""
    return {table.name: _count(rows, table) for table in tables_of(rows)}


async def _copy(connection: sqlite3.Connection, table: Table, source: DbSnapshot) -> None:
    connection.execute(f"DELETE FROM {quoted(table.name)}")  # noqa: S608 - of migrations
    async for rows in source.rows(table):
        await run_in_lane(Lane.BACKGROUND, _insert, connection, table, rows)
    if table.numbered:
        last = await source.last_number(table)
        connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table.name,))
        connection.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table.name, last))


def _insert(connection: sqlite3.Connection, table: Table, rows: Rows) -> None:
    # Closed in this thread: a garbage-collected cursor resets its statement, which the connection
    # shares with the next cursor.
    connection.executemany(table.insert, rows).close()


def _count(connection: sqlite3.Connection, table: Table) -> int:
    sql = f"SELECT count(*) FROM {quoted(table.name)}"  # noqa: S608
    return int(connection.execute(sql).fetchone()[0])


def write_listing(path: Path, rows: sqlite3.Connection) -> None:
    """Write the blobs that the rows reference, one line of kind, name and size per blob."""
    with open_private(path) as fd, os.fdopen(os.dup(fd), "w") as file:
        file.writelines(f"{kind}\t{name}\t{size}\n" for kind, name, size in listed_blobs(rows))
