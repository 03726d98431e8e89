"""Payloads: the events for each webhook, and their bodies."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hubstead.db import Database, Tx
from hubstead.errors import InvalidInput, NotFound
from hubstead.ids import Kind
from hubstead.outbox import Event, dispatch, record_event
from hubstead.repos import RefsMoved, RepoCreated, RepoDeleted, RepoEvent, RepoRenamed, repo_subject
from hubstead.repos import SettingsChanged as Settings
from hubstead.webhooks import (
    LISTENER,
    Webhook,
    add_webhook,
    list_deliveries,
    list_webhooks,
    remove_webhook,
)
from hubstead.webhooks.payloads import payloads_for

NEW, OLD = "a" * 40, "b" * 40
OPEN = Webhook(1, "0" * 24, "http://x", False, False, (Kind.MODEL,), False, 0)
TRUSTED = msgspec.structs.replace(OPEN, private=True)

PUBLIC: dict[str, Any] = {"kind": "model", "name": "anna/bert", "private": False}
PRIVATE: dict[str, Any] = PUBLIC | {"private": True}


def moved(*refs: str, private: bool = False) -> RefsMoved:
    return RefsMoved("model", "anna/bert", private, [(ref, OLD, NEW) for ref in refs])


def changed(*, before: bool, after: bool) -> Settings:
    return Settings("model", "anna/bert", after, was_private=before, changed=["private"])


BERT_ADDED, BERT_UPDATED, BERT_REMOVED = (
    [(verb, "anna/bert")] for verb in ("add", "update", "remove")
)


@pytest.mark.parametrize(
    ("event", "to_anyone", "to_the_trusted"),
    [
        (RepoCreated(**PUBLIC), BERT_ADDED, BERT_ADDED),
        (RepoCreated(**PRIVATE), [], BERT_ADDED),
        (RepoDeleted(**PUBLIC), BERT_REMOVED, BERT_REMOVED),
        (RepoDeleted(**PRIVATE), [], BERT_REMOVED),
        (moved("refs/heads/main"), BERT_UPDATED, BERT_UPDATED),
        (moved("refs/heads/main", "refs/heads/x"), BERT_UPDATED, BERT_UPDATED),
        (moved("refs/heads/main", private=True), [], BERT_UPDATED),
        (moved("refs/tags/v1"), [], []),
        (moved("refs/tags/v1", "refs/heads/dev"), BERT_UPDATED, BERT_UPDATED),
        (moved("refs/pr/1"), [], []),
        (moved("refs/convert/parquet"), [], []),
        (changed(before=False, after=False), BERT_UPDATED, BERT_UPDATED),
        (changed(before=False, after=True), BERT_REMOVED, BERT_UPDATED),
        (changed(before=True, after=False), BERT_ADDED, BERT_UPDATED),
        (changed(before=True, after=True), [], BERT_UPDATED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Event) else None,
)
def test_every_event_has_its_payloads(
    event: RepoEvent, to_anyone: list[tuple[str, str]], to_the_trusted: list[tuple[str, str]]
) -> None:
    assert list(payloads_for(event, OPEN)) == to_anyone
    assert list(payloads_for(event, TRUSTED)) == to_the_trusted


@pytest.mark.parametrize("private", [False, True])
def test_a_rename_removes_the_old_name_and_then_adds_the_new_one(private: bool) -> None:
    event = RepoRenamed("model", "acme/bert", private, old_name="anna/bert")
    both = [("remove", "anna/bert"), ("add", "acme/bert")]
    assert list(payloads_for(event, TRUSTED)) == both
    assert list(payloads_for(event, OPEN)) == ([] if private else both)


def test_a_created_or_deleted_branch_is_an_update() -> None:
    for move in (("refs/heads/dev", None, NEW), ("refs/heads/dev", OLD, None)):
        assert list(payloads_for(RefsMoved(**PUBLIC, moves=[move]), OPEN)) == BERT_UPDATED


@pytest.mark.parametrize("kind", ["dataset", "space", "kernel"])
def test_other_kinds_are_only_for_webhooks_that_list_them(kind: str) -> None:
    event = RepoCreated(kind, "anna/squad", False)
    assert list(payloads_for(event, OPEN)) == []
    subscribed = msgspec.structs.replace(OPEN, kinds=(Kind(kind),))
    assert list(payloads_for(event, subscribed)) == [("add", "anna/squad")]
    assert list(payloads_for(RepoCreated(**PUBLIC), subscribed)) == []


def test_a_disabled_webhook_receives_nothing() -> None:
    assert (
        list(payloads_for(RepoCreated(**PUBLIC), msgspec.structs.replace(OPEN, disabled=True)))
        == []
    )


async def record(db: Database, *events: RepoEvent, repo_pk: int = 1) -> None:
    async def write(tx: Tx) -> None:
        for event in events:
            await record_event(tx, repo_subject(repo_pk), event)

    await db.write(write)


async def test_a_body_has_one_key_and_the_name(db: Database) -> None:
    hook = await add_webhook(db, "http://127.0.0.1:9/x", kinds=[Kind.MODEL, Kind.DATASET])
    await record(
        db,
        RepoCreated(**PUBLIC),
        RepoRenamed("model", "acme/bert", False, old_name="anna/bert"),
        RepoCreated("dataset", "anna/squad", False),
    )
    assert await dispatch(db, [LISTENER]) == 3
    log = await list_deliveries(db, hook.id)
    assert [entry.body for entry in reversed(log)] == [
        '{"add": "anna/bert"}',
        '{"remove": "anna/bert"}',
        '{"add": "acme/bert"}',
        '{"add": "datasets/anna/squad"}',
    ]
    assert {entry.state for entry in log} == {"waiting"}


async def test_an_event_of_an_unknown_type_is_ignored(db: Database) -> None:
    class Liked(Event, frozen=True):
        by: str

    await add_webhook(db, "http://127.0.0.1:9/x")

    async def write(tx: Tx) -> None:
        await record_event(tx, repo_subject(1), Liked("anna"))

    await db.write(write)
    assert await dispatch(db, [LISTENER]) == 1
    assert await list_deliveries(db) == []


async def test_a_webhook_receives_nothing_from_before_its_creation(db: Database) -> None:
    await record(db, RepoCreated(**PUBLIC))
    await dispatch(db, [LISTENER])
    await add_webhook(db, "http://127.0.0.1:9/x")
    await dispatch(db, [LISTENER])
    assert await list_deliveries(db) == []


async def test_webhooks_are_added_listed_and_removed(db: Database) -> None:
    first = await add_webhook(db, "https://example.com/hook", secret="s3cret", private=True)
    second = await add_webhook(db, "http://[::1]:8080/?a=b", kinds=[Kind.SPACE, Kind.MODEL])
    assert await list_webhooks(db) == [first, second]
    assert (first.has_secret, first.private, first.kinds) == (True, True, (Kind.MODEL,))
    assert (second.has_secret, second.private) == (False, False)
    assert set(second.kinds) == {Kind.MODEL, Kind.SPACE}
    assert "s3cret" not in repr(await list_webhooks(db))

    await record(db, RepoCreated(**PUBLIC))
    await dispatch(db, [LISTENER])
    await remove_webhook(db, first.id)
    assert await list_webhooks(db) == [second]
    assert {entry.webhook_id for entry in await list_deliveries(db)} == {second.id}
    with pytest.raises(NotFound):
        await remove_webhook(db, first.id)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.com",
        "file:///etc/passwd",
        "example.com/hook",
        "http://",
        "http:///x",
        "http://user:pw@example.com",
        "http://example.com:99999",
        "http://example.com/ x",
        "http://example.com/\nX: y",
        "http://example.com/#part",
        "http://[::1/",
        "http://example.com/" + "x" * 2000,
        "javascript:alert(1)",
    ],
)
async def test_an_address_that_cannot_be_called_is_refused(db: Database, url: str) -> None:
    with pytest.raises(InvalidInput):
        await add_webhook(db, url)
    assert await list_webhooks(db) == []


@pytest.mark.parametrize("secret", ["", "two\nlines", "\N{SNOWMAN}"])
async def test_a_secret_must_fit_into_a_header(db: Database, secret: str) -> None:
    with pytest.raises(InvalidInput, match="secret"):
        await add_webhook(db, "http://127.0.0.1/", secret=secret)
