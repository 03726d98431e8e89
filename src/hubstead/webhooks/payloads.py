"""The payloads of webhooks: ``{"add": name}``, ``{"update": …}`` or ``{"remove": …}``.

The format is the table of 2021: one key per body. Models are named ``owner/name`` as there; the
other kinds, which that table lacks, are named as in web addresses (``datasets/owner/name``),
since a dataset may have the name of a model.

Pushed tags cause no payload: the table means the model as its address shows it, which is a
branch, and a mirror that fetches on every update would fetch in vain.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec

from hubstead.commits import RefKind, RefName
from hubstead.db import DatabaseNow, Tx, indexed, insert_into
from hubstead.ids import Kind, RepoId
from hubstead.jobs import enqueue
from hubstead.outbox import Listener, RecordedEvent
from hubstead.repos import (
    RefsMoved,
    RepoCreated,
    RepoDeleted,
    RepoEvent,
    RepoRenamed,
    SettingsChanged,
)
from hubstead.webhooks.subscriptions import Webhook, list_webhooks
from hubstead.webhooks.tables import deliveries

DELIVER = "webhooks.deliver"

_EVENTS: dict[str, type[RepoEvent]] = {
    cls.__name__: cls for cls in (RefsMoved, RepoCreated, RepoDeleted, RepoRenamed, SettingsChanged)
}
# A listener receives an event once; a second time would add no deliveries.
_ADD = indexed(
    insert_into(deliveries, "webhook_pk", "event_pk", "seq", "repo_pk", "name_key", "body", "state")
    .values(due_ms=DatabaseNow(), created_ms=DatabaseNow())
    .on_conflict_do_nothing()
)


def payloads_for(event: RepoEvent, webhook: Webhook) -> Iterator[tuple[str, str]]:
    """Yield the payloads of the event for the webhook, as (``add|update|remove``, owner/name)."""
    if webhook.disabled or event.kind not in webhook.kinds:
        return
    sees = webhook.may_see(private=event.private)
    if isinstance(event, SettingsChanged):
        yield from _settings_payloads(
            event, saw=webhook.may_see(private=event.was_private), sees=sees
        )
    elif not sees:
        return
    elif isinstance(event, RepoCreated):
        yield "add", event.name
    elif isinstance(event, RepoDeleted):
        yield "remove", event.name
    elif isinstance(event, RepoRenamed):
        yield "remove", event.old_name
        yield "add", event.name
    elif isinstance(event, RefsMoved) and any(_is_branch(move[0]) for move in event.moves):
        yield "update", event.name


def _settings_payloads(
    event: SettingsChanged, *, saw: bool, sees: bool
) -> Iterator[tuple[str, str]]:
    if saw and sees:
        yield "update", event.name
    elif saw:
        yield "remove", event.name
    elif sees:
        yield "add", event.name


def _is_branch(ref: str) -> bool:
    return RefName.parse(ref).kind is RefKind.BRANCH


async def enqueue_deliveries(tx: Tx, recorded: RecordedEvent) -> None:
    """Add the deliveries of an event to the queues of all webhooks (a listener of the outbox)."""
    event_type = _EVENTS.get(recorded.type)
    if event_type is None:
        return
    event = msgspec.json.decode(recorded.payload, type=event_type)
    for webhook in await list_webhooks(tx):
        payloads = list(payloads_for(event, webhook))
        for seq, (verb, name) in enumerate(payloads):
            repo_id = RepoId.parse(Kind(event.kind), name)
            await _add(tx, webhook, recorded, seq=seq, verb=verb, repo_id=repo_id)
        if payloads:
            await enqueue(tx, DELIVER, webhook.id)


async def _add(
    tx: Tx, webhook: Webhook, recorded: RecordedEvent, *, seq: int, verb: str, repo_id: RepoId
) -> None:
    await tx.run(
        _ADD,
        webhook_pk=webhook.pk,
        event_pk=recorded.pk,
        seq=seq,
        repo_pk=recorded.subject.pk if recorded.subject else None,
        name_key=repo_id.web_path.casefold(),
        body=json.dumps({verb: repo_id.web_path}),
        state="waiting",
    )


#: The subscription of this room to events of repositories.
LISTENER = Listener(enqueue_deliveries, tuple(_EVENTS.values()))
