"""Lists use an index, which only the query plan of SQLite proves."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from hubstead.db.statements import sqlite_dialect
from hubstead.discovery.query import SORTS
from hubstead.discovery.statements import Shape, listing

SHAPE = Shape(
    sort="likes", ascending=False, after=True, tags=0, words=0, author=False, gated=None,
    linked=False, with_card=False, with_config=False, drive="walk",
)  # fmt: skip


def plan(path: Path, shape: Shape) -> list[str]:
    compiled = listing(shape).on(sqlite_dialect())
    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            f"EXPLAIN QUERY PLAN {compiled.sql}", [None] * len(compiled.names)
        ).fetchall()
    return [row[3] for row in rows]


@pytest.mark.parametrize("sort", sorted(set(SORTS) - {"_id", "mainSize", "num_parameters"}))
@pytest.mark.parametrize("ascending", [True, False])
def test_a_walk_scans_the_index_of_its_order(
    migrated_file: Path, sort: str, ascending: bool
) -> None:
    for terms in (0, 3):
        shape = SHAPE._replace(sort=sort, ascending=ascending, tags=terms, words=terms)
        steps = plan(migrated_file, shape)
        assert "USING INDEX" in steps[0] or "USING COVERING INDEX" in steps[0], steps
        assert not [step for step in steps if "TEMP B-TREE" in step or step.startswith("SCAN")]


@pytest.mark.parametrize("sort", ["likes", "trendingScore", "_id"])
@pytest.mark.parametrize("drive", ["tag", "names", "author"])
def test_a_collection_searches_by_its_condition(migrated_file: Path, sort: str, drive: str) -> None:
    shape = SHAPE._replace(sort=sort, drive=drive, tags=2, author=drive == "author")
    steps = plan(migrated_file, shape)
    by = "(owner_pk=? AND kind=?)" if drive == "author" else "INTEGER PRIMARY KEY (rowid=?)"
    assert steps[0].startswith("SEARCH repo USING"), steps
    assert by in steps[0], steps
