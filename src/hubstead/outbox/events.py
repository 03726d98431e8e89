"""Events: recorded in the transaction of the change, read by the dispatch, deleted by age."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, delete, func, select

from hubstead.db import Database, DatabaseNow, Reader, Tx, database_now_ms, indexed, insert_into
from hubstead.outbox.tables import events

#: How many old events one transaction deletes.
PRUNE_BATCH = 1000
#: The kind of subject that the previous release knows, by a column of its own.
REPO = "repo"

_ADD = indexed(
    insert_into(events, "repo_pk", "subject_kind", "subject_pk", "type", "payload").values(
        created_ms=DatabaseNow()
    )
)


class Subject(NamedTuple):
    """The row that an event is about: the kind of thing, and its number."""

    kind: str
    pk: int


class RecordedEvent(NamedTuple):
    """A row of the table of events; ``payload`` is the event as JSON."""

    pk: int
    repo_pk: int | None
    type: str
    payload: str
    created_ms: int
    told_ms: int | None
    subject_kind: str | None
    subject_pk: int | None

    @property
    def subject(self) -> Subject | None:
        """What the event is about; a row of the previous release names a repository only."""
        if self.subject_kind is not None and self.subject_pk is not None:
            return Subject(self.subject_kind, self.subject_pk)
        return None if self.repo_pk is None else Subject(REPO, self.repo_pk)


_COUNT = indexed(
    select(func.count().label("n")).select_from(events).where(events.c.told_ms.is_(None)), int
)
_OLD = (
    select(events.c.pk)
    .where(events.c.told_ms < bindparam("before_ms"))
    .order_by(events.c.told_ms)
    .limit(PRUNE_BATCH)
)
_DELETE_OLD = indexed(delete(events).where(events.c.pk.in_(_OLD)))


class Event(msgspec.Struct, frozen=True, tag=True):
    """An event about any subject. Rooms subclass it in their ``events.py``."""


async def record_event(tx: Tx, subject: Subject, event: Event) -> None:
    """Record an event in the transaction of the change that it reports."""
    await tx.run(
        _ADD,
        repo_pk=subject.pk if subject.kind == REPO else None,
        subject_kind=subject.kind,
        subject_pk=subject.pk,
        type=type(event).__name__,
        payload=msgspec.json.encode(event).decode(),
    )


async def count_pending(db: Reader) -> int:
    """Return how many events wait for the dispatch."""
    return await db.single(_COUNT)


async def prune_events(db: Database, age_ms: int) -> int:
    """Delete the events dispatched longer ago than ``age_ms``; return how many."""
    before_ms = await database_now_ms(db) - age_ms
    total = pruned = await db.execute(_DELETE_OLD, before_ms=before_ms)
    while pruned == PRUNE_BATCH:
        pruned = await db.execute(_DELETE_OLD, before_ms=before_ms)
        total += pruned
    return total
