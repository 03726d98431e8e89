"""Check of the database file itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from sqlalchemy import Text, column, text

from hubstead.db import scan
from hubstead.doctor.findings import Finding, Inspection, Severity

_QUICK = scan(text("PRAGMA quick_check").columns(column("message", Text)), str)
_WHOLE = scan(text("PRAGMA integrity_check").columns(column("message", Text)), str)


class _Dangling(NamedTuple):
    child: str
    n: int


_FOREIGN = scan(
    text('SELECT "table" AS child, count(*) AS n FROM pragma_foreign_key_check GROUP BY 1').columns(
        column("child", Text), column("n")
    ),
    _Dangling,
)


async def database_file(inspection: Inspection) -> AsyncIterator[Finding]:
    """SQLite: pages, indexes and references are sound. PostgreSQL checks its own files."""
    db = inspection.storage.db
    if db.dialect_name != "sqlite":
        return
    for message in await db.all(_QUICK if inspection.quick else _WHOLE):
        if message != "ok":
            yield _finding(message, "restore the database from a backup")
    for row in await db.all(_FOREIGN):
        yield _finding(f"{row.n} rows of {row.child} refer to missing rows", "report this")


def _finding(what: str, hint: str) -> Finding:
    return Finding("database_file", Severity.FAULT, "database", what, hint)
