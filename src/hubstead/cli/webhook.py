"""``hubstead webhook``: who is told of what happens to repositories."""

from __future__ import annotations

import json

import click

from hubstead import webhooks
from hubstead.cli.context import Context, secret_option, with_context
from hubstead.cli.output import Facts, iso_time, print_result, print_rows
from hubstead.db import Database
from hubstead.ids import Kind

_KINDS = [kind.value for kind in Kind]


@click.group("webhook")
def command() -> None:
    """Subscribe addresses to what happens, and see what they were told."""


@command.command("add")
@click.argument("url")
@secret_option("--secret", text="Sent along as X-Webhook-Secret.")
@click.option("--private", is_flag=True, help="Also tell of private repositories.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(_KINDS),
    help="A kind of repository to tell of; may be repeated. Unless given: webhook_kinds.",
)
@with_context
def add(
    place: Context, url: str, secret: str | None, private: bool, kinds: tuple[str, ...]
) -> None:
    """Tell URL of changes to repositories.

    Of each that is added, updated or removed from now on.
    """
    wanted = [Kind(kind) for kind in kinds or place.settings().webhooks.kinds]

    async def subscribe(db: Database) -> webhooks.Webhook:
        return await webhooks.add_webhook(db, url, secret=secret, private=private, kinds=wanted)

    added = place.query(subscribe, make=True)
    print_result(place, f"Added the webhook {added.id}.", _facts(added))


@command.command("list")
@with_context
def list_(place: Context) -> None:
    """List all webhooks; never their secrets."""

    async def read(db: Database) -> list[webhooks.Webhook]:
        return await webhooks.list_webhooks(db)

    print_rows(place, [_facts(each) for each in place.query(read)])


def _facts(each: webhooks.Webhook) -> Facts:
    return {
        "id": each.id,
        "url": each.url,
        "secret": each.has_secret,
        "private": each.private,
        "kinds": [kind.value for kind in each.kinds],
        "disabled": each.disabled,
        "created": iso_time(each.created_ms),
    }


@command.command("remove")
@click.argument("webhook_id", metavar="ID")
@with_context
def remove(place: Context, webhook_id: str) -> None:
    """End a subscription.

    What still waits for it is not delivered.
    """

    async def end(db: Database) -> None:
        await webhooks.remove_webhook(db, webhook_id)

    place.query(end)
    print_result(place, f"Removed the webhook {webhook_id}.", {"id": webhook_id, "removed": True})


@command.command("log")
@click.argument("webhook_id", metavar="[ID]", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@with_context
def log(place: Context, webhook_id: str | None, limit: int) -> None:
    """List the newest deliveries.

    Those to the webhook ID, or to all, newest first.
    """

    async def read(db: Database) -> list[webhooks.Delivery]:
        return await webhooks.list_deliveries(db, webhook_id, limit)

    columns = ("created", "webhook", "told", "state", "attempts", "status", "error")
    print_rows(place, [_delivery(each) for each in place.query(read)], columns)


def _delivery(each: webhooks.Delivery) -> Facts:
    return {
        "webhook": each.webhook_id,
        "told": json.loads(each.body),
        "state": each.state,
        "attempts": each.attempts,
        "status": each.status,
        "error": each.error,
        "due": iso_time(each.due_ms),
        "created": iso_time(each.created_ms),
        "done": iso_time(each.done_ms),
    }
