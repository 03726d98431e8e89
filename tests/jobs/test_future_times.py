"""After a clock that ran ahead, periodic jobs run at their interval, and stamps count as now."""

from __future__ import annotations

from functools import partial

from sqlalchemy import bindparam, update

from hubstead.db import Database, correct_stamps, database_now_ms, future_stamps, indexed
from hubstead.jobs import ListedJob, enqueue, list_jobs
from hubstead.jobs.future_times import CorrectedJobs, correct_jobs
from hubstead.jobs.tables import jobs
from hubstead.repos.tables import repos
from tests.support.factories import a_repo, a_user

YEAR_MS = 365 * 86_400_000
HOUR_S = 3600.0
_SET_TIMES = indexed(
    update(jobs)
    .where(jobs.c.type == bindparam("which"))
    .values(
        due_ms=bindparam("due"),
        lease_ms=bindparam("lease"),
        created_ms=bindparam("created"),
        holder=bindparam("token"),
        attempts=bindparam("tries"),
    )
)
_MOVE_REPO = indexed(update(repos).values(created_ms=repos.c.created_ms + YEAR_MS))


async def add_job(
    db: Database,
    name: str,
    *,
    due_ms: int,
    lease_ms: int = 0,
    created_ms: int = 0,
    holder: str | None = None,
    attempts: int = 0,
) -> None:
    """Add a job with times that lie so far in the future."""
    now = await database_now_ms(db)
    await db.write(partial(enqueue, type_=name, subject=""))
    await db.execute(
        _SET_TIMES,
        which=name,
        due=now + due_ms,
        lease=now + lease_ms if lease_ms else 0,
        created=now + created_ms,
        token=holder,
        tries=attempts,
    )


async def correct(db: Database, suspected: frozenset[str] = frozenset()) -> CorrectedJobs:
    return await correct_jobs(
        db, {"periodic": HOUR_S}, lease_s=30, longest_pause_s=HOUR_S, suspected=suspected
    )


async def job_of(db: Database, name: str) -> ListedJob:
    (job,) = [job for job in await list_jobs(db) if job.type == name]
    return job


async def test_a_periodic_job_is_due_within_its_interval(db: Database) -> None:
    await add_job(db, "periodic", due_ms=YEAR_MS)
    assert (await correct(db)).names == ("periodic/",)
    assert (await job_of(db, "periodic")).due_ms <= await database_now_ms(db) + HOUR_S * 1000
    assert (await correct(db)).names == ()


async def test_a_job_that_was_enqueued_in_the_future_is_due_after_its_delay(db: Database) -> None:
    await add_job(db, "soon", due_ms=YEAR_MS, created_ms=YEAR_MS)
    await add_job(db, "in a day", due_ms=YEAR_MS + 86_400_000, created_ms=YEAR_MS)
    await add_job(db, "failed", due_ms=YEAR_MS, attempts=3)
    await correct(db)
    now = await database_now_ms(db)
    assert (await job_of(db, "soon")).due_ms <= now
    assert (await job_of(db, "failed")).due_ms <= now
    assert now + 86_000_000 < (await job_of(db, "in a day")).due_ms <= now + 86_400_000


async def test_times_of_a_right_clock_stay(db: Database) -> None:
    day = 86_400_000
    await add_job(db, "periodic", due_ms=int(HOUR_S * 1000))
    await add_job(db, "in 30 days", due_ms=30 * day)
    await add_job(db, "failed", due_ms=int(HOUR_S * 1250), attempts=9)
    await add_job(db, "running", due_ms=30_000, lease_ms=30_000, holder="node/1")
    before = await list_jobs(db)
    assert await correct(db) == CorrectedJobs()
    assert await list_jobs(db) == before


async def test_a_lease_from_the_future_ends_at_the_second_look(db: Database) -> None:
    # A living node renews its lease between the two.
    await add_job(db, "dead", due_ms=YEAR_MS, lease_ms=YEAR_MS, holder="node/1")
    first = await correct(db)
    assert first.names == ()
    assert (await job_of(db, "dead")).running_on == "node"
    assert (await correct(db, first.suspected)).names == ("dead/",)
    job = await job_of(db, "dead")
    assert job.running_on is None
    assert job.due_ms <= await database_now_ms(db)


async def test_stamps_in_the_future_count_as_now_and_are_named(db: Database) -> None:
    await a_repo(db, await a_user(db))
    assert await future_stamps(db) == []
    await db.execute(_MOVE_REPO)
    expected = [("repo", "created_ms", 1)]
    assert await future_stamps(db) == expected
    assert await correct_stamps(db) == expected
    assert await future_stamps(db) == []
