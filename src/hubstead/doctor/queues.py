"""Work that should have been done by now. Nothing is lost by it: a hub that runs takes it up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from hubstead import jobs as jobs_room
from hubstead.db import Statement, scan
from hubstead.doctor.findings import Fault, Inspection, Severity
from hubstead.ids import now_ms
from hubstead.outbox.tables import events as events_table
from hubstead.webhooks.tables import deliveries as deliveries_table
from hubstead.webhooks.tables import webhooks

MANY_ATTEMPTS = 5
LATE_MS = 600_000
_IDLE = "start the hub: it works through this by itself"
_EVENTS: Statement[int | None] = scan(
    select(func.min(events_table.c.pk).label("first_pk")).where(
        events_table.c.told_ms.is_(None), events_table.c.created_ms < bindparam("before_ms")
    ),
    int,
)


class _LateWebhook(NamedTuple):
    id: str
    url: str


_DELIVERIES = scan(
    select(webhooks.c.id, webhooks.c.url)
    .join_from(deliveries_table, webhooks, deliveries_table.c.webhook_pk == webhooks.c.pk)
    .where(
        deliveries_table.c.state == "waiting",
        webhooks.c.disabled == 0,
        deliveries_table.c.due_ms < bindparam("before_ms"),
    )
    .distinct()
    .order_by(webhooks.c.id),
    _LateWebhook,
)


async def events(patient: Inspection) -> AsyncIterator[Fault]:
    """Each event has been told to those who listen."""
    first_pk = await patient.stores.db.single(_EVENTS, before_ms=now_ms() - LATE_MS)
    if first_pk is not None:
        what = f"events from number {first_pk} on have waited for over ten minutes"
        yield _warning("events", "outbox", what, _IDLE)


async def jobs(patient: Inspection) -> AsyncIterator[Fault]:
    """No job is overdue or fails again and again."""
    late = now_ms() - LATE_MS
    for job in await jobs_room.list_jobs(patient.stores.db):
        subject = f"job {job.type}/{job.subject}"
        if job.attempts >= MANY_ATTEMPTS:
            what = f"it fails again and again: {job.error or 'without a reason'}"
            yield _warning("jobs", subject, what, "see to the reason; it is tried again")
        elif job.running_on is None and job.due_ms < late:
            yield _warning("jobs", subject, "it is overdue and nobody works on it", _IDLE)


async def deliveries(patient: Inspection) -> AsyncIterator[Fault]:
    """No delivery of a webhook is overdue."""
    for row in await patient.stores.db.all(_DELIVERIES, before_ms=now_ms() - LATE_MS):
        yield _warning("deliveries", f"webhook {row.id}", f"{row.url} is yet to be told", _IDLE)


def _warning(check: str, subject: str, what: str, hint: str) -> Fault:
    return Fault(check, Severity.WARNING, subject, what, hint)
