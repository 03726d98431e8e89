"""The database file itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from sqlalchemy import Text, column, text

from hubstead.db import scan
from hubstead.doctor.findings import Fault, Inspection, Severity

_QUICK = scan(text("PRAGMA quick_check").columns(column("said", Text)), str)
_WHOLE = scan(text("PRAGMA integrity_check").columns(column("said", Text)), str)


class _Dangling(NamedTuple):
    said: str
    n: int


_FOREIGN = scan(
    text('SELECT "table" AS said, count(*) AS n FROM pragma_foreign_key_check GROUP BY 1').columns(
        column("said", Text), column("n")
    ),
    _Dangling,
)


async def database_file(patient: Inspection) -> AsyncIterator[Fault]:
    """SQLite: pages, indexes and references are sound. PostgreSQL looks after its own."""
    db = patient.stores.db
    if db.dialect_name != "sqlite":
        return
    for said in await db.all(_QUICK if patient.quick else _WHOLE):
        if said != "ok":
            yield _finding(said, "restore the database from a backup")
    for row in await db.all(_FOREIGN):
        yield _finding(f"{row.n} rows of {row.said} refer to rows that are gone", "report this")


def _finding(what: str, hint: str) -> Fault:
    return Fault("database_file", Severity.FAULT, "database", what, hint)
