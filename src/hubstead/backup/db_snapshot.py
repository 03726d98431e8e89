"""A consistent snapshot of a database, read in batches while others write."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from hubstead.admission import Lane, run_in_lane
from hubstead.backup.schema import Table, quoted
from hubstead.db import connect_sqlite
from hubstead.errors import Unavailable

Rows: TypeAlias = Sequence[tuple[object, ...]]

SQLITE = "sqlite:///"


class DbSnapshot(Protocol):
    """The rows of a database at one moment."""

    def rows(self, table: Table) -> AsyncIterator[Rows]:
        """Yield the rows of a table in batches, in no particular order."""
        ...

    async def last_number(self, table: Table) -> int:
        """Return the last primary key that the table assigned; 0 before the first."""
        ...


@asynccontextmanager
async def open_db_snapshot(url: str) -> AsyncIterator[DbSnapshot]:
    """Take a snapshot of a database in the current schema; it is valid inside the block.

    Raises:
        Unavailable: the database cannot be reached.
    """
    if url.startswith(SQLITE):
        with _begin_sqlite(Path(url.removeprefix(SQLITE))) as snapshot:
            yield snapshot
    else:
        async with _begin_postgres(url) as connection:
            yield _PostgresSnapshot(connection)


class _SqliteSnapshot:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> _SqliteSnapshot:
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()

    async def rows(self, table: Table) -> AsyncIterator[Rows]:
        cursor = self._connection.execute(table.select)
        while rows := await run_in_lane(Lane.BACKGROUND, cursor.fetchmany, table.batch):
            yield rows

    async def last_number(self, table: Table) -> int:
        row = self._connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = ?", (table.name,)
        ).fetchone()
        return int(row[0]) if row else 0


def _begin_sqlite(path: Path) -> _SqliteSnapshot:
    connection = connect_sqlite(path)
    connection.execute("PRAGMA query_only=ON")
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # takes the snapshot
    return _SqliteSnapshot(connection)


class _PostgresSnapshot:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def rows(self, table: Table) -> AsyncIterator[Rows]:
        cursor = await self._connection.cursor(table.select)
        while rows := await cursor.fetch(table.batch):
            yield [tuple(row) for row in rows]

    async def last_number(self, table: Table) -> int:
        sequence = await serial_sequence(self._connection, table)
        if sequence is None:
            return 0
        row = await self._connection.fetchrow(f"SELECT last_value, is_called FROM {sequence}")  # noqa: S608
        return int(row["last_value"]) if row["is_called"] else 0


async def serial_sequence(connection: Any, table: Table) -> str | None:
    """Return the quoted name of the sequence behind a table's ``pk`` on PostgreSQL, or None."""
    if "pk" not in table.columns:
        return None
    sequence: str | None = await connection.fetchval(
        "SELECT pg_get_serial_sequence($1, 'pk')", quoted(table.name)
    )
    return sequence


@asynccontextmanager
async def _begin_postgres(url: str) -> AsyncIterator[Any]:
    connection = await connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.fetchval("SELECT 1")  # takes the snapshot
            yield connection
    finally:
        await connection.close()


async def connect(url: str) -> Any:
    """Open a connection to PostgreSQL.

    Raises:
        Unavailable: PostgreSQL does not answer, or refuses the connection.
    """
    import asyncpg

    try:
        return await asyncpg.connect(url)
    except (OSError, asyncpg.PostgresError) as error:
        raise Unavailable(reason=f"the database cannot be reached: {error}") from error
