"""Check of the database itself: pages, indexes and references."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Text, column, text

from hubstead.db import Database, Statement, metadata, scan
from hubstead.doctor.findings import Finding, Inspection, Severity
from hubstead.errors import Unavailable

_QUICK = scan(
    text("SELECT quick_check AS message FROM pragma_quick_check(:which)").columns(
        column("message", Text)
    ),
    str,
)
_WHOLE = scan(
    text("SELECT integrity_check AS message FROM pragma_integrity_check(:which)").columns(
        column("message", Text)
    ),
    str,
)
_RESTORE = "stop the hub and restore the newest backup into a new folder: `hubstead restore`"
_REBUILD = (
    "only indexes are damaged: stop the hub, run `sqlite3 hubstead.db REINDEX`, then this again"
)
_REBUILD_POSTGRES = "an index alone: `REINDEX DATABASE` mends it; else restore the newest backup"
#: How SQLite begins what concerns an index and not its table.
_INDEX_FAULTS = ("row ", "wrong # of entries in index", "non-unique entry in index")


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
    """Every table can be read; on SQLite its pages, indexes and references are sound."""
    db = inspection.storage.db
    is_sqlite = db.dialect_name == "sqlite"
    for name in metadata.tables:
        messages = await (_sqlite_faults if is_sqlite else _postgres_faults)(
            db, name, quick=inspection.quick
        )
        for message in messages:
            hint = _RESTORE if is_sqlite else _REBUILD_POSTGRES
            if is_sqlite and all(line.startswith(_INDEX_FAULTS) for line in messages):
                hint = _REBUILD
            yield _finding(f"table {name}", message, hint)
    if is_sqlite:
        try:
            for row in await db.all(_FOREIGN):
                what = f"{row.n} rows of {row.child} refer to missing rows"
                yield _finding("database", what, "report this")
        except Unavailable as error:
            yield _finding("database", error.reason, _RESTORE)


async def _sqlite_faults(db: Database, name: str, *, quick: bool) -> list[str]:
    try:
        messages = await db.all(_QUICK if quick else _WHOLE, which=name)
    except Unavailable as error:
        return [error.reason]
    return [message for message in messages if message != "ok"]


async def _postgres_faults(db: Database, name: str, *, quick: bool) -> list[str]:
    if quick:
        return []
    try:
        await db.all(_readings()[name])
    except Unavailable as error:
        return [error.reason]
    return []


@functools.cache
def _readings() -> Mapping[str, Statement[Any]]:
    """Return by table a statement that reads each of its rows whole."""
    return {
        name: scan(
            text(f'SELECT sum(length(t::text)) AS length FROM "{name}" AS t').columns(  # noqa: S608
                column("length", BigInteger)
            ),
            int,
        )
        for name in metadata.tables
    }


def _finding(subject: str, what: str, hint: str) -> Finding:
    return Finding("database_file", Severity.FAULT, subject, what, hint)
