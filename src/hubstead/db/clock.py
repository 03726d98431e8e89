"""The database's clock, which all nodes share; only it decides when leases and holds expire."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement

from hubstead.db.interface import Reader
from hubstead.db.statements import indexed


class DatabaseNow(ColumnElement[int]):
    """The database's time when it runs the statement, in milliseconds since the epoch."""

    inherit_cache = True
    type = BigInteger()


@compiles(DatabaseNow)
def _sqlite(element: DatabaseNow, compiler: object, **options: Any) -> str:
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"


@compiles(DatabaseNow, "postgresql")
def _postgres(element: DatabaseNow, compiler: object, **options: Any) -> str:
    # Not now(), which stands still within a transaction. A subquery runs once per statement, so
    # that a comparison with it uses an index.
    return "(SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT))"


_NOW = indexed(select(DatabaseNow().label("now_ms")), int)


async def database_now_ms(db: Reader) -> int:
    """Return the time of the database's clock in milliseconds since the epoch."""
    return await db.single(_NOW)
