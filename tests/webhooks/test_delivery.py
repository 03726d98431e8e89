"""Delivery, from the event to a real receiver: order, retries, limits, crashes, many nodes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from hubstead.db import Database, Tx, indexed, open_db
from hubstead.ids import Kind, RepoId, now_ms
from hubstead.jobs import Runner, list_jobs
from hubstead.outbox import count_pending, outbox_jobs, record_event
from hubstead.repos import (
    RefsMoved,
    RepoCreated,
    RepoDeleted,
    RepoEvent,
    RepoRenamed,
    SettingsChange,
    change_settings,
    move_repo,
    repo_subject,
)
from hubstead.webhooks import (
    LISTENER,
    Deliveries,
    Delivery,
    RetryPolicy,
    Sender,
    add_webhook,
    list_deliveries,
    remove_webhook,
    webhook_jobs,
)
from hubstead.webhooks.tables import deliveries
from tests.support.factories import a_repo, a_user
from tests.support.jobs import run_job
from tests.webhooks.receiver import Received, Receiver, receiving

QUICK = RetryPolicy(pause_s=0.03)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@contextlib.asynccontextmanager
async def delivering(
    db: Database, patience: RetryPolicy = QUICK, *, timeout_s: float = 60.0, **options: Any
) -> AsyncIterator[Runner]:
    """Run everything between outbox and receiver, as the hub does, until the block ends."""
    sender = Sender(timeout_s=timeout_s)
    types = outbox_jobs(db, [LISTENER]) + webhook_jobs(db, Deliveries(db, sender, patience))
    quick: dict[str, Any] = {"node": "node1", "poll_s": 0.02, "pause_s": 0.03, "grace_s": 2}
    runner = Runner(db, types, **(quick | options))
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        runner.stop()
        await task
        await sender.close()


async def record(db: Database, event: RepoEvent, repo_pk: int = 1) -> None:
    async def write(tx: Tx) -> None:
        await record_event(tx, repo_subject(repo_pk), event)

    await db.write(write)


def created(name: str = "anna/bert") -> RepoCreated:
    return RepoCreated("model", name, False)


def pushed(name: str = "anna/bert") -> RefsMoved:
    return RefsMoved("model", name, False, [("refs/heads/main", "a" * 40, "b" * 40)])


async def until(met: Callable[[], Any], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not met():
            await asyncio.sleep(0.01)


async def until_delivered(db: Database, seconds: float = 60.0) -> list[Delivery]:
    """Wait until every event is dispatched and no delivery waits; return the log, oldest first."""
    async with asyncio.timeout(seconds):
        while True:
            log = await list_deliveries(db, limit=10_000)
            if log and not await count_pending(db) and all(row.state != "waiting" for row in log):
                return log[::-1]
            await asyncio.sleep(0.02)


async def test_an_event_reaches_the_receiver_with_the_headers_of_the_table(
    db: Database, receiver: Receiver
) -> None:
    await add_webhook(db, receiver.url + "?from=hub", secret="open sesame")
    async with delivering(db):
        await record(db, created())
        (entry,) = await until_delivered(db)
    (post,) = receiver.received
    assert post.path == "/hook?from=hub"
    assert post.text == '{"add": "anna/bert"}'
    assert post.headers["Content-Type"] == "application/json"
    assert post.headers["X-Webhook-Secret"] == "open sesame"
    assert post.headers["User-Agent"].startswith("hubstead/0")
    assert post.headers["Host"] == receiver.url.split("/")[2]
    assert (entry.state, entry.status, entry.attempts, entry.error) == ("delivered", 200, 1, None)
    assert entry.done_ms
    assert entry.done_ms >= entry.created_ms
    assert sorted(job.type for job in await list_jobs(db)) == ["outbox.prune", "webhooks.prune"], (
        "nothing is left to do"
    )


async def test_without_a_secret_no_secret_is_sent(db: Database, receiver: Receiver) -> None:
    await add_webhook(db, receiver.url)
    async with delivering(db):
        await record(db, created())
        await until_delivered(db)
    assert "X-Webhook-Secret" not in receiver.received[0].headers


async def test_deliveries_of_a_repository_arrive_in_order_despite_failures(
    db: Database, receiver: Receiver
) -> None:
    answers = iter([500, 503, 404, 200, 302, 200] + [200] * 50)
    receiver.answer = lambda _received: next(answers)
    receiver.headers = {"Location": receiver.url + "/elsewhere"}
    await add_webhook(db, receiver.url)
    async with delivering(db):
        await record(db, created())
        await record(db, pushed())
        await record(db, RepoRenamed("model", "anna/bart", False, old_name="anna/bert"))
        await record(db, RepoDeleted("model", "anna/bart", False))
        log = await until_delivered(db)
    assert receiver.bodies == [
        *[{"add": "anna/bert"}] * 4,
        *[{"update": "anna/bert"}] * 2,
        {"remove": "anna/bert"},
        {"add": "anna/bart"},
        {"remove": "anna/bart"},
    ]
    assert {post.path for post in receiver.received} == {"/hook"}, "redirects are not followed"
    assert [entry.attempts for entry in log] == [4, 2, 1, 1, 1]
    assert {entry.state for entry in log} == {"delivered"}


async def test_a_failed_delivery_has_its_reason_in_the_log(
    db: Database, receiver: Receiver
) -> None:
    receiver.answer = lambda _received: 418
    await add_webhook(db, receiver.url)
    async with delivering(db, RetryPolicy(pause_s=60)):
        await record(db, created())
        await until(lambda: receiver.received)
        await asyncio.sleep(0.1)
    (entry,) = await list_deliveries(db)
    assert (entry.state, entry.status, entry.attempts) == ("waiting", 418, 1)
    assert entry.error == "the receiver answered 418"
    assert entry.due_ms > now_ms() + 30_000


async def test_after_its_last_attempt_a_delivery_is_dropped_and_the_queue_continues(
    db: Database, receiver: Receiver
) -> None:
    receiver.answer = lambda post: 500 if "add" in post.body else 200
    await add_webhook(db, receiver.url)
    async with delivering(db, RetryPolicy(max_attempts=3, pause_s=0.02)):
        await record(db, created())
        await record(db, pushed())
        given_up, delivered = await until_delivered(db)
    assert (given_up.state, given_up.attempts, given_up.status) == ("given_up", 3, 500)
    assert given_up.done_ms
    assert delivered.state == "delivered"
    assert receiver.bodies == [{"add": "anna/bert"}] * 3 + [{"update": "anna/bert"}]


async def test_a_failing_delivery_blocks_its_queue_no_longer_than_allowed(
    db: Database, receiver: Receiver
) -> None:
    receiver.answer = lambda post: 500 if "add" in post.body else 200
    await add_webhook(db, receiver.url)
    async with delivering(db, RetryPolicy(max_attempts=1000, hold_s=2.0, pause_s=0.1)):
        await record(db, created())
        await record(db, pushed())
        given_up, delivered = await until_delivered(db)
    assert (given_up.state, delivered.state) == ("given_up", "delivered")
    assert 2 <= given_up.attempts < 1000  # it was retried until the time was over
    assert receiver.bodies[-1] == {"update": "anna/bert"}
    assert {"update": "anna/bert"} not in receiver.bodies[:-1]


async def test_without_a_time_limit_a_delivery_is_dropped_at_the_first_failure(
    db: Database, receiver: Receiver
) -> None:
    receiver.answer = lambda _received: 500
    await add_webhook(db, receiver.url)
    async with delivering(db, RetryPolicy(hold_s=0)):
        await record(db, created())
        (entry,) = await until_delivered(db)
    assert (entry.state, entry.attempts) == ("given_up", 1)


async def test_a_refused_connection_is_a_failure_like_any_other(db: Database) -> None:
    with receiving() as closed:
        url = closed.url
    await add_webhook(db, url)
    async with delivering(db, RetryPolicy(max_attempts=2, pause_s=0.02)):
        await record(db, created())
        (entry,) = await until_delivered(db)
    assert (entry.state, entry.status, entry.attempts) == ("given_up", None, 2)
    assert entry.error
    assert entry.error.startswith("ConnectError")


async def test_a_receiver_that_hangs_times_out(db: Database, receiver: Receiver) -> None:
    release = threading.Event()
    receiver.answer = lambda _post: 200 + release.wait(100)
    await add_webhook(db, receiver.url)
    async with delivering(db, RetryPolicy(max_attempts=1), timeout_s=0.6):
        await record(db, created())
        (entry,) = await until_delivered(db)
    release.set()
    assert (entry.state, entry.error) == ("given_up", "no answer within 0.6 seconds")


async def test_a_receiver_that_hangs_does_not_block_the_others(
    db: Database, receiver: Receiver
) -> None:
    release = threading.Event()
    receiver.answer = lambda _post: 200 + release.wait(100)
    with receiving() as healthy:
        await add_webhook(db, receiver.url)
        await add_webhook(db, healthy.url)
        async with delivering(db, RetryPolicy(max_attempts=1), timeout_s=100):
            await record(db, created())
            await until(lambda: len(healthy.received) == 1)
            release.set()
            log = await until_delivered(db)
    assert [(entry.state, entry.status) for entry in log] == [
        ("delivered", 201),
        ("delivered", 200),
    ]


async def test_a_repository_that_fails_does_not_block_the_others(
    db: Database, receiver: Receiver
) -> None:
    release = threading.Event()

    def answer(post: Received) -> int:
        if post.body.get("add") == "anna/slow":
            release.wait(100)
        return 500 if post.body.get("add") == "anna/bad" else 200

    receiver.answer = answer
    await add_webhook(db, receiver.url)
    async with delivering(db, RetryPolicy(max_attempts=1000, pause_s=0.2), timeout_s=100):
        await record(db, created("anna/slow"), 1)
        await record(db, created("anna/bad"), 2)
        for n in range(3, 30):
            await record(db, created(f"anna/m{n}"), n)
        wanted = {f"anna/m{n}" for n in range(3, 30)}
        await until(lambda: wanted <= {body["add"] for body in receiver.bodies})
        release.set()
        await until(lambda: receiver.bodies.count({"add": "anna/bad"}) >= 2)
    states = {entry.body: entry.state for entry in await list_deliveries(db)}
    assert states['{"add": "anna/bad"}'] == "waiting"
    assert list(states.values()).count("delivered") == 28


async def test_a_deletion_and_a_new_creation_are_delivered_in_that_order(
    db: Database, receiver: Receiver
) -> None:
    receiver.fail_first(2)
    await add_webhook(db, receiver.url)
    async with delivering(db):
        await record(db, RepoDeleted("model", "anna/bert", False), 1)
        await record(db, created("Anna/BERT"), 2)
        await until_delivered(db)
    assert receiver.bodies == [{"remove": "anna/bert"}] * 3 + [{"add": "Anna/BERT"}]


async def test_actions_on_a_repository_are_delivered_to_webhooks_that_may_know(
    db: Database, receiver: Receiver
) -> None:
    anna = await a_user(db, "anna")
    await a_repo(db, anna, "anna/bert")
    old, new = RepoId(Kind.MODEL, "anna", "bert"), RepoId(Kind.MODEL, "anna", "bart")
    await add_webhook(db, receiver.url + "/anyone")
    await add_webhook(db, receiver.url + "/trusted", private=True)
    async with delivering(db):
        await change_settings(db, anna, old, SettingsChange(gated="auto"))
        await change_settings(db, anna, old, SettingsChange(private=True))
        await move_repo(db, anna, old, new)
        await change_settings(db, anna, new, SettingsChange(gated=""))
        await change_settings(db, anna, new, SettingsChange(private=False))
        await until_delivered(db)

    def bodies_at(path: str) -> list[dict[str, str]]:
        return [post.body for post in receiver.received if post.path == path]

    assert bodies_at("/hook/anyone") == [
        {"update": "anna/bert"},
        {"remove": "anna/bert"},
        {"add": "anna/bart"},
    ]
    assert bodies_at("/hook/trusted") == [
        {"update": "anna/bert"},
        {"update": "anna/bert"},
        {"remove": "anna/bert"},
        {"add": "anna/bart"},
        {"update": "anna/bart"},
        {"update": "anna/bart"},
    ]


async def test_a_removed_webhook_receives_nothing_more(db: Database, receiver: Receiver) -> None:
    receiver.answer = lambda _received: 500
    hook = await add_webhook(db, receiver.url)
    async with delivering(db, RetryPolicy(pause_s=0.3, max_attempts=1000)):
        await record(db, created())
        await until(lambda: receiver.received)
        await remove_webhook(db, hook.id)
        await asyncio.sleep(0.1)
        count = len(receiver.received)
        await record(db, pushed())
        await asyncio.sleep(0.7)
        assert sorted(job.type for job in await list_jobs(db)) == ["outbox.prune", "webhooks.prune"]
    assert len(receiver.received) == count
    assert await list_deliveries(db) == []


@pytest.mark.shape_matters
async def test_two_nodes_deliver_in_order_and_nothing_twice(
    database_url: str, receiver: Receiver
) -> None:
    first, second = await open_db(database_url), await open_db(database_url)
    await add_webhook(first, receiver.url)

    def answer(_: Received) -> int:
        time.sleep(0.002)
        return 200

    receiver.answer = answer
    async with delivering(first, node="a"), delivering(second, node="b"):
        for n in range(30):
            db = (first, second)[n % 2]
            for repo_pk in (1, 2, 3):
                await record(db, created(f"anna/r{repo_pk}-{n:02}"), repo_pk)
        await until_delivered(first)
    names = [body["add"] for body in receiver.bodies]
    assert len(names) == 90
    for repo_pk in (1, 2, 3):
        of_repo = [name for name in names if name.startswith(f"anna/r{repo_pk}-")]
        assert of_repo == [f"anna/r{repo_pk}-{n:02}" for n in range(30)]
    await first.close()
    await second.close()


_HUB = """
import asyncio, sys
from hubstead.db import open_db
from hubstead.jobs import Runner
from hubstead.outbox import outbox_jobs
from hubstead.webhooks import *

