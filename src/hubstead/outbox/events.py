"""Recording events inside a write, and telling them, in order, to those who listen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeAlias

import msgspec
from sqlalchemy import bindparam, delete, func, select, update

from hubstead.db import Database, DatabaseNow, Reader, Tx, database_now_ms, indexed, insert_into
from hubstead.outbox.tables import events

#: How many events one transaction hands on.
BATCH = 100
#: How many old events one transaction removes.
PRUNE_BATCH = 1000

_ADD = indexed(insert_into(events, "repo_pk", "type", "payload").values(created_ms=DatabaseNow()))


class RecordedEvent(NamedTuple):
    """An event as it was written down; ``payload`` is its JSON."""

    pk: int
    repo_pk: int | None
    type: str
    payload: str
    created_ms: int
    told_ms: int | None


_PENDING = indexed(
    select(events)
    .where(events.c.told_ms.is_(None))
    .order_by(events.c.pk)
    .limit(BATCH)
    .with_for_update(),
    RecordedEvent,
)
_COUNT = indexed(
    select(func.count().label("n")).select_from(events).where(events.c.told_ms.is_(None)), int
)
_TOLD = indexed(
    update(events).values(told_ms=DatabaseNow()).where(events.c.pk == bindparam("event_pk"))
)

_OLD = (
    select(events.c.pk)
    .where(events.c.told_ms < bindparam("before_ms"))
    .order_by(events.c.told_ms)
    .limit(PRUNE_BATCH)
)
_FORGET = indexed(delete(events).where(events.c.pk.in_(_OLD)))


class Event(msgspec.Struct, frozen=True, tag=True):
    """Something that happened to a repository. Rooms subclass it in their ``events.py``."""


#: Takes up one event (a row of the table) in the transaction that marks it as told.
Listener: TypeAlias = Callable[[Tx, RecordedEvent], Awaitable[None]]


async def record_event(tx: Tx, repo_pk: int, event: Event) -> None:
    """Write down, with the change itself, that ``event`` happened."""
    await tx.run(
        _ADD,
        repo_pk=repo_pk,
        type=type(event).__name__,
        payload=msgspec.json.encode(event).decode(),
    )


async def dispatch(db: Database, listeners: Sequence[Listener]) -> int:
    """Hand the oldest untold events to every listener; return how many there were.

    One transaction takes up the events and marks them, so each is taken up exactly once.
    """

    async def hand_on(tx: Tx) -> int:
        rows = await tx.all(_PENDING)
        for row in rows:
            for listener in listeners:
                await listener(tx, row)
            await tx.run(_TOLD, event_pk=row.pk)
        return len(rows)

    return await db.write(hand_on)


async def count_pending(db: Reader) -> int:
    """Return how many events nobody has taken up yet."""
    return await db.single(_COUNT)


async def prune_events(db: Database, age_ms: int) -> int:
    """Delete the events dispatched longer ago than ``age_ms``; return how many."""
    before_ms = await database_now_ms(db) - age_ms

    async def forget(tx: Tx) -> int:
        return await tx.run(_FORGET, before_ms=before_ms)

    total = gone = await db.write(forget)
    while gone == PRUNE_BATCH:
        gone = await db.write(forget)
        total += gone
    return total
