"""Having deletions done by the jobs whose they are, now and by one process at a time.

Two processes must never delete blobs at once: what one deletes late may have been uploaded again
after the other. So even where no hub runs beside it, gc claims the job and does it under its
lease; where one runs, either of them may come first, with its own settings.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from sqlalchemy import case, select

from hubstead.commits import Storage
from hubstead.db import DatabaseNow, Tx, any_of, scan
from hubstead.errors import Unavailable
from hubstead.jobs import Handler, NodeClock, Runner, enqueue
from hubstead.jobs.tables import jobs

_LOOK_EVERY_S = 0.05


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
    """Jobs that can be had done at once."""

    def __init__(self, stores: Storage, runner: Runner) -> None:
        self._stores = stores
        self._runner = runner

    async def run_jobs(self, types: Sequence[str]) -> None:
        """Return when each job was done, here or elsewhere, from its beginning to its end.

        Raises:
            Unavailable: one failed; with the reason.
        """

        async def ask(tx: Tx) -> None:
            for each in types:
                await enqueue(tx, each, "")

        await self._stores.db.write(ask)
        self._runner.wake()
        while True:
            if await self._are_done(types):
                return
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _are_done(self, types: Sequence[str]) -> bool:
        rows = await self._stores.db.all(_STATE, types=list(types))
        resting = [row for row in rows if row.holder is None and not row.is_due]
        for row in resting:
            if row.error:
                raise Unavailable(reason=f"the job {row.type} failed: {row.error}")
        return len(resting) == len(rows)


@asynccontextmanager
async def running_jobs(
    stores: Storage, handlers: Mapping[str, Handler], every_s: Mapping[str, float]
) -> AsyncIterator[JobRuns]:
    """Be one of those who do jobs, while the block lasts.

    Args:
        stores: The hub.
        handlers: Who does which job.
        every_s: How often each is due, in seconds, so that it stays planned as it was.

    Raises:
        Unavailable: this machine's clock differs from the database's by too much.
    """
    node = f"gc:{socket.gethostname()}:{os.getpid()}"
    clock = NodeClock(stores.db, node, tolerance_s=stores.settings.database.clock_tolerance_seconds)
    if not await clock.measure():
        raise Unavailable(reason=clock.complaint)
    runner = Runner(stores.db, handlers, node=node, clock=clock)
    for name in handlers:
        runner.schedule_every(name, every_s[name])

    async def plan(tx: Tx) -> None:
        for name in handlers:  # or the runner would do at once what nobody ever did
            await enqueue(tx, name, "", after_s=every_s[name])

    await stores.db.write(plan)
    task = asyncio.create_task(runner.run())
    try:
        yield JobRuns(stores, runner)
    finally:
        runner.stop()
        await task
        await clock.withdraw()
