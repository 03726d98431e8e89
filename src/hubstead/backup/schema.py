"""What a snapshot's tables are like, as its own file tells: older snapshots have older ones."""

from __future__ import annotations

import graphlib
import sqlite3
from dataclasses import dataclass

MARK = "restore_mark"
#: Rows read at a time: of tables that hold bytes few, since one may have megabytes.
_ROWS, _ROWS_WITH_BYTES = 500, 16
#: What says something of the database itself and is no content: the version of its schema, which
#: stands in the manifest, and the mark of a restore that is not complete.
ITS_OWN = ("alembic_version", MARK)


@dataclass(frozen=True, slots=True)
class Table:
    """One table and how it is read."""

    name: str
    columns: tuple[str, ...]
    batch: int
    numbered: bool  # a number, once given, is never given again

    @property
    def select(self) -> str:
        """The statement that reads it all, which both databases understand."""
        return f"SELECT {self.listed} FROM {quoted(self.name)}"  # noqa: S608

    @property
    def insert(self) -> str:
        """The statement that adds a row, for SQLite."""
        places = ", ".join("?" for _ in self.columns)
        return f"INSERT INTO {quoted(self.name)} ({self.listed}) VALUES ({places})"  # noqa: S608

    @property
    def listed(self) -> str:
        """Its columns, as statements list them."""
        return ", ".join(map(quoted, self.columns))


def quoted(name: str) -> str:
    """Return a name as statements of both databases hold it."""
    return '"' + name.replace('"', '""') + '"'


def tables_of(connection: sqlite3.Connection) -> list[Table]:
    """Return every table of ours, those first that others refer to."""
    found = dict(
        connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
            " AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
        ).fetchall()
    )
    for name in ITS_OWN:
        found.pop(name, None)
    parents = {name: _parents(connection, name) for name in sorted(found)}
    order = graphlib.TopologicalSorter(parents).static_order()
    return [_table(connection, name, found[name]) for name in order]


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
