"""Registered statements on a SQLite file beside the hub's database, such as a backup's rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, TypeVar

from hubstead.db.statements import Statement, sqlite_dialect, sqlite_value

R = TypeVar("R")
_DIALECT = sqlite_dialect()


class SqliteFile:
    """Runs statements of rooms on an open file, in the caller's thread and transaction.

    Raises:
        sqlite3.Error: the file is damaged, or its schema lacks a column.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, statement: Statement[R], **values: object) -> Iterator[R]:
        """Yield the rows of a statement while SQLite reads them."""
        make_row = statement.make_row
        assert make_row is not None, "only statements that return columns have rows"
        yield from map(make_row, self._execute(statement, values))

    def change(self, statement: Statement[Any], **values: object) -> int:
        """Run a change; return how many rows it changed."""
        return self._execute(statement, values).rowcount

    def _execute(self, statement: Statement[Any], values: dict[str, object]) -> sqlite3.Cursor:
        compiled = statement.on(_DIALECT)
        arguments = [sqlite_value(value) for value in compiled.arguments(values)]
        return self._connection.execute(compiled.sql, arguments)
