"""Stamps in the future, which a clock that ran ahead has left, count as now.

Every column ``…_ms`` is the time of something that has happened, except deadlines. The columns of
all tables come from the declared schema, so that no room has to do this itself.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, bindparam, func, select, update

from hubstead.db.clock import database_now_ms
from hubstead.db.interface import Database, Reader
from hubstead.db.schema import metadata
from hubstead.db.statements import Statement, scan

#: How far in the future a stamp may lie: clocks of nodes differ by seconds.
AHEAD_MS = 300_000
#: Columns of times to come, and of differences. Jobs correct theirs (``jobs/future_times.py``).
_NO_STAMPS = frozenset(("due_ms", "lease_ms", "expires_ms", "until_ms", "difference_ms"))


class FutureStamps(NamedTuple):
    """How many rows of a table have a stamp in the future, by the column's name in the code."""

    table: str
    column: str
    rows: int


async def future_stamps(reader: Reader) -> list[FutureStamps]:
    """Count the stamps in the future, by the database's clock. Reads every table once."""
    after_ms = await database_now_ms(reader) + AHEAD_MS
    counted = []
    for name, columns in _columns().items():
        for column in columns:
            count = await reader.single(_counts()[name, column], after_ms=after_ms)
            if count:
                counted.append(FutureStamps(name, column, count))
    return counted


async def correct_stamps(db: Database) -> list[FutureStamps]:
    """Have the stamps in the future be now, and return what there was."""
    future = await future_stamps(db)
    now = await database_now_ms(db)
    for one in future:
        change = _corrections()[one.table, one.column]
        await db.execute(change, now_ms=now, after_ms=now + AHEAD_MS)
    return future


@functools.cache
def _columns() -> Mapping[str, tuple[str, ...]]:
    return {
        table.name: tuple(column.key for column in table.columns if _is_stamp(column))
        for table in metadata.sorted_tables
    }


def _is_stamp(column: Column[Any]) -> bool:
    return column.name.endswith("_ms") and column.name not in _NO_STAMPS


@functools.cache
def _counts() -> Mapping[tuple[str, str], Statement[int]]:
    return {
        (name, column): scan(
            select(func.count().label("rows")).where(
                metadata.tables[name].c[column] > bindparam("after_ms", type_=BigInteger)
            ),
            int,
        )
        for name, columns in _columns().items()
        for column in columns
    }


@functools.cache
def _corrections() -> Mapping[tuple[str, str], Statement[None]]:
    return {
        (name, column): scan(
            update(metadata.tables[name])
            .where(metadata.tables[name].c[column] > bindparam("after_ms", type_=BigInteger))
            .values({column: bindparam("now_ms", type_=BigInteger)})
        )
        for name, columns in _columns().items()
        for column in columns
    }
