"""The room's background work: telling events, delivering, forgetting what is long past."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hubstead import outbox
from hubstead.db import Database
from hubstead.ids import now_ms
from hubstead.jobs import Again, Handler, Job, Runner
from hubstead.outbox import Listener
from hubstead.webhooks.delivery import Deliveries
from hubstead.webhooks.lines import prune_deliveries
from hubstead.webhooks.telling import DELIVER

TELL = "outbox.tell"
PRUNE = "webhooks.prune"
KEPT_MS = 30 * 86_400_000
PRUNE_EVERY_S = 3600.0

#: Bounds of their own (``Runner(lanes=…)``): neither slow receivers nor other slow jobs delay
#: the telling of events. A webhook takes one place, however many lines it has.
LANES = {TELL: 1, DELIVER: 32}


def handlers(
    db: Database, deliveries: Deliveries, listeners: Sequence[Listener]
) -> dict[str, Handler]:
    """Return who does the jobs of this room; ``listeners`` hear of every event."""

    async def tell(_job: Job) -> Again | None:
        told = await outbox.tell(db, listeners)
        return Again(0) if told else None

    async def prune(_job: Job) -> None:
        before_ms = now_ms() - KEPT_MS
        await prune_deliveries(db, before_ms)
        await outbox.prune(db, before_ms)

    return {TELL: tell, DELIVER: deliveries, PRUNE: prune}


def plan(runner: Runner, db: Database) -> None:
    """Have events told as soon as there are any, and old ones forgotten now and then."""
    runner.when(TELL, partial(outbox.pending, db))
    runner.every(PRUNE, PRUNE_EVERY_S)
