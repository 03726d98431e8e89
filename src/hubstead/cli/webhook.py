"""``hubstead webhook``: webhooks and their deliveries."""

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
    """Add, list and remove webhooks, and show their deliveries."""


@command.command("add")
@click.argument("url")
@secret_option("--secret", text="The secret to send as X-Webhook-Secret.")
@click.option("--private", is_flag=True, help="Also deliver events of private repositories.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(_KINDS),
    help="A kind of repository to deliver events of; repeatable. Default: webhook_kinds.",
)
@with_context
def add(
    context: Context, url: str, secret: str | None, private: bool, kinds: tuple[str, ...]
) -> None:
    """Deliver to URL an event for every repository created, updated or deleted from now on."""
    subscribed = [Kind(kind) for kind in kinds or context.settings().webhooks.kinds]

    async def subscribe(db: Database) -> webhooks.Webhook:
        return await webhooks.add_webhook(db, url, secret=secret, private=private, kinds=subscribed)

    webhook = context.query(subscribe, make=True)
    print_result(context, f"Added the webhook {webhook.id}.", _facts(webhook))


@command.command("list")
@with_context
def list_(context: Context) -> None:
    """List all webhooks, without their secrets."""

    print_rows(context, [_facts(webhook) for webhook in context.query(webhooks.list_webhooks)])


def _facts(webhook: webhooks.Webhook) -> Facts:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "secret": webhook.has_secret,
        "private": webhook.private,
        "kinds": [kind.value for kind in webhook.kinds],
        "disabled": webhook.disabled,
        "created": iso_time(webhook.created_ms),
    }


@command.command("remove")
@click.argument("webhook_id", metavar="ID")
@with_context
def remove(context: Context, webhook_id: str) -> None:
    """Remove the webhook ID and its waiting deliveries."""

    async def unsubscribe(db: Database) -> None:
        await webhooks.remove_webhook(db, webhook_id)

    context.query(unsubscribe)
    print_result(context, f"Removed the webhook {webhook_id}.", {"id": webhook_id, "removed": True})


@command.command("log")
@click.argument("webhook_id", metavar="[ID]", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@with_context
def log(context: Context, webhook_id: str | None, limit: int) -> None:
    """List deliveries to the webhook ID, or to all webhooks, newest first."""

    async def read(db: Database) -> list[webhooks.Delivery]:
        return await webhooks.list_deliveries(db, webhook_id, limit)

    columns = ("created", "webhook", "told", "state", "attempts", "status", "error")
    print_rows(context, [_delivery(delivery) for delivery in context.query(read)], columns)


def _delivery(delivery: webhooks.Delivery) -> Facts:
    return {
        "webhook": delivery.webhook_id,
        "told": json.loads(delivery.body),
        "state": delivery.state,
        "attempts": delivery.attempts,
        "status": delivery.status,
        "error": delivery.error,
        "due": iso_time(delivery.due_ms),
        "created": iso_time(delivery.created_ms),
        "done": iso_time(delivery.done_ms),
    }
