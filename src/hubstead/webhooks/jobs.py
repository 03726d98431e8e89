"""The room's background work: telling events, delivering, forgetting what is long past."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hubstead import outbox
from hubstead.db import Database
from hubstead.jobs import Handler, Job, Reschedule, Runner
from hubstead.outbox import Listener
from hubstead.webhooks.delivery import Deliveries
from hubstead.webhooks.payloads import DELIVER
from hubstead.webhooks.queue import prune_deliveries

DISPATCH = "outbox.tell"
PRUNE = "webhooks.prune"
KEPT_MS = 30 * 86_400_000
PRUNE_EVERY_S = 3600.0

#: Bounds of their own (``Runner(lanes=…)``): neither slow receivers nor other slow jobs delay
#: the telling of events. A webhook takes one place, however many lines it has.
QUEUES = {DISPATCH: 1, DELIVER: 32}


def handlers(
    db: Database, deliveries: Deliveries, listeners: Sequence[Listener]
) -> dict[str, Handler]:
    """Return who does the jobs of this room; ``listeners`` hear of every event."""

    async def tell(_job: Job) -> Reschedule | None:
        told = await outbox.dispatch(db, listeners)
        return Reschedule(0) if told else None

    async def prune(_job: Job) -> None:
        await prune_deliveries(db, KEPT_MS)
        await outbox.prune_events(db, KEPT_MS)

    return {DISPATCH: tell, DELIVER: deliveries, PRUNE: prune}


def schedule(runner: Runner, db: Database) -> None:
    """Have events told as soon as there are any, and old ones forgotten now and then."""
    runner.add_probe(DISPATCH, partial(outbox.count_pending, db))
    runner.schedule_every(PRUNE, PRUNE_EVERY_S)
