"""Runs deletion jobs to completion now, under their usual leases.

Two processes must never delete blobs at once: a late deletion could hit bytes that were uploaded
again after the first one. So gc claims the jobs and runs them under their leases. Beside a
running hub either process may claim a job first, and runs it with its own settings.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from sqlalchemy import case, select

from hubstead.commits import Storage
from hubstead.db import DatabaseNow, Tx, any_of, scan
from hubstead.errors import Unavailable
from hubstead.jobs import JobType, NodeClock, Runner, enqueue
from hubstead.jobs.tables import jobs

_POLL_S = 0.05


class _State(NamedTuple):
    type: str
    is_due: int
    holder: str | None
    error: str | None


_STATE = scan(
    select(
        jobs.c.type,
        case((jobs.c.due_ms <= DatabaseNow(), 1), else_=0).label("is_due"),
        jobs.c.holder,
        jobs.c.error,
    ).where(any_of(jobs.c.type, "types")),
    _State,
)


class JobRuns:
    """Starts jobs at once and waits for their end."""

    def __init__(self, storage: Storage, runner: Runner) -> None:
        self._storage = storage
        self._runner = runner

    async def run_jobs(self, types: Sequence[str]) -> None:
        """Run jobs completely, in this process or in another one, and return after the last.

        Raises:
            Unavailable: a job failed; the message has its error.
        """
        await self._storage.db.write(_enqueue_all, types)
        self._runner.wake()
        while True:
            if await self._are_done(types):
                return
            await asyncio.sleep(_POLL_S)

    async def _are_done(self, types: Sequence[str]) -> bool:
        rows = await self._storage.db.all(_STATE, types=list(types))
        resting = [row for row in rows if row.holder is None and not row.is_due]
        for row in resting:
            if row.error:
                raise Unavailable(reason=f"the job {row.type} failed: {row.error}")
        return len(resting) == len(rows)


@asynccontextmanager
async def running_jobs(storage: Storage, types: Sequence[JobType]) -> AsyncIterator[JobRuns]:
    """Run a job runner for the block.

    Args:
        storage: The hub.
        types: The types of jobs, whose schedule stays the same.

    Raises:
        Unavailable: this machine's clock differs from the database's by too much.
    """
    node = f"gc:{socket.gethostname()}:{os.getpid()}"
    clock = NodeClock(
        storage.db, node, tolerance_s=storage.settings.database.clock_tolerance_seconds
    )
    if not await clock.measure():
        raise Unavailable(reason=clock.complaint)
    runner = Runner(storage.db, types, node=node, clock=clock)
    await storage.db.write(_schedule, types)
    task = asyncio.create_task(runner.run())
    try:
        yield JobRuns(storage, runner)
    finally:
        runner.stop()
        await task
        await clock.withdraw()


async def _enqueue_all(tx: Tx, types: Sequence[str]) -> None:
    for job_type in types:
        await enqueue(tx, job_type, "")


async def _schedule(tx: Tx, types: Sequence[JobType]) -> None:
    """Enqueue jobs that never ran for later, so that the runner does not run them at once."""
    for job_type in types:
        if job_type.interval_s is not None:
            await enqueue(tx, job_type.name, "", after_s=job_type.interval_s)
