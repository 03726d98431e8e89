"""Runs jobs: claims due jobs, renews leases, reschedules failures."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping

import structlog

from hubstead.db import Database, Tx
from hubstead.jobs import claims
from hubstead.jobs.claims import Claim
from hubstead.jobs.future_times import correct_jobs
from hubstead.jobs.job_types import Job, JobType, Reschedule, job_types_by_name
from hubstead.jobs.jobs import CORRECT_STAMPS
from hubstead.jobs.node_clock import NodeClock
from hubstead.jobs.queue import enqueue, enqueue_if_absent

#: The longest pause between two attempts.
LONGEST_PAUSE_S = 3600.0

_log = structlog.get_logger("hubstead.jobs")


class _RunningJob:
    """A job that this node runs."""

    def __init__(self, claim: Claim, queue: str, until: float) -> None:
        self.claim = claim
        self.queue = queue
        self.until = until  # by time.monotonic()
        self.task: asyncio.Task[None] | None = None
        self.lost = False
        self.recording = False

    def interrupt(self) -> None:
        """Cancel the handler, unless it has finished and its outcome is being recorded."""
        if self.task and not self.recording:
            self.task.cancel()


class Runner:
    """Runs jobs of the types that this node knows; other jobs wait for a node that knows them.

    Args:
        db: The database.
        types: The types of jobs.
        node: The name of this process in ``hubstead jobs``; any text. With SQLite, a name that
            ends with ``:`` and the process id claims the jobs of crashed processes at once.
        poll_s: The polling interval, in seconds.
        concurrency: The limit of concurrent jobs of the types that have none of their own.
        lease_s: The lease, in seconds: how long after a crash other nodes claim the jobs.
        pause_s: The pause before the first retry, in seconds; it doubles with every retry.
        grace_s: How long ``stop`` waits for running jobs, in seconds.
        clock: The node's clock: while it is wrong, the runner claims no jobs.

    Raises:
        ValueError: two types have one name.
    """

    def __init__(
        self,
        db: Database,
        types: Iterable[JobType],
        *,
        node: str,
        poll_s: float = 0.25,
        concurrency: int = 4,
        lease_s: float = 30.0,
        pause_s: float = 1.0,
        grace_s: float = 5.0,
        clock: NodeClock | None = None,
    ) -> None:
        self._db = db
        self._types = job_types_by_name(types)
        self._node = node
        self._poll_s = poll_s
        self._lease_s = lease_s
        self._pause_s = pause_s
        self._grace_s = grace_s
        self._clock = clock
        shared = [name for name, one in self._types.items() if one.concurrency is None]
        self._queues = {"": (shared, concurrency)} | {
            name: ([name], one.concurrency)
            for name, one in self._types.items()
            if one.concurrency is not None
        }
        self._recurring = {
            name: one.interval_s for name, one in self._types.items() if one.interval_s is not None
        }
        self._running: set[_RunningJob] = set()
        self._planned = False
        self._suspected: frozenset[str] = frozenset()
        self._corrected_s = -math.inf
        self._stopping = False
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """Poll now."""
        self._awake.set()

    def stop(self) -> None:
        """Make ``run`` claim no more jobs and return after the running jobs."""
        self._stopping = True
        self._awake.set()

    async def run(self) -> None:
        """Run jobs until ``stop``; cancel and release jobs that exceed the grace period."""
        renewing = asyncio.create_task(self._renew_all())
        try:
            while not self._stopping:
                self._awake.clear()
                await self._log_errors(self._look_for_work)
                await self._wait()
            await self._drain(self._grace_s)
        finally:
            await self._release_all()
            renewing.cancel()

    async def _log_errors(self, step: Callable[[], Awaitable[None]]) -> None:
        """Log errors of ``step``: a database outage must not end the runner."""
        try:
            await step()
        except Exception as error:
            _log.error("looking for jobs failed", error=_text(error))
            await asyncio.sleep(self._pause_s)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._poll_s):
                await self._awake.wait()
        except TimeoutError:
            return

    async def _look_for_work(self) -> None:
        if self._clock is not None and not self._clock.agrees:
            return
        if not self._planned:
            # All processes of a hub on SQLite run on this machine.
            if self._db.dialect_name == "sqlite":
                await claims.release_dead(self._db, self._node)
            await self._db.write(_enqueue_recurring, self._recurring)
            self._planned = True
        await self._correct_times()
        for name, job_type in self._types.items():
            if job_type.probe is not None and await job_type.probe():
                await self._db.write(enqueue_if_absent, name, "")
        for queue, (types, most) in self._queues.items():
            free = most - sum(running.queue == queue for running in self._running)
            if types and free > 0:
                await self._claim(queue, types, free)

    async def _correct_times(self) -> None:
        """Correct times that a clock which ran ahead has left; look once per length of a lease."""
        if time.monotonic() - self._corrected_s < self._lease_s:
            return
        corrected = await correct_jobs(
            self._db,
            self._recurring,
            lease_s=self._lease_s,
            longest_pause_s=LONGEST_PAUSE_S,
            suspected=self._suspected,
        )
        self._corrected_s, self._suspected = time.monotonic(), corrected.suspected
        if corrected.names:
            _log.warning("times in the future count as now", jobs=corrected.names)
            if CORRECT_STAMPS in self._types:
                await self._db.write(enqueue, CORRECT_STAMPS, "")

    async def _claim(self, queue: str, types: list[str], most: int) -> None:
        until = time.monotonic() + self._lease_s
        claimed = await claims.claim(
            self._db, types, most=most, node=self._node, lease_s=self._lease_s
        )
        for claim in claimed:
            running = _RunningJob(claim, queue, until)
            predecessors = [job for job in self._running if job.claim.pk == claim.pk]
            self._running.add(running)
            running.task = asyncio.create_task(
                self._work(running, predecessors), name=f"job {claim.type}"
            )

    # -- one job ----------------------------------------------------------------------------

    async def _work(self, running: _RunningJob, predecessors: list[_RunningJob]) -> None:
        claim = running.claim
        try:
            await self._cancel_predecessors(predecessors)
            outcome = await self._types[claim.type].handler(
                Job(claim.type, claim.subject, claim.payload, claim.attempt)
            )
        except asyncio.CancelledError:
            if not running.lost:
                await self._record(running, claims.release(self._db, claim))
        except Exception as error:
            await self._record(running, self._failed(claim, error))
        else:
            await self._record(running, self._succeeded(claim, outcome))
        finally:
            self._running.discard(running)
            self._awake.set()

    async def _cancel_predecessors(self, predecessors: list[_RunningJob]) -> None:
        """Cancel runs of the job under an expired lease (after a suspend of the machine, say)."""
        for old in predecessors:
            old.lost = True
            old.interrupt()
        tasks = [old.task for old in predecessors if old.task]
        if tasks:
            await asyncio.wait(tasks)

    async def _record(self, running: _RunningJob, change: Awaitable[None]) -> None:
        running.recording = True
        try:
            await change
        except Exception as error:
            # The job stays claimed until its lease expires, and then runs again.
            _log.error("outcome of a job not recorded", type=running.claim.type, error=_text(error))

    async def _succeeded(self, claim: Claim, outcome: Reschedule | None) -> None:
        if outcome is None and claim.type in self._recurring:
            outcome = Reschedule(self._recurring[claim.type])
        if outcome is None:
            await claims.finish(self._db, claim)
        else:
            await claims.reschedule(self._db, claim, outcome.after_s)

    async def _failed(self, claim: Claim, error: Exception) -> None:
        pause = self._pause_s * 2.0 ** min(claim.attempt - 1, 30)
        longest = min(LONGEST_PAUSE_S, self._recurring.get(claim.type, LONGEST_PAUSE_S))
        pause = min(pause, longest) * random.uniform(0.75, 1.25)  # noqa: S311
        _log.warning(
            "job failed",
            type=claim.type,
            subject=claim.subject,
            attempt=claim.attempt,
            again_in_s=round(pause, 1),
            exc_info=error,
        )
        await claims.fail(self._db, claim, _text(error), pause)

    # -- leases -----------------------------------------------------------------------------

    async def _renew_all(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 3)
            for running in list(self._running):
                await self._renew(running)

    async def _renew(self, running: _RunningJob) -> None:
        until = time.monotonic() + self._lease_s
        try:
            renewed = await claims.renew(self._db, running.claim, self._lease_s)
        except Exception as error:
            _log.error("lease not renewed", type=running.claim.type, error=_text(error))
            renewed = time.monotonic() < running.until
        else:
            running.until = until if renewed else running.until
        if not renewed and running in self._running:
            # Another node may run the job by now: two must not.
            running.lost = True
            running.interrupt()

    async def _drain(self, grace_s: float) -> None:
        tasks = [running.task for running in self._running if running.task]
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)

    async def _release_all(self) -> None:
        tasks = [running.task for running in self._running if running.task]
        for running in self._running:
            running.interrupt()
        if tasks:
            await asyncio.wait(tasks)
        # A task that was cancelled before its first step has not released its claim.
        for running in list(self._running):
            await self._record(running, claims.release(self._db, running.claim))


async def _enqueue_recurring(tx: Tx, intervals_s: Mapping[str, float]) -> None:
    for name, interval_s in intervals_s.items():
        await enqueue_if_absent(tx, name, "")
        # A shorter interval than in the previous release takes effect now.
        await enqueue(tx, name, "", after_s=interval_s)


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
