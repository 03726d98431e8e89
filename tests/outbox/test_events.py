"""The outbox: events are written with their change, and dispatched once, in order."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select, update

from hubstead.db import Database, Tx, indexed, insert_into, open_db
from hubstead.ids import now_ms
from hubstead.outbox import (
    Event,
    Listener,
    RecordedEvent,
    Subject,
    count_pending,
    dispatch,
    prune_events,
    record_event,
)
from hubstead.outbox.dispatch import EventHandler
from hubstead.outbox.tables import events
from tests.support.rows import reading

ALL = reading(select(events).order_by(events.c.pk))


class Sung(Event, frozen=True):
    title: str


def songs(*handlers: EventHandler) -> list[Listener]:
    return [Listener(handler, (Sung,)) for handler in handlers]


async def sing(db: Database, *titles: str, repo_pk: int = 1) -> None:
    async def write(tx: Tx) -> None:
        for title in titles:
            await record_event(tx, Subject("repo", repo_pk), Sung(title))

    await db.write(write)


class Recorder:
    """A listener that records events, as a row of the database would."""

    def __init__(self) -> None:
        self.payloads: list[str] = []

    async def __call__(self, _tx: Tx, row: RecordedEvent) -> None:
        self.payloads.append(row.payload)


async def test_an_event_of_a_failed_write_does_not_exist(db: Database) -> None:
    async def fail(tx: Tx) -> None:
        await record_event(tx, Subject("repo", 1), Sung("la"))
        raise LookupError

    with pytest.raises(LookupError):
        await db.write(fail)
    assert await count_pending(db) == 0


async def test_events_are_dispatched_to_every_listener_once_and_in_order(db: Database) -> None:
    await sing(db, "do", "re")
    await sing(db, "mi", repo_pk=2)
    assert await count_pending(db) == 3
    first, second = Recorder(), Recorder()
    assert await dispatch(db, songs(first, second)) == 3
    assert first.payloads == second.payloads
    assert first.payloads == [
        f'{{"type":"Sung","title":"{title}"}}' for title in ("do", "re", "mi")
    ]
    assert await count_pending(db) == 0
    assert await dispatch(db, songs(first)) == 0
    assert len(first.payloads) == 3


async def test_an_event_has_its_type_subject_and_time(db: Database) -> None:
    await sing(db, "do", repo_pk=77)
    (row,) = await db.all(ALL)
    assert (row.repo_pk, row.type, row.told_ms) == (77, "Sung", None)
    assert abs(row.created_ms - now_ms()) < 60_000


async def test_a_failing_listener_leaves_its_events_pending(db: Database) -> None:
    await sing(db, "do", "re")

    async def fail(_tx: Tx, row: RecordedEvent) -> None:
        if "re" in row.payload:
            raise LookupError("what?")

    with pytest.raises(LookupError):
        await dispatch(db, songs(fail))
    assert await count_pending(db) == 2
    recorder = Recorder()
    await dispatch(db, songs(recorder))
    assert len(recorder.payloads) == 2


async def test_a_long_queue_of_events_is_dispatched_in_batches(db: Database) -> None:
    await sing(db, *map(str, range(130)))
    recorder = Recorder()
    assert await dispatch(db, songs(recorder)) == 100
    assert await dispatch(db, songs(recorder)) == 30
    assert [f'"{n}"' in payloads for n, payloads in enumerate(recorder.payloads)] == [True] * 130


async def test_two_nodes_dispatch_an_event_only_once(database_url: str) -> None:
    nodes = [await open_db(database_url), await open_db(database_url)]
    await sing(nodes[0], *map(str, range(60)))

    async def mark(tx: Tx, row: RecordedEvent) -> None:
        # The rows of committed transactions count, not the attempts.
        await record_event(tx, Subject("event", row.pk), Sung("echo"))

    async def dispatch_all(db: Database) -> None:
        for _ in range(3):
            await dispatch_songs(db, mark)

    await asyncio.gather(*map(dispatch_all, nodes))
    echoes = [row.subject_pk for row in await nodes[0].all(ALL) if "echo" in row.payload]
    first = [row.pk for row in await nodes[0].all(ALL)][:60]
    assert [echoes.count(pk) for pk in first] == [1] * 60
    for node in nodes:
        await node.close()


async def dispatch_songs(db: Database, listener: object) -> int:
    async def only_songs(tx: Tx, row: RecordedEvent) -> None:
        if "echo" not in row.payload:
            await listener(tx, row)  # type: ignore[operator]

    return await dispatch(db, songs(only_songs))


async def test_dispatched_events_expire_and_pending_ones_never(db: Database) -> None:
    await sing(db, "old", "recent")
    await dispatch(db, [])
    await sing(db, "pending")
    hour = 3_600_000

    async def age(tx: Tx) -> None:
        old = events.c.payload.like('%"old"%')
        await tx.run(indexed(update(events).values(told_ms=now_ms() - 2 * hour).where(old)))

    await db.write(age)
    assert await prune_events(db, hour) == 1
    assert await prune_events(db, hour) == 0
    rest = [row.payload for row in await db.all(ALL)]
    assert ['"recent"' in rest[0], '"pending"' in rest[1], len(rest)] == [True, True, 2]


class Joined(Event, frozen=True):
    name: str


async def test_a_listener_receives_only_the_events_that_it_lists(db: Database) -> None:
    await sing(db, "do")
    await db.write(lambda tx: record_event(tx, Subject("account", 7), Joined("anna")))
    songs_heard, joined_heard = Recorder(), Recorder()
    listeners = [Listener(songs_heard, (Sung,)), Listener(joined_heard, (Joined,))]
    assert await dispatch(db, listeners) == 2
    assert songs_heard.payloads == ['{"type":"Sung","title":"do"}']
    assert joined_heard.payloads == ['{"type":"Joined","name":"anna"}']


async def test_an_event_names_a_subject_of_any_kind(db: Database) -> None:
    """The previous release reads ``repo_pk`` and writes no other column."""
    await sing(db, "do", repo_pk=3)
    await db.write(lambda tx: record_event(tx, Subject("account", 3), Joined("anna")))
    of_previous_release = insert_into(events, "repo_pk", "type", "payload", "created_ms")
    row = {"repo_pk": 5, "type": "Sung", "payload": "{}", "created_ms": 1}
    await db.write(lambda tx: tx.run(indexed(of_previous_release), **row))
    subjects: list[Subject | None] = []

    async def note(_tx: Tx, event: RecordedEvent) -> None:
        subjects.append(event.subject)

    await dispatch(db, [Listener(note, (Sung, Joined))])
    assert subjects == [Subject("repo", 3), Subject("account", 3), Subject("repo", 5)]
    assert [row.repo_pk for row in await db.all(ALL)] == [3, None, 5]
