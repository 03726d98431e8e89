"""Background jobs of the room: deliveries, and deletion of old entries of the delivery log."""

from __future__ import annotations

from hubstead.db import Database
from hubstead.jobs import Job, JobType
from hubstead.webhooks.delivery import Deliveries
from hubstead.webhooks.payloads import DELIVER
from hubstead.webhooks.queue import prune_deliveries

PRUNE = "webhooks.prune"
RETENTION_MS = 30 * 86_400_000
#: How many webhooks one node delivers to at once; the number of their repositories does not count.
CONCURRENT_DELIVERIES = 32


def webhook_jobs(db: Database, deliveries: Deliveries) -> list[JobType]:
    """Return the room's types of jobs: deliveries, and hourly deletion of old log entries."""

    async def prune(_job: Job) -> None:
        await prune_deliveries(db, RETENTION_MS)

    return [
        # A limit of its own, so that slow receivers delay no other jobs.
        JobType(name=DELIVER, handler=deliveries, concurrency=CONCURRENT_DELIVERIES),
        JobType(name=PRUNE, handler=prune, interval_s=3600.0),
    ]
