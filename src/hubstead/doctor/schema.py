"""The database file itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sqlalchemy import Text, column, text

from hubstead.db import scan
from hubstead.doctor.findings import Finding, Patient, Severity

_QUICK = scan(text("PRAGMA quick_check").columns(column("said", Text)))
_WHOLE = scan(text("PRAGMA integrity_check").columns(column("said", Text)))
_FOREIGN = scan(
    text('SELECT "table" AS said, count(*) AS n FROM pragma_foreign_key_check GROUP BY 1').columns(
        column("said", Text), column("n")
    )
)


async def database_file(patient: Patient) -> AsyncIterator[Finding]:
    """SQLite: pages, indexes and references are sound. PostgreSQL looks after its own."""
    db = patient.stores.db
    if db.dialect_name != "sqlite":
        return
    for row in await db.all(_QUICK if patient.quick else _WHOLE):
        if row.said != "ok":
            yield _finding(row.said, "restore the database from a backup")
    for row in await db.all(_FOREIGN):
        yield _finding(f"{row.n} rows of {row.said} refer to rows that are gone", "report this")


def _finding(what: str, hint: str) -> Finding:
    return Finding("database_file", Severity.FAULT, "database", what, hint)
