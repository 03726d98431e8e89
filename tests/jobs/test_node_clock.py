"""Nodes with different clocks: shared times follow the database's clock alone."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from sqlalchemy import select

from hubstead.blobs import (
    BlobKey,
    BlobKind,
    Sha256Verifier,
    begin_upload,
    delete_unreferenced,
    deletion_is_paused,
    expire_holds,
    expire_uploads,
    open_blobs,
    pause_deletion,
    register_upload,
    unlink_blobs,
)
from hubstead.blobs.tables import blobs
from hubstead.db import Database
from hubstead.errors import Unavailable
from hubstead.ids import now_ms
from hubstead.jobs import JobType, NodeClock, Runner, claims, enqueue, list_jobs
from hubstead.jobs.tables import nodes
from tests.support.factories import a_repo, a_user
from tests.support.rows import reading

DAY_S = 86_400
KEY = BlobKey(BlobKind.LFS, hashlib.sha256(b"weights").hexdigest())
_NODES = reading(select(nodes))
_BLOBS = reading(select(blobs))


@contextmanager
def clock_of_a_node(difference_s: float) -> Iterator[None]:
    """Make this process a node whose clock differs, until the block ends."""
    right = time.time
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: right() + difference_s)
        yield


@pytest.fixture(params=[-DAY_S, DAY_S], ids=["behind", "ahead"])
def skew(request: pytest.FixtureRequest) -> float:
    return float(request.param)


async def test_a_lease_is_valid_despite_different_clocks(db: Database, skew: float) -> None:
    """One node claims, the other polls, and either may have the wrong clock."""
    for claiming_s, looking_s in ((skew, 0.0), (0.0, skew)):
        await db.write(partial(enqueue, type_="work", subject=f"{claiming_s}"))
        with clock_of_a_node(claiming_s):
            (claim,) = await claims.claim(db, ["work"], most=9, node="one", lease_s=60)
        with clock_of_a_node(looking_s):
            assert await claims.claim(db, ["work"], most=9, node="two", lease_s=60) == []
            assert [job.running_on for job in await list_jobs(db)] == ["one"]
        with clock_of_a_node(claiming_s):
            assert await claims.renew(db, claim, 60)
        with clock_of_a_node(looking_s):
            assert await claims.claim(db, ["work"], most=9, node="two", lease_s=60) == []
        await claims.finish(db, claim)


async def test_a_job_is_due_by_the_database_clock(db: Database, skew: float) -> None:
    with clock_of_a_node(skew):
        await db.write(partial(enqueue, type_="work", subject="now"))
        await db.write(partial(enqueue, type_="work", subject="later", after_s=3600))
    due = await claims.claim(db, ["work"], most=9, node="one", lease_s=60)
    assert [claim.subject for claim in due] == ["now"]
    with clock_of_a_node(skew):
        await claims.fail(db, due[0], "no space", 3600)
    for difference_s in (0.0, skew):
        with clock_of_a_node(difference_s):
            assert await claims.claim(db, ["work"], most=9, node="two", lease_s=60) == []


async def test_a_pause_of_deletion_is_valid_despite_different_clocks(
    db: Database, skew: float
) -> None:
    for pausing_s, looking_s in ((skew, 0.0), (0.0, skew)):
        with clock_of_a_node(pausing_s):
            await pause_deletion(db, "backup", 600)
        with clock_of_a_node(looking_s):
            assert await deletion_is_paused(db)


async def test_uploaded_bytes_survive_different_clocks(db: Database, skew: float) -> None:
    """Holds, multipart uploads and grace periods: one node starts them, another ends them."""
    repo, store = await a_repo(db, await a_user(db)), open_blobs("memory:")
    hour = 3_600_000
    await store.put(KEY, b"weights", Sha256Verifier(KEY.name))
    for writing_s, sweeping_s in ((skew, 0.0), (0.0, skew)):
        with clock_of_a_node(writing_s):
            await register_upload(db, store, repo.pk, KEY, 7, pusher_pk=None, hold_ms=hour)
            await db.write(
                lambda tx: begin_upload(
                    tx, repo.pk, KEY, 9, part_bytes=5, least_part_bytes=1, lifetime_ms=hour
                )
            )
        with clock_of_a_node(sweeping_s):
            assert await expire_holds(db) == 0
            assert await expire_uploads(db, store) == 0
        with clock_of_a_node(writing_s):
            await db.write(lambda tx: unlink_blobs(tx, repo.pk, [KEY]))
        with clock_of_a_node(sweeping_s):
            assert await delete_unreferenced(db, store, grace_ms=hour) == 0
        assert [row.name for row in await db.all(_BLOBS)] == [KEY.name]


def ahead(seconds: float) -> Callable[[], int]:
    return lambda: now_ms() + int(seconds * 1000)


async def test_a_node_with_a_wrong_clock_takes_no_jobs(db: Database, skew: float) -> None:
    seconds = [skew]
    clock = NodeClock(db, "one", tolerance_s=5, now_ms=lambda: now_ms() + int(seconds[0] * 1000))
    assert not await clock.measure()
    assert "differs from the database's" in clock.complaint
    done: list[str] = []

    async def work(job: object) -> None:
        done.append("done")

    runner = Runner(db, [JobType(name="work", handler=work)], node="one", poll_s=0.01, clock=clock)
    await db.write(partial(enqueue, type_="work", subject="a"))
    task = asyncio.create_task(runner.run())
    await asyncio.sleep(0.3)
    assert done == []
    seconds[0] = 2.0
    assert await clock.measure()
    async with asyncio.timeout(60):
        while await list_jobs(db):
            await asyncio.sleep(0.01)
    runner.stop()
    await task
    assert done == ["done"]


async def test_a_wrong_clock_fails_readiness_only_while_another_node_agrees_with_the_database(
    db: Database, skew: float
) -> None:
    right = NodeClock(db, "right", tolerance_s=5)
    wrong = NodeClock(db, "wrong", tolerance_s=5, now_ms=ahead(skew))
    also_wrong = NodeClock(db, "also", tolerance_s=5, now_ms=ahead(skew))
    await also_wrong.measure()
    await wrong.ready()  # the database's own clock may be the wrong one
    assert not wrong.agrees
    await right.ready()
    for clock in (wrong, also_wrong):
        with pytest.raises(Unavailable, match="clock differs from the database's"):
            await clock.ready()
    await right.withdraw()
    await wrong.ready()
    await wrong.withdraw()
    await also_wrong.withdraw()
    assert await db.all(_NODES) == []
