"""Jobs: run once when due, one at a time, again after a failure, elsewhere after a crash."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select, update

from hubstead.db import Database, Tx, database_now_ms, indexed, open_db
from hubstead.ids import now_ms
from hubstead.jobs import Handler, Job, JobType, ListedJob, Reschedule, Runner, enqueue, list_jobs
from hubstead.jobs.tables import jobs
from tests.support.processes import wait_for_line
from tests.support.rows import reading


@contextlib.asynccontextmanager
async def running(
    db: Database, types: Mapping[str, Handler | JobType], *, node: str = "node1", **options: Any
) -> AsyncIterator[Runner]:
    """Run a runner with short intervals until the block ends."""
    quick: dict[str, Any] = {"poll_s": 0.01, "pause_s": 0.02, "lease_s": 60, "grace_s": 30}
    declared = [
        one if isinstance(one, JobType) else JobType(name=name, handler=one)
        for name, one in types.items()
    ]
    runner = Runner(db, declared, node=node, **(quick | options))
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        runner.stop()
        await task


async def until(met: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait until a condition is true."""
    async with asyncio.timeout(seconds):
        while not met():
            await asyncio.sleep(0.005)


_HOLDER = reading(select(jobs.c.holder))


async def holder(db: Database) -> str:
    """Return the holder of the only job, or its last holder after the lease ended."""
    row = await db.one(_HOLDER)
    assert row is not None
    return str(row.holder)


async def request_job(db: Database, subject: str = "", type_: str = "work", **more: Any) -> None:
    await db.write(partial(enqueue, type_=type_, subject=subject, **more))


async def only_job(db: Database) -> ListedJob:
    (job,) = await list_jobs(db)
    return job


