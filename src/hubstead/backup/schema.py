"""The tables of a snapshot, read from its file: older snapshots have older schemas."""

from __future__ import annotations

import graphlib
import sqlite3
from dataclasses import dataclass

MARK = "restore_mark"
#: Rows per batch; fewer for tables with byte columns, where one row may have megabytes.
_ROWS, _ROWS_WITH_BYTES = 500, 16
#: Tables about the database itself: the version of its schema, which the manifest has too, and
#: the mark of an incomplete restore.
UNCOPIED_TABLES = ("alembic_version", MARK)


@dataclass(frozen=True, slots=True)
class Table:
    """One table, and the statements that copy it."""

    name: str
    columns: tuple[str, ...]
    batch: int
    numbered: bool  # never assigns a primary key twice

    @property
    def select(self) -> str:
        """The statement that reads all rows, valid on both engines."""
        return f"SELECT {self.listed} FROM {quoted(self.name)}"  # noqa: S608

    @property
    def insert(self) -> str:
        """The statement that inserts a row on SQLite."""
        places = ", ".join("?" for _ in self.columns)
        return f"INSERT INTO {quoted(self.name)} ({self.listed}) VALUES ({places})"  # noqa: S608

    @property
    def listed(self) -> str:
        """The columns, quoted and joined for a statement."""
        return ", ".join(map(quoted, self.columns))


def quoted(name: str) -> str:
    """Return a name as a quoted identifier for both engines."""
    return '"' + name.replace('"', '""') + '"'


def tables_of(connection: sqlite3.Connection) -> list[Table]:
    """Return the tables with content, referenced tables before those that refer to them."""
    statements = dict(
        connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
            " AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
        ).fetchall()
    )
    for name in UNCOPIED_TABLES:
        statements.pop(name, None)
    parents = {name: _parents(connection, name) for name in sorted(statements)}
    order = graphlib.TopologicalSorter(parents).static_order()
    return [_table(connection, name, statements[name]) for name in order]


def _parents(connection: sqlite3.Connection, name: str) -> set[str]:
    rows = connection.execute(f"PRAGMA foreign_key_list({quoted(name)})").fetchall()
    return {row[2] for row in rows} - {name}


def _table(connection: sqlite3.Connection, name: str, sql: str) -> Table:
    columns = connection.execute(f"PRAGMA table_info({quoted(name)})").fetchall()
    holds_bytes = any(column[2].upper() == "BLOB" for column in columns)
    return Table(
        name,
        tuple(column[1] for column in columns),
        _ROWS_WITH_BYTES if holds_bytes else _ROWS,
        "AUTOINCREMENT" in sql.upper(),
    )
