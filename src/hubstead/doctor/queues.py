"""Checks for overdue events, jobs and deliveries. No data is lost: a running hub resumes them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from hubstead import jobs as jobs_room
from hubstead.db import Statement, future_stamps, scan
from hubstead.doctor.findings import Finding, Inspection, Severity
from hubstead.ids import now_ms
from hubstead.outbox.tables import events as events_table
from hubstead.webhooks.tables import deliveries as deliveries_table
from hubstead.webhooks.tables import webhooks

MANY_ATTEMPTS = 5
LATE_MS = 600_000
_IDLE = "start the hub, which resumes this work"
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


async def events(inspection: Inspection) -> AsyncIterator[Finding]:
    """Every event has been dispatched."""
    first_pk = await inspection.storage.db.single(_EVENTS, before_ms=now_ms() - LATE_MS)
    if first_pk is not None:
        what = f"events from number {first_pk} on have waited for more than ten minutes"
        yield _warning("events", "outbox", what, _IDLE)


async def jobs(inspection: Inspection) -> AsyncIterator[Finding]:
    """No job is overdue or fails repeatedly."""
    late = now_ms() - LATE_MS
    for job in await jobs_room.list_jobs(inspection.storage.db):
        subject = f"job {job.type}/{job.subject}"
        if job.attempts >= MANY_ATTEMPTS:
            what = f"it fails repeatedly: {job.error or 'without a reason'}"
            yield _warning("jobs", subject, what, "remove the cause; the hub retries the job")
        elif job.running_on is None and job.due_ms < late:
            yield _warning("jobs", subject, "it is overdue and no node runs it", _IDLE)


async def stamps(inspection: Inspection) -> AsyncIterator[Finding]:
    """No stamp lies in the future, as after a clock that ran ahead."""
    for one in await future_stamps(inspection.storage.db):
        what = f"{one.rows} times in the column {one.column} are in the future"
        hint = "check the clock; a running hub has them count as now within a day"
        yield _warning("stamps", f"table {one.table}", what, hint)


async def deliveries(inspection: Inspection) -> AsyncIterator[Finding]:
    """No delivery of a webhook is overdue."""
    for row in await inspection.storage.db.all(_DELIVERIES, before_ms=now_ms() - LATE_MS):
        yield _warning(
            "deliveries", f"webhook {row.id}", f"a delivery to {row.url} is overdue", _IDLE
        )


def _warning(check: str, subject: str, what: str, hint: str) -> Finding:
    return Finding(check, Severity.WARNING, subject, what, hint)