async def main():
    db = await open_db(sys.argv[1])
    deliveries = Deliveries(db, Sender(), RetryPolicy())
    types = outbox_jobs(db, [LISTENER]) + webhook_jobs(db, deliveries)
    runner = Runner(db, types, node="doomed", poll_s=0.02, lease_s=0.5)
    await runner.run()

asyncio.run(main())
"""


async def test_a_delivery_of_a_node_that_died_before_its_record_is_sent_again(
    db: Database, database_url: str, receiver: Receiver
) -> None:
    arrived, dead = threading.Event(), threading.Event()

    def answer(_received: Received) -> int:
        arrived.set()
        dead.wait(60)
        return 200

    receiver.answer = answer
    await add_webhook(db, receiver.url)
    await record(db, created())
    await record(db, pushed())
    with subprocess.Popen([sys.executable, "-c", _HUB, database_url]) as doomed:
        await asyncio.to_thread(arrived.wait, 60)
        doomed.send_signal(signal.SIGKILL)
    dead.set()
    assert receiver.bodies == [{"add": "anna/bert"}]

    async with delivering(db, node="heir"):
        log = await until_delivered(db)
    assert receiver.bodies == [{"add": "anna/bert"}] * 2 + [{"update": "anna/bert"}]
    assert {entry.state for entry in log} == {"delivered"}


async def test_a_stop_during_deliveries_loses_nothing(db: Database, receiver: Receiver) -> None:
    await add_webhook(db, receiver.url)
    for n in range(20):
        await record(db, created(f"anna/m{n:02}"), n % 3)
    lives = itertools.count(1)
    while len({json.dumps(body) for body in receiver.bodies}) < 20:
        async with delivering(db, grace_s=0.0):
            await asyncio.sleep(0.03 * next(lives))  # finally long enough for any machine
    async with delivering(db):
        await until_delivered(db)
    firsts = list(dict.fromkeys(body["add"] for body in receiver.bodies))
    for line in range(3):
        of_queue = [name for name in firsts if int(name[-2:]) % 3 == line]
        assert of_queue == sorted(of_queue)


async def test_old_deliveries_and_events_are_deleted(db: Database, receiver: Receiver) -> None:
    await add_webhook(db, receiver.url)
    async with delivering(db):
        await record(db, created("anna/old"), 1)
        await until_delivered(db)
        await record(db, created("anna/new"), 2)
        await until_delivered(db)
    age = 31 * 86_400_000

    async def grow_old(tx: Tx) -> None:
        old = update(deliveries).where(deliveries.c.repo_pk == 1)
        await tx.run(indexed(old.values(done_ms=deliveries.c.done_ms - age)))

    await db.write(grow_old)
    await run_job(webhook_jobs(db, Deliveries(db, Sender())), "webhooks.prune")
    assert [entry.body for entry in await list_deliveries(db)] == ['{"add": "anna/new"}']


def test_only_one_module_calls_other_servers() -> None:
    source = Path(__file__).parents[2] / "src" / "hubstead"
    callers = [
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if "import httpx2" in path.read_text() and "client" not in path.parts
    ]
    assert callers == ["webhooks/sender.py"]
