"""Dispatch of recorded events to the listeners that ``app.py`` lists, in order, exactly once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeAlias

import msgspec
from sqlalchemy import bindparam, select, update

from hubstead.db import Database, DatabaseNow, Tx, indexed
from hubstead.jobs import Job, JobType, Reschedule
from hubstead.outbox.events import Event, RecordedEvent, count_pending, prune_events
from hubstead.outbox.tables import events

#: How many events one transaction dispatches.
BATCH = 100
DISPATCH = "outbox.tell"
PRUNE = "outbox.prune"
#: How long events stay after their dispatch, in milliseconds.
RETENTION_MS = 30 * 86_400_000

_PENDING = indexed(
    select(events)
    .where(events.c.told_ms.is_(None))
    .order_by(events.c.pk)
    .limit(BATCH)
    .with_for_update(),
    RecordedEvent,
)
_MARK_DISPATCHED = indexed(
    update(events).values(told_ms=DatabaseNow()).where(events.c.pk == bindparam("event_pk"))
)

#: Handles one event in the transaction that marks it as dispatched.
EventHandler: TypeAlias = Callable[[Tx, RecordedEvent], Awaitable[None]]


class Listener(msgspec.Struct, frozen=True):
    """A handler, and the classes of the events that it handles."""

    handle: EventHandler
    events: tuple[type[Event], ...]


async def dispatch(db: Database, listeners: Sequence[Listener]) -> int:
    """Hand the oldest pending events to their listeners; return how many events there were.

    One transaction handles the events and marks them, so each is handled exactly once. An event
    without a listener is marked, too.
    """

    return await db.write(_dispatch, listeners)


async def _dispatch(tx: Tx, listeners: Sequence[Listener]) -> int:
    rows = await tx.all(_PENDING)
    for row in rows:
        for listener in listeners:
            if any(row.type == event.__name__ for event in listener.events):
                await listener.handle(tx, row)
        await tx.run(_MARK_DISPATCHED, event_pk=row.pk)
    return len(rows)


def outbox_jobs(db: Database, listeners: Sequence[Listener]) -> list[JobType]:
    """Return the room's types of jobs: dispatch of events, and hourly deletion of old ones."""

    async def dispatch_pending(_job: Job) -> Reschedule | None:
        return Reschedule(0) if await dispatch(db, listeners) else None

    async def prune(_job: Job) -> None:
        await prune_events(db, RETENTION_MS)

    return [
        JobType(
            name=DISPATCH,
            handler=dispatch_pending,
            probe=partial(count_pending, db),
            concurrency=1,
        ),
        JobType(name=PRUNE, handler=prune, interval_s=3600.0),
    ]
