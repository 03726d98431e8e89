"""Loads the rows of a snapshot into the database of a hub, in one transaction."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from hubstead.admission import Lane, run_in_lane
from hubstead.backup.db_snapshot import SQLITE, connect, serial_sequence
from hubstead.backup.errors import BackupFault
from hubstead.backup.folder import Snapshot, open_private, open_rows
from hubstead.backup.schema import MARK, UNCOPIED_TABLES, Table, quoted, tables_of
from hubstead.db import SCHEMA_VERSION, migrate
from hubstead.errors import InvalidInput
from hubstead.ids import now_ms

_COPY_BYTES = 1 << 20


async def prepare_rows(snapshot: Snapshot, target: Path) -> None:
    """Copy the rows of a snapshot to the file ``target`` and migrate them to the current schema.

    Raises:
        BackupFault: the rows have changed since the backup.
        InvalidInput: the schema of the rows is newer than this program.
    """
    manifest = snapshot.read()
    if manifest.schema > SCHEMA_VERSION:
        raise InvalidInput(
            reason=f"the snapshot has schema {manifest.schema}, "
            f"this program knows {SCHEMA_VERSION} at most"
        )
    await run_in_lane(Lane.BACKGROUND, snapshot.check_database)
    await run_in_lane(Lane.BACKGROUND, _copy, snapshot.database, target)
    await migrate(f"{SQLITE}{target}")
    with closing(sqlite3.connect(target, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # removes the files of the write-ahead log


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as file, open_private(target) as fd, open(fd, "wb", closefd=False) as to:
        while chunk := file.read(_COPY_BYTES):
            to.write(chunk)


async def awaits_restore(url: str) -> bool:
    """Tell whether a restore may begin or continue.

    It may begin in a database that is missing or has no rows, and continue in a database that has
    the mark of an incomplete restore.
    """
    if not url.startswith(SQLITE):
        connection = await connect(url)
        try:
            return await _postgres_has_mark(connection) or not await _postgres_filled(connection)
        finally:
            await connection.close()
    path = Path(url.removeprefix(SQLITE))
    if not path.exists():
        return True
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return _sqlite_has_mark(connection) or not _sqlite_filled(connection)


async def load_rows(rows: Path, url: str) -> None:
    """Load the result of ``prepare_rows`` into an empty database in the current schema.

    The hub gets a new Xet epoch, so that clients drop what they cached about stored chunks. The
    same transaction notes in the mark of the restore that the rows are loaded.

    Raises:
        InvalidInput: the database is not empty.
        BackupFault: rows refer to missing rows.
    """
    if url.startswith(SQLITE):
        await run_in_lane(Lane.BACKGROUND, _load_sqlite, rows, Path(url.removeprefix(SQLITE)))
    else:
        with open_rows(rows) as source:
            await _load_postgres(source, url)


def _new_epoch() -> tuple[str, int]:
    return secrets.token_hex(8), now_ms()


# -- SQLite -----------------------------------------------------------------------------------


def _load_sqlite(rows: Path, path: Path) -> None:
    connection = sqlite3.connect(path, timeout=10, isolation_level=None)
    with closing(connection):
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("ATTACH DATABASE ? AS picture", (str(rows),))
        connection.execute("BEGIN IMMEDIATE")
        _require_empty(_sqlite_filled(connection))
        for table in tables_of(connection):
            name, columns = quoted(table.name), table.listed
            connection.execute(
                f"INSERT INTO main.{name} ({columns}) SELECT {columns} FROM picture.{name}"  # noqa: S608
            )
        connection.execute("DELETE FROM main.sqlite_sequence")
        connection.execute("INSERT INTO main.sqlite_sequence SELECT * FROM picture.sqlite_sequence")
        connection.execute("INSERT INTO main.xet_epoch VALUES (?, ?)", _new_epoch())
        connection.execute("UPDATE main.restore_mark SET loaded_ms = ?", (now_ms(),))
        violations = connection.execute("PRAGMA main.foreign_key_check").fetchall()
        if violations:
            faults = sorted({f"rows of {row[0]} refer to rows of {row[2]}" for row in violations})
            raise BackupFault("the snapshot refers to rows that it has not", faults)
        connection.execute("COMMIT")


def _sqlite_has_mark(connection: sqlite3.Connection) -> bool:
    table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    row = f"SELECT 1 FROM {MARK}"  # noqa: S608
    if not connection.execute(table, (MARK,)).fetchone():
        return False
    return connection.execute(row).fetchone() is not None


def _sqlite_filled(connection: sqlite3.Connection) -> list[str]:
    return [
        table.name
        for table in tables_of(connection)
        if connection.execute(f"SELECT 1 FROM main.{quoted(table.name)} LIMIT 1").fetchone()  # noqa: S608
    ]


# -- PostgreSQL -------------------------------------------------------------------------------


async def _load_postgres(source: sqlite3.Connection, url: str) -> None:
    connection = await connect(url)
    try:
        async with connection.transaction():
            _require_empty(await _postgres_filled(connection))
            for table in tables_of(source):
                await connection.copy_records_to_table(
                    table.name, records=_records(source, table), columns=table.columns
                )
                await _set_sequence(connection, source, table)
            insert = "INSERT INTO xet_epoch (id, created_ms) VALUES ($1, $2)"
            await connection.execute(insert, *_new_epoch())
            await connection.execute("UPDATE restore_mark SET loaded_ms = $1", now_ms())
    finally:
        await connection.close()


def _records(source: sqlite3.Connection, table: Table) -> Iterator[tuple[object, ...]]:
    cursor = source.execute(table.select)
    while rows := cursor.fetchmany(table.batch):
        yield from rows


async def _set_sequence(connection: Any, source: sqlite3.Connection, table: Table) -> None:
    sequence = await serial_sequence(connection, table)
    if sequence is None:
        return
    (highest,) = source.execute(f"SELECT max(pk) FROM {quoted(table.name)}").fetchone()  # noqa: S608
    assigned = source.execute(
        "SELECT max(seq) FROM sqlite_sequence WHERE name = ?", (table.name,)
    ).fetchone()
    last = max(highest or 0, assigned[0] or 0)
    if last:
        await connection.execute("SELECT setval($1, $2)", sequence, last)


async def _postgres_has_mark(connection: Any) -> bool:
    if await connection.fetchval("SELECT to_regclass($1)", MARK) is None:
        return False
    return bool(await connection.fetchval(f"SELECT EXISTS (SELECT 1 FROM {MARK})"))  # noqa: S608


async def _postgres_filled(connection: Any) -> list[str]:
    tables = await connection.fetch(
        "SELECT tablename AS name FROM pg_tables WHERE schemaname = ANY (current_schemas(false))"
        " AND tablename <> ALL ($1)",
        list(UNCOPIED_TABLES),
    )
    return [
        row["name"]
        for row in tables
        if await connection.fetchval(f"SELECT EXISTS (SELECT 1 FROM {quoted(row['name'])})")  # noqa: S608
    ]


def _require_empty(filled: Sequence[str]) -> None:
    if filled:
        raise InvalidInput(
            reason=f"the database is not empty: it has rows in {', '.join(sorted(filled))}"
        )
