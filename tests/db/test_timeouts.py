"""An engine that does not answer is unavailable within its time limits, and recovers by itself."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import func, literal, select

from hubstead.admission import Work
from hubstead.db import Database, Timeouts, Tx, migrate, open_db, scan
from hubstead.errors import Unavailable, WorkTooLong
from tests.db.test_database import add, count, names
from tests.support.frozen_proxy import freezing_proxy
from tests.support.services import Postgres

T = TypeVar("T")

_numbers = select(literal(1).label("n")).cte("numbers", recursive=True)
_numbers = _numbers.union_all(select(_numbers.c.n + 1))
ENDLESS = scan(select(func.count()).select_from(_numbers), int)


async def eventually(call: Callable[[], Awaitable[T]]) -> T:
    """Return the result of a call that a loaded machine may answer too late."""
    for _ in range(60):
        try:
            return await call()
        except Unavailable:
            continue
    return await call()


async def test_a_frozen_server_is_unavailable_until_it_continues(postgres_server: Postgres) -> None:
    with tempfile.TemporaryDirectory() as folder:
        target = postgres_server.fresh_database()
        await migrate(target)
        async with freezing_proxy(postgres_server.folder, Path(folder)) as proxy:
            url = target.replace(str(postgres_server.folder), folder)
            db = await open_db(url, pool_size=2, timeouts=Timeouts(1.0))
            await eventually(lambda: db.write(add, "before"))
            proxy.thawed.clear()
            calls = [db.write(add, "frozen"), *(count(db) for _ in range(5)), db.ready()]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [Unavailable] * 7
            proxy.thawed.set()
            assert await eventually(lambda: names(db, "before")) == ["before"]
            await eventually(lambda: db.write(add, "after"))
            await db.close()


async def test_a_frozen_node_does_not_hold_its_rows_forever(postgres_server: Postgres) -> None:
    """It sends nothing any more, in the middle of a transaction that others wait for."""
    url = postgres_server.fresh_database()
    await migrate(url)
    frozen = await open_db(url, pool_size=2, timeouts=Timeouts(1.0))
    other = await open_db(url, pool_size=2, timeouts=Timeouts(1.0))
    holds, thawed = asyncio.Event(), asyncio.Event()

    async def freeze(tx: Tx) -> None:
        await add(tx, "held")
        holds.set()
        await thawed.wait()
        await add(tx, "late")

    write = asyncio.create_task(frozen.write(freeze))
    await holds.wait()
    await eventually(lambda: other.write(add, "held"))
    thawed.set()
    with pytest.raises(Unavailable):
        await write
    assert await eventually(lambda: names(frozen, "held", "late")) == ["held"]
    await frozen.close()
    await other.close()


async def hasty_db(tmp_path: Path) -> Database:
    url = f"sqlite:///{tmp_path / 'hub.db'}"
    await migrate(url)
    return await open_db(url, timeouts=Timeouts(0.02))


async def test_a_write_behind_a_stuck_one_is_refused_and_never_happens(tmp_path: Path) -> None:
    hasty = await hasty_db(tmp_path)
    go_on = threading.Event()

    async def stuck(_tx: Tx) -> None:
        go_on.wait(60)

    outcomes = await asyncio.gather(
        hasty.write(stuck), hasty.write(add, "late"), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 2
    go_on.set()
    await eventually(lambda: hasty.write(add, "after"))
    assert await names(hasty, "late") == []
    assert await names(hasty, "after") == ["after"]
    await hasty.close()


async def test_a_scan_ends_at_its_limit(tmp_path: Path) -> None:
    hasty = await hasty_db(tmp_path)
    with Work("ada").current(), pytest.raises(WorkTooLong):
        await hasty.all(ENDLESS)
    await hasty.close()


async def test_a_scan_ends_when_its_client_has_left(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'hub.db'}"
    await migrate(url)
    db = await open_db(url)
    work = Work("ada")

    async def request() -> None:
        with work.current():
            await db.all(ENDLESS)

    task = asyncio.create_task(request())
    started = time.monotonic()
    while time.monotonic() < started + 0.01:
        await asyncio.sleep(0)
    work.leave()
    with pytest.raises(WorkTooLong):
        await task
    await db.close()
