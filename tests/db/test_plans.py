"""Statements cost what they read: each look-up, and each check of refs, follows an index."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from hubstead.buckets import tree
from hubstead.commits import ref_moves, refs
from hubstead.db import Statement, migrate
from hubstead.db.statements import postgres_dialect, sqlite_dialect
from tests.db.test_registered import STATEMENTS
from tests.support.services import Postgres

#: Tables of few rows, read as a whole.
_SMALL = {
    "signing_key",
    "deletion_pause",
    "alembic_version",
    "restore_mark",
    "webhook",
    "xet_epoch",
}
_LOOK_UPS = {
    name: statement
    for name, statement in STATEMENTS.items()
    if not statement.long
    and name.rpartition(".")[2] not in ("listing", "names_with")
    and not name.startswith("hubstead.db.free_pages.")  # PRAGMAs of SQLite, which read no table
}
#: What PostgreSQL may read without an index: few rows, a list of the caller, or a common table.
_NO_TABLE = ("Function Scan", "Values Scan", "CTE Scan", "Subquery Scan", "WorkTable Scan")


def sqlite_steps(path: Path, statement: Statement[Any]) -> list[str]:
    compiled = statement.on(sqlite_dialect())
    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            f"EXPLAIN QUERY PLAN {compiled.sql}", [None] * len(compiled.names)
        ).fetchall()
    return [row[3] for row in rows]


@pytest.mark.parametrize("name", _LOOK_UPS)
def test_no_look_up_reads_a_table_on_sqlite(migrated_file: Path, name: str) -> None:
    with sqlite3.connect(migrated_file) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")} - _SMALL
    steps = sqlite_steps(migrated_file, _LOOK_UPS[name])
    assert not [step for step in steps if step.startswith("SCAN") and step.split()[1] in tables]


@asynccontextmanager
async def connection_to(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def postgres_nodes(
    connection: asyncpg.Connection[asyncpg.Record], statement: Statement[Any]
) -> list[dict[str, Any]]:
    compiled = statement.on(postgres_dialect())
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE planned AS {compiled.sql}")
    parameters = len(set(re.findall(r"\$\d+", compiled.sql)))
    values = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
    text = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE planned{values}")
    await connection.execute("DEALLOCATE planned")
    pending, nodes = [json.loads(text)[0]["Plan"]], []
    while pending:
        node = pending.pop()
        nodes.append(node)
        pending += node.get("Plans", [])
    return nodes


async def test_no_look_up_reads_a_table_on_postgresql(postgresql_url: str) -> None:
    """PostgreSQL reads a small table as a whole; it shows which index it has if it may not."""
    reading = {}
    async with connection_to(postgresql_url) as connection:
        await connection.execute("SET enable_seqscan = off")
        for name, statement in _LOOK_UPS.items():
            for node in await postgres_nodes(connection, statement):
                table = node.get("Relation Name")
                if node["Node Type"] == "Seq Scan" and table not in _SMALL:
                    reading[name] = table
    assert reading == {}


_OF_REFS = [ref_moves._BELOW, refs._NAMED, ref_moves._DELETE]


@pytest.mark.parametrize("statement", _OF_REFS)
def test_refs_are_looked_up_by_name_on_sqlite(
    migrated_file: Path, statement: Statement[Any]
) -> None:
    steps = sqlite_steps(migrated_file, statement)
    of_refs = [step for step in steps if step.startswith(("SEARCH ref", "SCAN ref"))]
    assert len(of_refs) == 1
    assert "repo_pk=? AND name" in of_refs[0], steps


@pytest.mark.parametrize("builtin", ["", "C.UTF-8"])
async def test_refs_are_looked_up_by_name_on_postgresql(
    postgres_server: Postgres, builtin: str
) -> None:
    url = postgres_server.fresh_database(builtin=builtin)
    await migrate(url)
    async with connection_to(url) as connection:
        await connection.execute("SET session_replication_role = replica")  # no repository
        await connection.execute(
            "INSERT INTO ref SELECT 1, 'refs/tags/v' || n, repeat('a', 40), repeat('a', 40), 0 "
            "FROM generate_series(1, 10000) AS n"
        )
        for statement in _OF_REFS:
            nodes = await postgres_nodes(connection, statement)
            (condition,) = (node["Index Cond"] for node in nodes if "Index Cond" in node)
            assert "repo_pk" in condition, nodes
            assert "name" in condition, nodes


#: The listings of a bucket by name, each from a place in the middle.
_OF_OBJECTS = [*tree._FLAT.values(), *tree._STEPS.values()]


@pytest.mark.parametrize("statement", _OF_OBJECTS)
def test_a_page_of_a_bucket_begins_at_its_place_on_sqlite(
    migrated_file: Path, statement: Statement[Any]
) -> None:
    steps = sqlite_steps(migrated_file, statement)
    of_objects = [step for step in steps if "bucket_object" in step]
    assert of_objects
    for step in of_objects:
        assert step.startswith("SEARCH"), steps
        assert "(repo_pk=? AND path>? AND path<?)" in step, steps
    assert len([step for step in steps if "TEMP B-TREE" in step]) <= ("walk" in str(steps)), steps


async def test_a_page_of_a_bucket_begins_at_its_place_on_postgresql(
    postgres_server: Postgres,
) -> None:
    url = postgres_server.fresh_database(builtin="C.UTF-8")
    await migrate(url)
    async with connection_to(url) as connection:
        await connection.execute("SET session_replication_role = replica")  # no repository
        await connection.execute(
            "INSERT INTO bucket_object (repo_pk, path, file, sha256, bytes, uploaded_ms) "
            "SELECT 1, 'logs/' || n, '', '', 0, 0 FROM generate_series(1, 10000) AS n"
        )
        await connection.execute("ANALYZE bucket_object")
        for statement in _OF_OBJECTS:
            nodes = await postgres_nodes(connection, statement)
            reads = [node for node in nodes if node.get("Relation Name") == "bucket_object"]
            assert reads, nodes
            for node in reads:
                assert node["Index Name"] == "pk_bucket_object", nodes
                assert "path" in node["Index Cond"], nodes
