"""SQLite alone: a full disk, a second process, and writes that share a commit."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hubstead.db import Database, Tx, open_db
from tests.db.test_database import ADD, add, count, names
from tests.support.processes import wait_for_line

ROOT = Path(__file__).parents[2]
_FULL = """
import asyncio, resource, sys, time
from pathlib import Path
from hubstead.db import open_db
from hubstead.errors import StorageFull
from tests.db.test_database import add, count, names

url = sys.argv[1]
PAGES = "x" * 20_000

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def main():
    db = await open_db(url)
    await db.write(add, "before", PAGES)
    written = Path(url.removeprefix("sqlite:///") + "-wal").stat().st_size

    async def busy(tx):  # while it runs the others gather into one group
        time.sleep(0.3)

    limit(written + 100_000)
    first = asyncio.create_task(db.write(busy))
    await asyncio.sleep(0.05)
    group = await asyncio.gather(
        *(db.write(add, f"u{n}", PAGES) for n in range(20)), return_exceptions=True
    )
    await first
    assert all(isinstance(outcome, StorageFull) for outcome in group), group
    assert await count(db) == 1

    outcomes = [await attempt(db, f"v{n}") for n in range(10)]
    stored = await count(db) - 1
    assert outcomes == [True] * stored + [False] * (10 - stored), outcomes
    assert 0 < stored < 10, stored
    assert await names(db, "before") == ["before"]

    limit(resource.RLIM_INFINITY)
    await db.write(add, "after", PAGES)
    await db.close()
    again = await open_db(url)
    assert await count(again) == stored + 2
    await again.close()

async def attempt(db, name):
    try:
        await db.write(add, name, PAGES)
    except StorageFull:
        return False
    return True

asyncio.run(main())
"""


def test_a_full_disk_fails_the_whole_group_loses_nothing_and_recovers(sqlite_url: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", _FULL, sqlite_url],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr


_BESIDE = """
import asyncio, sys
from hubstead.db import open_db
from tests.db.test_database import add

async def main():
    db = await open_db(sys.argv[1])
    print("open", flush=True)
    for n in range(150):
        await db.write(add, f"cli{n}")
    await db.close()

asyncio.run(main())
"""


async def test_a_command_may_write_beside_the_server(sqlite_url: str) -> None:
    db = await open_db(sqlite_url)
    command = [sys.executable, "-c", _BESIDE, sqlite_url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as beside:
        assert beside.stdout
        await asyncio.to_thread(wait_for_line, beside.stdout, "open")
        for n in range(0, 300, 3):
            await asyncio.gather(*(db.write(add, f"srv{n + m}") for m in range(3)))
        assert await asyncio.to_thread(beside.wait, 30) == 0
    assert await count(db) == 450
    await db.close()


async def test_waiting_writes_share_one_commit(sqlite_url: str) -> None:
    db = await open_db(sqlite_url)
    visible: list[int] = []

    async def slow(_tx: Tx) -> None:
        time.sleep(0.2)

    async def last(tx: Tx) -> None:
        visible.append(beside_count())
        await tx.one(ADD, id="last", full="")

    def beside_count() -> int:
        with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as other:
            return int(other.execute("SELECT count(*) FROM account").fetchone()[0])

    writes = [db.write(slow), *(db.write(add, f"u{n}") for n in range(10)), db.write(last)]
    await asyncio.gather(*writes)
    assert visible == [0], "the ten before it in its group were not committed yet"
    assert beside_count() == 11
    await db.close()


async def test_a_write_function_that_awaits_something_else_is_an_error(
    sqlite_url: str,
) -> None:
    db = await open_db(sqlite_url)

    async def wait(tx: Tx) -> None:
        await tx.one(ADD, id="anna", full="")
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="await nothing but its transaction"):
        await db.write(wait)
    assert await count(db) == 0
    await db.write(add, "bert")
    await db.close()


async def test_reads_continue_during_a_long_write(sqlite_url: str) -> None:
    db: Database = await open_db(sqlite_url)
    await db.write(add, "anna")

    async def slow(tx: Tx) -> None:
        await tx.one(ADD, id="bert", full="")
        time.sleep(1)

    task = asyncio.create_task(db.write(slow))
    await asyncio.sleep(0.05)
    assert await count(db) == 1
    assert await names(db, "anna", "bert") == ["anna"]
    assert not task.done()
    await task
    assert await names(db, "anna", "bert") == ["anna", "bert"]
    await db.close()
