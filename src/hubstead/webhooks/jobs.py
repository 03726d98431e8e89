"""Background jobs of the room: deliveries, and deletion of old entries of the delivery log."""

from __future__ import annotations

from hubstead.db import Database
from hubstead.jobs import Handler, Job, Runner
from hubstead.webhooks.delivery import Deliveries
from hubstead.webhooks.payloads import DELIVER
from hubstead.webhooks.queue import prune_deliveries

PRUNE = "webhooks.prune"
RETENTION_MS = 30 * 86_400_000
PRUNE_EVERY_S = 3600.0

#: Limits by job type (``Runner(lanes=…)``): slow receivers delay no other jobs. A webhook counts
#: once, regardless of its number of repositories.
QUEUES = {DELIVER: 32}


def handlers(db: Database, deliveries: Deliveries) -> dict[str, Handler]:
    """Return the handlers of the room's jobs."""

    async def prune(_job: Job) -> None:
        await prune_deliveries(db, RETENTION_MS)

    return {DELIVER: deliveries, PRUNE: prune}


def schedule(runner: Runner) -> None:
    """Schedule the hourly deletion of old entries of the delivery log."""
    runner.schedule_every(PRUNE, PRUNE_EVERY_S)
