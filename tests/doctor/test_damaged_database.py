"""A database that is damaged in some pages is found by table, with what mends it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from hubstead.app import open_hub, open_storage
from hubstead.doctor import Finding, Inspection, run_checks
from hubstead.errors import Unavailable
from hubstead.repos.tables import repos
from hubstead.settings import Settings
from tests.support.rows import reading

_ALL_REPOS = reading(select(repos))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a hub without content, whose database is one file."""
    settings = Settings(data=tmp_path / "data")

    async def create() -> None:
        async with open_hub(settings, make=True):
            pass

    asyncio.run(create())
    return settings


def damage(settings: Settings, name: str) -> None:
    """Overwrite the first page of a table or an index."""
    path = Path(settings.database_url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)
        ).fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)


def examine(settings: Settings, *, quick: bool = False) -> list[Finding]:
    async def run() -> list[Finding]:
        async with open_storage(settings) as storage:
            return [finding async for finding in run_checks(Inspection(storage, quick=quick))]

    return asyncio.run(run())


@pytest.mark.parametrize("quick", [False, True])
def test_doctor_names_the_damaged_table_and_the_remedy(settings: Settings, quick: bool) -> None:
    damage(settings, "repo")
    findings = examine(settings, quick=quick)
    damaged = [finding for finding in findings if finding.subject == "table repo"]
    assert damaged
    assert all("hubstead restore" in finding.hint for finding in damaged)
    subjects = {finding.subject for finding in findings}
    assert subjects <= {"table repo", "database"}  # what other checks could not read
    assert not {"table account", "table event"} & subjects


def test_a_request_for_a_damaged_table_is_no_unknown_error(settings: Settings) -> None:
    damage(settings, "repo")

    async def read() -> None:
        async with open_storage(settings) as storage:
            await storage.db.all(_ALL_REPOS)

    with pytest.raises(Unavailable, match=r"the database is damaged .*hubstead doctor"):
        asyncio.run(read())


def test_a_file_that_is_no_database_is_refused_at_the_start(settings: Settings) -> None:
    Path(settings.database_url.removeprefix("sqlite:///")).write_bytes(b"no database" * 1000)
    with pytest.raises(Unavailable, match="the database is damaged"):
        examine(settings)