async def until_idle(db: Database, seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while await list_jobs(db):
            await asyncio.sleep(0.005)


class Recorder:
    """A handler that records its jobs."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    async def __call__(self, job: Job) -> None:
        self.jobs.append(job)

    @property
    def subjects(self) -> list[str]:
        return [job.subject for job in self.jobs]


async def test_a_job_runs_once_and_is_deleted(db: Database) -> None:
    recorder = Recorder()
    async with running(db, {"work": recorder}):
        await request_job(db, "acme/bert", payload={"size": 3})
        await until_idle(db)
    assert recorder.jobs == [Job("work", "acme/bert", {"size": 3}, 1)]


async def test_a_job_of_a_failed_write_never_runs(db: Database) -> None:
    async def fail(tx: Tx) -> None:
        await enqueue(tx, "work", "never")
        raise LookupError

    with pytest.raises(LookupError):
        await db.write(fail)
    assert await list_jobs(db) == []


async def test_two_requests_are_one_job_at_the_earlier_time(db: Database) -> None:
    await request_job(db, after_s=7200, payload={"n": 1})
    await request_job(db, after_s=3600, payload={"n": 2})
    await request_job(db, after_s=9999, payload={"n": 3})
    job = await only_job(db)
    assert abs(job.due_ms - await database_now_ms(db) - 3_600_000) < 60_000
    assert job.payload == {"n": 3}


async def test_a_job_waits_until_it_is_due(db: Database) -> None:
    recorder = Recorder()
    async with running(db, {"work": recorder}):
        await request_job(db, "later", after_s=0.25)
        await request_job(db, "now")
        await until(lambda: recorder.subjects == ["now"])
        await asyncio.sleep(0.1)
        assert recorder.subjects == ["now"]
        await until_idle(db)
    assert recorder.subjects == ["now", "later"]


async def test_a_request_during_a_run_makes_the_job_run_once_more(db: Database) -> None:
    runs: list[int] = []
    go = asyncio.Event()

    async def work(job: Job) -> None:
        runs.append(int(str(job.payload["n"])))
        await go.wait()

    async with running(db, {"work": work}):
        await request_job(db, payload={"n": 1})
        await until(lambda: runs == [1])
        await request_job(db, payload={"n": 2})
        await request_job(db, payload={"n": 3})
        await asyncio.sleep(0.05)
        assert runs == [1], "never twice at a time"
        go.set()
        await until_idle(db)
    assert runs == [1, 3]


async def test_a_failed_job_has_its_error_and_is_retried_with_growing_delays(db: Database) -> None:
    times: list[float] = []

    async def work(job: Job) -> None:
        times.append(asyncio.get_running_loop().time())
        assert job.attempt == len(times)
        if job.attempt < 4:
            raise ValueError(f"no\0t yet {job.attempt}")

    async with running(db, {"work": work}, pause_s=0.1):
        await request_job(db)
        await until(lambda: len(times) == 1)
        await until_async(lambda: error_is(db, "ValueError: not yet 1"))
        assert (await only_job(db)).attempts == 1
        await until_idle(db)
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert [pause > least for pause, least in zip(pauses, (0.07, 0.14, 0.28), strict=True)] == [
        True
    ] * 3


async def error_is(db: Database, text: str) -> bool:
    return (await only_job(db)).error == text


async def until_async(met: Callable[[], Any], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not await met():
            await asyncio.sleep(0.005)


async def test_a_handler_may_reschedule_its_job(db: Database) -> None:
    attempts: list[int] = []

    async def work(job: Job) -> Reschedule | None:
        attempts.append(job.attempt)
        return Reschedule(0.02) if len(attempts) < 3 else None

    async with running(db, {"work": work}):
        await request_job(db)
        await until_idle(db)
    assert attempts == [1, 1, 1], "going on later is no failure"


def every(seconds: float, handler: Handler) -> JobType:
    return JobType(name="tick", handler=handler, interval_s=seconds)


async def test_a_recurring_job_runs_again_without_a_request(db: Database) -> None:
    recorder = Recorder()
    async with running(db, {"tick": every(0.03, recorder)}):
        await until(lambda: len(recorder.jobs) >= 3)
    (job,) = await list_jobs(db)
    assert (job.type, job.running_on) == ("tick", None)


async def test_a_shorter_interval_takes_effect_at_the_next_start(db: Database) -> None:
    recorder = Recorder()
    async with running(db, {"tick": every(3600, recorder)}):
        await until(lambda: len(recorder.jobs) == 1)
    async with running(db, {"tick": every(0.03, recorder)}):
        await until(lambda: len(recorder.jobs) >= 3)


async def test_a_work_probe_starts_its_job_when_there_is_work(db: Database) -> None:
    waiting: list[str] = []
    done: list[str] = []

    async def prompt() -> bool:
        return bool(waiting)

    async def work(_job: Job) -> None:
        done.append(waiting.pop())

    async with running(db, {"work": JobType(name="work", handler=work, probe=prompt)}):
        await asyncio.sleep(0.05)
        assert await list_jobs(db) == []
        waiting.append("letter")
        await until(lambda: done == ["letter"])


async def test_a_work_probe_does_not_shorten_the_delay_after_a_failure(db: Database) -> None:
    tries: list[int] = []

    async def prompt() -> bool:
        return True

    async def work(job: Job) -> None:
        tries.append(job.attempt)
        raise ValueError("still broken")

    probed = JobType(name="work", handler=work, probe=prompt)
    async with running(db, {"work": probed}, pause_s=60):
        await until(lambda: tries == [1])
        await asyncio.sleep(0.15)
    assert tries == [1]


async def test_a_runner_refuses_two_types_of_one_name(db: Database) -> None:
    twice = [JobType(name="work", handler=noop), JobType(name="work", handler=noop)]
    with pytest.raises(ValueError, match="two job types have the name work"):
        Runner(db, twice, node="one")


async def test_concurrency_is_limited(db: Database) -> None:
    now, most = 0, 0

    async def work(_job: Job) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1

    for n in range(12):
        await request_job(db, str(n))
    async with running(db, {"work": work}, concurrency=3):
        await until_idle(db)
    assert most == 3


async def test_a_full_queue_does_not_block_the_others(db: Database) -> None:
    recorder, stuck = Recorder(), asyncio.Event()

    async def slow(_job: Job) -> None:
        await stuck.wait()

    for n in range(5):
        await request_job(db, str(n), "slow")
    bounded = JobType(name="slow", handler=slow, concurrency=2)
    async with running(db, {"slow": bounded, "quick": recorder}, concurrency=1):
        await request_job(db, "a", "quick")
        await until(lambda: recorder.subjects == ["a"])
        stuck.set()
        await until_idle(db)


async def test_jobs_without_a_handler_wait_for_nodes_that_have_one(db: Database) -> None:
    recorder = Recorder()
    await request_job(db, "x", "newer")
    async with running(db, {"work": recorder}):
        await request_job(db, "y")
        await until(lambda: recorder.subjects == ["y"])
    assert [job.type for job in await list_jobs(db)] == ["newer"]


async def test_two_nodes_share_the_work_and_repeat_none(database_url: str) -> None:
    first, second = await open_db(database_url), await open_db(database_url)
    done: dict[str, list[str]] = {"a": [], "b": []}

    def handler(node: str) -> Handler:
        async def work(job: Job) -> None:
            done[node].append(job.subject)
            await asyncio.sleep(0.005)

        return work

    for n in range(40):
        await request_job(first, f"{n:02}")
    async with (
        running(first, {"work": handler("a")}, node="a"),
        running(second, {"work": handler("b")}, node="b"),
    ):
        await until_idle(first)
    await first.close()
    await second.close()
    assert sorted(done["a"] + done["b"]) == [f"{n:02}" for n in range(40)]
    assert done["a"]
    assert done["b"]


_DOOMED = """
import asyncio, sys
from hubstead.db import open_db
from hubstead.jobs import JobType, Runner

async def hang(job):
    print("started", flush=True)
    await asyncio.sleep(60)

async def main():
    db = await open_db(sys.argv[1])
    types = [JobType(name="work", handler=hang)]
    await Runner(db, types, node="doomed", poll_s=0.01, lease_s=0.6).run()

asyncio.run(main())
"""


async def test_another_node_takes_the_jobs_of_a_killed_one_when_its_lease_ends(
    db: Database, database_url: str
) -> None:
    await request_job(db, "orphan")
    command = [sys.executable, "-c", _DOOMED, database_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as doomed:
        assert doomed.stdout
        await asyncio.to_thread(wait_for_line, doomed.stdout, "started")
        doomed.send_signal(signal.SIGKILL)
    assert (await holder(db)).startswith("doomed/")

    recorder = Recorder()
    async with running(db, {"work": recorder}, node="heir"):
        await until_idle(db)
    assert [(job.subject, job.attempt) for job in recorder.jobs] == [("orphan", 2)]


async def test_a_long_job_renews_its_lease(db: Database) -> None:
    runs = 0

    async def work(_job: Job) -> None:
        nonlocal runs
        runs += 1
        await asyncio.sleep(2.5)

    async with (
        running(db, {"work": work}, node="a", lease_s=1.5),
        running(db, {"work": work}, node="b", lease_s=1.5),
    ):
        await request_job(db)
        await until_idle(db)
    assert runs == 1


async def test_a_node_that_lost_the_lease_stops_and_changes_nothing(db: Database) -> None:
    begun: list[str] = []
    ended: list[str] = []
    go = asyncio.Event()

    def handler(node: str) -> Handler:
        async def work(_job: Job) -> None:
            begun.append(node)
            try:
                await go.wait()
            except asyncio.CancelledError:
                ended.append(f"{node} cancelled")
                raise
            ended.append(f"{node} done")

        return work

    await request_job(db)
    options: dict[str, Any] = {"node": "slept", "lease_s": 1.2, "poll_s": 60}
    async with running(db, {"work": handler("slept")}, **options):
        await until(lambda: begun == ["slept"])
        await expire_lease(db)
        async with running(db, {"work": handler("heir")}, node="heir"):
            await until(lambda: ended == ["slept cancelled"])
            assert (await only_job(db)).running_on == "heir"
            go.set()
            await until_idle(db)
    assert ended == ["slept cancelled", "heir done"]


async def test_a_node_that_claims_its_own_job_again_ends_the_old_attempt_first(
    db: Database,
) -> None:
    going, most, tries = 0, 0, 0

    async def work(_job: Job) -> None:
        nonlocal going, most, tries
        going, tries = going + 1, tries + 1
        most = max(most, going)
        try:
            await asyncio.sleep(30 if tries == 1 else 0.05)
        finally:
            await asyncio.sleep(0.05)
            going -= 1

    async with running(db, {"work": work}, lease_s=60):
        await request_job(db)
        await until(lambda: tries == 1)
        await expire_lease(db)
        await until_idle(db)
    assert (tries, most) == (2, 1)


async def expire_lease(db: Database) -> None:
    """End the lease, as happens to a machine that was suspended."""

    async def end(tx: Tx) -> None:
        await tx.run(indexed(update(jobs).values(lease_ms=0, due_ms=0)))

    await db.write(end)


async def test_a_stop_waits_for_running_jobs(db: Database) -> None:
    begun: list[str] = []
    done: list[str] = []

    async def work(job: Job) -> None:
        begun.append(job.subject)
        await asyncio.sleep(0.1)
        done.append(job.subject)

    async with running(db, {"work": work}):
        await request_job(db, "x")
        await until(lambda: bool(begun))
    assert done == ["x"]
    assert await list_jobs(db) == []


async def test_a_job_that_outlasts_the_stop_is_released_at_once(db: Database) -> None:
    begun: list[str] = []

    async def work(job: Job) -> None:
        begun.append(job.subject)
        await asyncio.sleep(60)

    async with running(db, {"work": work}, grace_s=0.05, lease_s=60):
        await request_job(db, "x")
        await until(lambda: bool(begun))
    job = await only_job(db)
    assert (job.running_on, job.attempts) == (None, 0)

    recorder = Recorder()
    async with running(db, {"work": recorder}):
        await until_idle(db)
    assert recorder.subjects == ["x"]


async def test_a_job_claimed_just_before_the_stop_is_released(db: Database) -> None:
    for n in range(4):
        await request_job(db, str(n))
    recorder = Recorder()

    async def stop() -> bool:
        runner.stop()
        return False

    work = JobType(name="work", handler=recorder, probe=stop)  # probed just before the claim
    runner = Runner(db, [work], node="brief", grace_s=0)
    await runner.run()
    jobs = await list_jobs(db)
    assert len(jobs) + len(recorder.jobs) == 4
    assert {job.running_on for job in jobs} <= {None}
    assert {job.attempts for job in jobs} <= {0}


async def test_the_list_shows_the_holder_and_the_error_of_jobs(db: Database) -> None:
    end = asyncio.Event()

    async def work(job: Job) -> None:
        if job.subject == "bad":
            raise OSError("no route")
        await end.wait()

    async with running(db, {"work": work}, pause_s=60, node="rack/7"):
        await request_job(db, "bad")
        await request_job(db, "good")
        await until_async(lambda: one_failed_one_runs(db))
        listed = {job.subject: job for job in await list_jobs(db)}
        end.set()
        await until_async(lambda: only_bad(db))
    assert listed["bad"].error == "OSError: no route"
    assert listed["bad"].running_on is None
    assert listed["bad"].due_ms > now_ms() + 30_000
    assert listed["good"].running_on == "rack/7"
    assert listed["good"].error is None


async def one_failed_one_runs(db: Database) -> bool:
    jobs = await list_jobs(db)
    return any(job.error for job in jobs) and any(job.running_on for job in jobs)


async def only_bad(db: Database) -> bool:
    return [job.subject for job in await list_jobs(db)] == ["bad"]


def a_dead_process() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


async def claim_as(db: Database, holder: str) -> None:
    """Leave the only job as a process does that was killed during it."""
    later = now_ms() + 60_000
    values = {"holder": f"{holder}/0123", "lease_ms": later, "due_ms": later}
    await db.write(lambda tx: tx.run(indexed(update(jobs).values(**values))))


async def test_the_job_of_a_dead_process_of_this_machine_runs_at_once(sqlite_url: str) -> None:
    db = await open_db(sqlite_url)
    done: list[Job] = []

    async def work(job: Job) -> None:
        done.append(job)

    me = os.getpid()
    for holder in (f"here:{a_dead_process()}", f"gc:here:{a_dead_process()}", f"here:{me}"):
        await request_job(db)
        await claim_as(db, holder)
        done.clear()
        async with running(db, {"work": work}, node=f"here:{me}"):
            await until(lambda: done)
            await until_idle(db)
    await db.close()


async def test_the_job_of_a_living_process_or_another_machine_is_left_alone(
    sqlite_url: str,
) -> None:
    db = await open_db(sqlite_url)
    await request_job(db)
    for holder in (f"here:{os.getppid()}", f"there:{a_dead_process()}", "here:x", "node1"):
        await claim_as(db, holder)
        async with running(db, {"work": noop}, node=f"here:{os.getpid()}"):
            await asyncio.sleep(0.1)
        assert (await only_job(db)).running_on == holder
    await claim_as(db, f"here:{a_dead_process()}")
    async with running(db, {"work": noop}, node="here:1"):
        await asyncio.sleep(0.1)
    assert (await only_job(db)).running_on
    await db.close()


async def test_with_postgresql_the_lease_of_a_dead_process_has_to_expire(
    postgresql_url: str,
) -> None:
    """Another machine may have the same name, and its process the same number."""
    db = await open_db(postgresql_url)
    await request_job(db)
    await claim_as(db, f"here:{a_dead_process()}")
    async with running(db, {"work": noop}, node=f"here:{os.getpid()}"):
        await asyncio.sleep(0.1)
    assert (await only_job(db)).running_on
    await db.close()


async def noop(_job: Job) -> None:
    pass


async def test_a_job_of_an_unknown_type_waits_for_a_node_that_knows_it(
    db: Database,
) -> None:
    """Nodes of the previous release leave jobs of new types to the new nodes."""
    known, new = Recorder(), Recorder()
    await request_job(db, "a", "new")
    await request_job(db, "a", "known")
    async with running(db, {"known": known}, node="old"):
        await until(lambda: known.subjects == ["a"])
        await asyncio.sleep(0.1)
    (waiting,) = await list_jobs(db)
    assert (waiting.type, waiting.attempts, waiting.error) == ("new", 0, None)
    async with running(db, {"known": known, "new": new}, node="new"):
        await until_idle(db)
    assert new.jobs == [Job("new", "a", {}, 1)]
