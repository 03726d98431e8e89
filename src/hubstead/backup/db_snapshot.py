"""One moment of a database, read row by row while others go on writing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from hubstead.backup.schema import Table, quoted
from hubstead.errors import Unavailable

Rows: TypeAlias = Sequence[tuple[object, ...]]

SQLITE = "sqlite:///"


class DbSnapshot(Protocol):
    """A database as it was when the picture was taken."""

    def rows(self, table: Table) -> AsyncIterator[Rows]:
        """Yield the rows of a table, some at a time, in no particular order."""
        ...

    async def last_number(self, table: Table) -> int:
        """Return the last number that the table gave to a row; 0: none yet."""
        ...


@asynccontextmanager
async def open_db_snapshot(url: str) -> AsyncIterator[DbSnapshot]:
    """Take a picture of a database whose schema is the newest, good while the block lasts.

    Raises:
        Unavailable: it cannot be reached.
    """
    if url.startswith(SQLITE):
        with _sqlite(Path(url.removeprefix(SQLITE))) as taken:
            yield taken
    else:
        async with _postgres(url) as connection:
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
        while rows := await asyncio.to_thread(cursor.fetchmany, table.batch):
            yield rows

    async def last_number(self, table: Table) -> int:
        found = self._connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = ?", (table.name,)
        ).fetchone()
        return int(found[0]) if found else 0


def _sqlite(path: Path) -> _SqliteSnapshot:
    connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only=ON")
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the moment is now
    return _SqliteSnapshot(connection)


class _PostgresSnapshot:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def rows(self, table: Table) -> AsyncIterator[Rows]:
        cursor = await self._connection.cursor(table.select)
        while rows := await cursor.fetch(table.batch):
            yield [tuple(row) for row in rows]

    async def last_number(self, table: Table) -> int:
        sequence = await sequence_of(self._connection, table)
        if sequence is None:
            return 0
        row = await self._connection.fetchrow(f"SELECT last_value, is_called FROM {sequence}")  # noqa: S608
        return int(row["last_value"]) if row["is_called"] else 0


async def sequence_of(connection: Any, table: Table) -> str | None:
    """Return what counts the numbers of a table on PostgreSQL, quoted, or None."""
    if "pk" not in table.columns:
        return None
    found: str | None = await connection.fetchval(
        "SELECT pg_get_serial_sequence($1, 'pk')", quoted(table.name)
    )
    return found


@asynccontextmanager
async def _postgres(url: str) -> AsyncIterator[Any]:
    connection = await connected(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.fetchval("SELECT 1")  # the moment is now
            yield connection
    finally:
        await connection.close()


async def connected(url: str) -> Any:
    """Open a connection to PostgreSQL.

    Raises:
        Unavailable: there is no answer.
    """
    import asyncpg

    try:
        return await asyncpg.connect(url)
    except (OSError, asyncpg.PostgresError) as error:
        raise Unavailable(reason=f"the database cannot be reached: {error}") from error
