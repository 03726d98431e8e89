"""Adds, lists and removes webhooks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import bindparam, delete, select

from hubstead.db import Database, Reader, Tx, indexed, insert_into
from hubstead.errors import InvalidInput, NotFound
from hubstead.ids import Kind, new_object_id, now_ms
from hubstead.webhooks.tables import webhooks

MAX_URL_CHARS = 2000


class Webhook(msgspec.Struct, frozen=True):
    """A subscription, without its secret."""

    pk: int
    id: str
    url: str
    has_secret: bool
    private: bool  # receives events of private repositories, too
    kinds: tuple[Kind, ...]
    disabled: bool
    created_ms: int

    def may_see(self, *, private: bool) -> bool:
        """Tell whether the webhook receives events of a private (or public) repository."""
        return self.private or not private


class _WebhookRow(NamedTuple):
    pk: int
    id: str
    url: str
    secret: str | None
    private: int
    kinds: str
    disabled: int
    created_ms: int


_LIST = indexed(select(webhooks).order_by(webhooks.c.pk), _WebhookRow)
_ADD = indexed(insert_into(webhooks, "id", "url", "secret", "private", "kinds", "created_ms"))
_REMOVE = indexed(delete(webhooks).where(webhooks.c.id == bindparam("webhook_id")))


async def add_webhook(
    db: Database,
    url: str,
    *,
    secret: str | None = None,
    private: bool = False,
    kinds: Collection[Kind] = (Kind.MODEL,),
) -> Webhook:
    """Subscribe ``url`` to events from now on.

    Args:
        db: The database.
        url: The receiver; http or https.
        secret: Sent along as ``X-Webhook-Secret``; printable ASCII.
        private: Whether it receives events of private repositories.
        kinds: The kinds of repository (setting ``webhook_kinds``).

    Raises:
        InvalidInput: the URL or secret is unusable, or there are no kinds.
    """
    _check_url(url)
    if secret is not None and not (secret and secret.isascii() and secret.isprintable()):
        raise InvalidInput(reason="a webhook's secret is made of printable ASCII characters")
    if not kinds:
        raise InvalidInput(reason="a webhook needs at least one kind of repository")
    row = {
        "id": new_object_id(),
        "url": url,
        "secret": secret,
        "private": int(private),
        "kinds": msgspec.json.encode(sorted(set(kinds))).decode(),
        "created_ms": now_ms(),
    }
    return await db.write(_add, row)


async def _add(tx: Tx, row: Mapping[str, object]) -> Webhook:
    await tx.run(_ADD, **row)
    (added,) = [webhook for webhook in await list_webhooks(tx) if webhook.id == row["id"]]
    return added


def _check_url(url: str) -> None:
    fault = None
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for an invalid port
    except ValueError:
        parts, fault = urlsplit(""), "not an address"
    if parts.scheme not in ("http", "https"):
        fault = fault or "it must begin with http:// or https://"
    elif not parts.hostname:
        fault = "it names no host"
    elif parts.username is not None or parts.fragment:
        fault = "it must not hold a user name, a password or a fragment"
    elif not (url.isascii() and url.isprintable()) or " " in url or len(url) > MAX_URL_CHARS:
        fault = f"use at most {MAX_URL_CHARS} ASCII characters without blanks"
    if fault:
        raise InvalidInput(reason=f"{url[:200]!r} cannot be the URL of a webhook: {fault}")


async def list_webhooks(db: Reader) -> list[Webhook]:
    """Return all subscriptions, oldest first."""
    return [_webhook(row) for row in await db.all(_LIST)]


def _webhook(row: _WebhookRow) -> Webhook:
    return Webhook(
        pk=row.pk,
        id=row.id,
        url=row.url,
        has_secret=row.secret is not None,
        private=bool(row.private),
        kinds=msgspec.json.decode(row.kinds, type=tuple[Kind, ...]),
        disabled=bool(row.disabled),
        created_ms=row.created_ms,
    )


async def remove_webhook(db: Database, webhook_id: str) -> None:
    """Delete a subscription and its deliveries, waiting and past.

    Raises:
        NotFound: no webhook has this id.
    """
    if not await db.execute(_REMOVE, webhook_id=webhook_id):
        raise NotFound(reason=f"there is no webhook {webhook_id}")
