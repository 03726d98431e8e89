"""Delivers webhooks: at least once, in order per repository, several queues concurrently.

One job per webhook delivers all its queues: the lease of the job prevents two nodes from
delivering to one webhook at a time, and a slow receiver delays its own job only. A delivery that
was sent but not recorded, because the node crashed in between, is sent again.
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

#: The limit of concurrent queues per webhook.
CONCURRENT_QUEUES = 4
#: The time slice of one job, after which other webhooks get their turn.
SLICE_S = 20.0
#: How often a job that waits for slow receivers polls for further queues.
LOOK_S = 0.25

_log = structlog.get_logger("hubstead.webhooks")
_BY_ID = indexed(
    select(webhooks.c.pk).where(webhooks.c.id == bindparam("webhook_id"), webhooks.c.disabled == 0),
    int,
)


class Deliveries:
    """Sends the waiting deliveries of a webhook: the handler of the job ``webhooks.deliver``."""

    def __init__(
        self, db: Database, sender: Sender, retry_policy: RetryPolicy | None = None
    ) -> None:
        self._db = db
        self._sender = sender
        self._retry_policy = retry_policy or RetryPolicy()

    async def __call__(self, job: Job) -> Reschedule | None:
        """Deliver the due queues of the webhook whose id is the job's subject."""
        pk = await self._db.one(_BY_ID, webhook_id=job.subject)
        if pk is None:
            return None
        await self._deliver_queues(pk)
        due_ms = await next_due_ms(self._db, pk)
        return (
            None
            if due_ms is None
            else Reschedule(max(0.0, (due_ms - await database_now_ms(self._db)) / 1000))
        )

    async def _deliver_queues(self, webhook_pk: int) -> None:
        """Deliver up to ``CONCURRENT_QUEUES`` queues until none is due or the slice ends."""
        deadline = time.monotonic() + SLICE_S
        ready: deque[int] = deque()
        going: dict[int, asyncio.Task[None]] = {}
        try:
            while True:
                if time.monotonic() < deadline:
                    await self._start_queues(webhook_pk, ready, going)
                if not going:
                    return
                done, _ = await asyncio.wait(
                    going.values(), timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    task.result()
                going = {repo_pk: task for repo_pk, task in going.items() if task not in done}
        finally:
            for task in going.values():
                task.cancel()
            await asyncio.gather(*going.values(), return_exceptions=True)

    async def _start_queues(
        self, webhook_pk: int, ready: deque[int], going: dict[int, asyncio.Task[None]]
    ) -> None:
        if not ready and len(going) < CONCURRENT_QUEUES:
            most = CONCURRENT_QUEUES * 16
            ready.extend(
                repo_pk
                for repo_pk in await due_queues(self._db, webhook_pk, most)
                if repo_pk not in going
            )
        while ready and len(going) < CONCURRENT_QUEUES:
            repo_pk = ready.popleft()
            if repo_pk not in going:
                going[repo_pk] = asyncio.create_task(self._deliver_queue(webhook_pk, repo_pk))

    async def _deliver_queue(self, webhook_pk: int, repo_pk: int) -> None:
        """Deliver a queue from its head until a delivery fails or the queue is empty."""
        deadline = time.monotonic() + SLICE_S
        while time.monotonic() < deadline:
            head = await next_delivery(self._db, webhook_pk, repo_pk)
            if head is None or not await self._attempt(head):
                return

    async def _attempt(self, head: Head) -> bool:
        """Send one delivery; return whether the next in its queue may follow at once."""
        began_ms = await database_now_ms(self._db)
        result = await self._sender.post(head.url, head.body, head.secret)
        decision = decide_result(
            head,
            result,
            began_ms=began_ms,
            ended_ms=await database_now_ms(self._db),
            retry_policy=self._retry_policy,
        )
        if decision.state == "given_up":
            _log.warning(
                "webhook delivery given up",
                webhook=head.webhook_id,
                body=head.body,
                attempts=head.attempts + 1,
                error=result.error,
            )
        await record_attempt(self._db, head, result, began_ms, decision)
        return decision.state != "waiting"
