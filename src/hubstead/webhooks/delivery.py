"""Delivering: at least once, in order per repository, lines beside each other.

One job per webhook delivers all its lines, so its lease makes sure that no two nodes deliver to
one webhook at a time, and a receiver that hangs takes the time of its own job only. Whatever was
sent but not written down, because the node died in between, is sent again.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

import structlog
from sqlalchemy import bindparam, select

from hubstead.db import Database, database_now_ms, indexed
from hubstead.jobs import Job, Reschedule
from hubstead.webhooks.queue import (
    Head,
    RetryPolicy,
    decide_result,
    due_queues,
    next_delivery,
    next_due_ms,
    record_attempt,
)
from hubstead.webhooks.sender import Sender
from hubstead.webhooks.tables import webhooks

#: How many lines of one webhook are delivered at once.
CONCURRENT_QUEUES = 4
#: How long one job goes on before it makes room for other webhooks.
SLICE_S = 20.0
#: How often a job that waits for slow answers looks for further lines.
LOOK_S = 0.25

_log = structlog.get_logger("hubstead.webhooks")
_BY_ID = indexed(
    select(webhooks.c.pk).where(webhooks.c.id == bindparam("webhook_id"), webhooks.c.disabled == 0),
    int,
)


class Deliveries:
    """Delivers what waits for a webhook: the handler of the job ``webhooks.deliver``."""

    def __init__(self, db: Database, sender: Sender, patience: RetryPolicy | None = None) -> None:
        self._db = db
        self._sender = sender
        self._patience = patience or RetryPolicy()

    async def __call__(self, job: Job) -> Reschedule | None:
        """Deliver the due lines of the webhook whose id is the job's subject."""
        pk = await self._db.one(_BY_ID, webhook_id=job.subject)
        if pk is None:
            return None
        await self._deliver_lines(pk)
        due_ms = await next_due_ms(self._db, pk)
        return (
            None
            if due_ms is None
            else Reschedule(max(0.0, (due_ms - await database_now_ms(self._db)) / 1000))
        )

    async def _deliver_lines(self, webhook_pk: int) -> None:
        """Keep up to ``CONCURRENT_QUEUES`` lines going until none is due or the slice is over."""
        over = time.monotonic() + SLICE_S
        ready: deque[int] = deque()
        going: dict[int, asyncio.Task[None]] = {}
        try:
            while True:
                if time.monotonic() < over:
                    await self._start_lines(webhook_pk, ready, going)
                if not going:
                    return
                done, _ = await asyncio.wait(
                    going.values(), timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    task.result()
                going = {line: task for line, task in going.items() if task not in done}
        finally:
            for task in going.values():
                task.cancel()
            await asyncio.gather(*going.values(), return_exceptions=True)

    async def _start_lines(
        self, webhook_pk: int, ready: deque[int], going: dict[int, asyncio.Task[None]]
    ) -> None:
        if not ready and len(going) < CONCURRENT_QUEUES:
            most = CONCURRENT_QUEUES * 16
            ready.extend(
                line for line in await due_queues(self._db, webhook_pk, most) if line not in going
            )
        while ready and len(going) < CONCURRENT_QUEUES:
            line = ready.popleft()
            if line not in going:
                going[line] = asyncio.create_task(self._deliver_line(webhook_pk, line))

    async def _deliver_line(self, webhook_pk: int, repo_pk: int) -> None:
        """Deliver from the head of a line on until one fails or none is left."""
        over = time.monotonic() + SLICE_S
        while time.monotonic() < over:
            head = await next_delivery(self._db, webhook_pk, repo_pk)
            if head is None or not await self._attempt(head):
                return

    async def _attempt(self, head: Head) -> bool:
        """Send one delivery; tell whether the next of its line may follow at once."""
        began_ms = await database_now_ms(self._db)
        answer = await self._sender.post(head.url, head.body, head.secret)
        outcome = decide_result(
            head,
            answer,
            began_ms=began_ms,
            ended_ms=await database_now_ms(self._db),
            patience=self._patience,
        )
        if outcome.state == "given_up":
            _log.warning(
                "webhook delivery given up",
                webhook=head.webhook_id,
                body=head.body,
                attempts=head.attempts + 1,
                error=answer.error,
            )
        await record_attempt(self._db, head, answer, began_ms, outcome)
        return outcome.state != "waiting"
