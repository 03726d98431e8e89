"""The queues of deliveries: the next delivery, and its result.

A queue has the deliveries of one webhook for one repository. Its first waiting delivery is its
head; the deliveries behind it wait until the head is delivered or given up. A head also waits for
earlier deliveries with the same name in another queue: the deletion of a repository and the
creation of another one with its name must arrive in this order.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import msgspec
from sqlalchemy import Subquery, bindparam, delete, func, select, update

from hubstead.db import Database, DatabaseNow, Reader, Statement, database_now_ms, indexed, scan
from hubstead.webhooks.sender import PostResult
from hubstead.webhooks.tables import deliveries, webhooks

#: The longest pause between two attempts, in seconds.
LONGEST_PAUSE_S = 300.0
#: The limit of old deliveries that one transaction deletes.
BATCH = 1000

_earlier = deliveries.alias("earlier")
_IS_WAITING = (deliveries.c.webhook_pk == bindparam("hook_pk")) & (deliveries.c.state == "waiting")
_IS_EARLIER = (
    (_earlier.c.webhook_pk == bindparam("hook_pk"))
    & (_earlier.c.state == "waiting")
    & (_earlier.c.pk < deliveries.c.pk)
)
_BEHIND_IN_QUEUE = (
    select(_earlier.c.pk).where(_IS_EARLIER, _earlier.c.repo_pk == deliveries.c.repo_pk).exists()
)
_BEHIND_BY_NAME = (
    select(_earlier.c.pk).where(_IS_EARLIER, _earlier.c.name_key == deliveries.c.name_key).exists()
)
_IS_NEXT = _IS_WAITING & ~_BEHIND_IN_QUEUE & ~_BEHIND_BY_NAME
_DUE_QUEUES = scan(
    select(deliveries.c.repo_pk)
    .where(_IS_NEXT, deliveries.c.due_ms <= DatabaseNow())
    .order_by(deliveries.c.due_ms, deliveries.c.pk)
    .limit(bindparam("most")),
    int,
)
_NEXT_DUE: Statement[int | None] = scan(
    select(func.min(deliveries.c.due_ms).label("due_ms")).where(_IS_NEXT), int
)


def _head_of_queue() -> Subquery:
    return (
        select(deliveries.c.pk)
        .where(_IS_WAITING, deliveries.c.repo_pk == bindparam("line"))
        .order_by(deliveries.c.pk)
        .limit(1)
        .subquery()
    )


_head_pk = _head_of_queue()


class Head(NamedTuple):
    """The first waiting delivery of a queue, with its receiver."""

    pk: int
    body: str
    attempts: int
    tried_ms: int | None
    webhook_id: str
    url: str
    secret: str | None


_HEAD = indexed(
    select(
        deliveries.c.pk,
        deliveries.c.body,
        deliveries.c.attempts,
        deliveries.c.tried_ms,
        webhooks.c.id.label("webhook_id"),
        webhooks.c.url,
        webhooks.c.secret,
    )
    .join_from(deliveries, webhooks, deliveries.c.webhook_pk == webhooks.c.pk)
    .where(
        deliveries.c.pk.in_(select(_head_pk.c.pk)),
        deliveries.c.due_ms <= DatabaseNow(),
        webhooks.c.disabled == 0,
        ~_BEHIND_BY_NAME,
    ),
    Head,
)
_RECORD = indexed(
    update(deliveries)
    .values(
        state=bindparam("new_state"),
        attempts=deliveries.c.attempts + 1,
        due_ms=bindparam("next_ms"),
        tried_ms=func.coalesce(deliveries.c.tried_ms, bindparam("began_ms")),
        status=bindparam("answer"),
        error=bindparam("reason"),
        done_ms=bindparam("done_at_ms"),
    )
    .where(deliveries.c.pk == bindparam("delivery_pk"), deliveries.c.state == "waiting")
)
_OLD = (
    select(deliveries.c.pk)
    .where(deliveries.c.done_ms < bindparam("before_ms"))
    .order_by(deliveries.c.done_ms)
    .limit(BATCH)
)
_DELETE_OLD = indexed(delete(deliveries).where(deliveries.c.pk.in_(_OLD)))


class Delivery(NamedTuple):
    """An entry of the delivery log; times in milliseconds since the epoch."""

    webhook_id: str
    body: str
    state: str  # waiting, delivered, given_up
    attempts: int
    status: int | None  # of the last response
    error: str | None  # of the last attempt
    due_ms: int
    created_ms: int
    done_ms: int | None


_LOG = scan(
    select(
        webhooks.c.id.label("webhook_id"),
        deliveries.c.body,
        deliveries.c.state,
        deliveries.c.attempts,
        deliveries.c.status,
        deliveries.c.error,
        deliveries.c.due_ms,
        deliveries.c.created_ms,
        deliveries.c.done_ms,
    )
    .join_from(deliveries, webhooks, deliveries.c.webhook_pk == webhooks.c.pk)
    .where((bindparam("every") == 1) | (webhooks.c.id == bindparam("wanted")))
    .order_by(deliveries.c.pk.desc())
    .limit(bindparam("most")),
    Delivery,
)


class RetryPolicy(msgspec.Struct, frozen=True):
    """The limits of the retries of a delivery.

    Retries end after ``max_attempts`` attempts or ``hold_s`` seconds after the first attempt. The
    first pause takes ``pause_s`` seconds; it doubles with every retry, up to ``LONGEST_PAUSE_S``.
    """

    max_attempts: int = 12
    hold_s: float = 900.0
    pause_s: float = 1.0


class DeliveryResult(msgspec.Struct, frozen=True):
    """The state of a delivery after an attempt."""

    state: str  # waiting, delivered, given_up
    due_ms: int


async def due_queues(db: Reader, webhook_pk: int, most: int) -> list[int]:
    """Return the repositories whose heads are due for this webhook, longest due first."""
    return await db.all(_DUE_QUEUES, hook_pk=webhook_pk, most=most)


async def next_due_ms(db: Reader, webhook_pk: int) -> int | None:
    """Return when the next head of this webhook is due; None without waiting deliveries."""
    return await db.single(_NEXT_DUE, hook_pk=webhook_pk)


async def next_delivery(db: Reader, webhook_pk: int, repo_pk: int) -> Head | None:
    """Return the head of a queue if it may be sent now."""
    return await db.one(_HEAD, hook_pk=webhook_pk, line=repo_pk)


def decide_result(
    head: Head, result: PostResult, *, began_ms: int, ended_ms: int, retry_policy: RetryPolicy
) -> DeliveryResult:
    """Decide the state of a delivery after an attempt.

    Args:
        head: The delivery.
        result: The result of the attempt.
        began_ms: When it began, by the database's clock.
        ended_ms: When it ended, by the database's clock.
        retry_policy: The limits of the retries.
    """
    if result.ok:
        return DeliveryResult("delivered", ended_ms)
    give_up_ms = (head.tried_ms or began_ms) + int(retry_policy.hold_s * 1000)
    attempts = head.attempts + 1
    if attempts >= retry_policy.max_attempts or ended_ms >= give_up_ms:
        return DeliveryResult("given_up", ended_ms)
    pause_s = min(retry_policy.pause_s * 2.0 ** min(attempts - 1, 30), LONGEST_PAUSE_S)
    pause_s *= random.uniform(0.75, 1.25)  # noqa: S311
    # The last attempt comes when the time ends, so the head blocks its queue no longer.
    return DeliveryResult("waiting", min(ended_ms + int(pause_s * 1000), give_up_ms))


async def record_attempt(
    db: Database, head: Head, result: PostResult, began_ms: int, decision: DeliveryResult
) -> None:
    """Record the result of an attempt."""
    await db.execute(
        _RECORD,
        delivery_pk=head.pk,
        new_state=decision.state,
        next_ms=decision.due_ms,
        began_ms=began_ms,
        answer=result.status,
        reason=None if result.error is None else result.error.replace("\0", "")[:500],
        done_at_ms=None if decision.state == "waiting" else decision.due_ms,
    )


async def list_deliveries(
    db: Reader, webhook_id: str | None = None, limit: int = 100
) -> list[Delivery]:
    """Return the newest ``limit`` deliveries of one webhook, or of all, newest first."""
    every = int(webhook_id is None)
    return await db.all(_LOG, every=every, wanted=webhook_id or "", most=limit)


async def prune_deliveries(db: Database, age_ms: int) -> int:
    """Delete deliveries that ended more than ``age_ms`` ago; return their number."""
    before_ms = await database_now_ms(db) - age_ms
    total = deleted = await db.execute(_DELETE_OLD, before_ms=before_ms)
    while deleted == BATCH:
        deleted = await db.execute(_DELETE_OLD, before_ms=before_ms)
        total += deleted
    return total
