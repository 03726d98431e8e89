"""Enqueue jobs, and list them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from sqlalchemy import BigInteger, bindparam, case, select

from hubstead.db import DatabaseNow, Reader, Tx, indexed, insert_into, scan
from hubstead.jobs.tables import jobs

_NEW = insert_into(jobs, "type", "subject", "payload").values(
    due_ms=DatabaseNow() + bindparam("after_ms", type_=BigInteger), created_ms=DatabaseNow()
)
_ENQUEUE = indexed(
    _NEW.on_conflict_do_update(
        index_elements=["type", "subject"],
        set_={
            "payload": _NEW.excluded.payload,
            "due_ms": case(
                (_NEW.excluded.due_ms < jobs.c.due_ms, _NEW.excluded.due_ms), else_=jobs.c.due_ms
            ),
            "generation": jobs.c.generation + 1,
        },
    )
)
_ENQUEUE_IF_ABSENT = indexed(_NEW.on_conflict_do_nothing())


class _JobRow(NamedTuple):
    pk: int
    type: str
    subject: str
    payload: str
    due_ms: int
    generation: int
    lease_ms: int
    holder: str | None
    attempts: int
    error: str | None
    created_ms: int
    is_leased: int


_IS_LEASED = case((jobs.c.lease_ms > DatabaseNow(), 1), else_=0).label("is_leased")
_LIST = scan(select(jobs, _IS_LEASED).order_by(jobs.c.due_ms, jobs.c.pk), _JobRow)


async def enqueue(
    tx: Tx,
    type_: str,
    subject: str,
    payload: Mapping[str, object] | None = None,
    *,
    after_s: float = 0.0,
) -> None:
    """Enqueue a job in the transaction that causes it.

    One job exists per type and subject. Enqueueing it again moves its due time forward, never
    back, and replaces its payload; a running job runs once more afterwards.

    Args:
        tx: The transaction.
        type_: The type, which selects the handler.
        subject: The id of the object to work on; may be empty.
        payload: Further arguments for the handler, as a JSON object.
        after_s: The delay until the job is due, in seconds by the database's clock.
    """
    await tx.run(_ENQUEUE, **_row(type_, subject, payload, after_s))


async def enqueue_if_absent(tx: Tx, type_: str, subject: str, *, after_s: float = 0.0) -> None:
    """Enqueue a job unless it is queued already, perhaps for a retry after a failure."""
    await tx.run(_ENQUEUE_IF_ABSENT, **_row(type_, subject, None, after_s))


def _row(
    type_: str, subject: str, payload: Mapping[str, object] | None, after_s: float
) -> dict[str, object]:
    return {
        "type": type_,
        "subject": subject,
        "payload": msgspec.json.encode(payload or {}).decode(),
        "after_ms": int(after_s * 1000),
    }


class ListedJob(msgspec.Struct, frozen=True):
    """A job as ``hubstead jobs`` shows it; times in milliseconds since the epoch."""

    type: str
    subject: str
    payload: dict[str, object]
    running_on: str | None  # the node that claimed the job
    due_ms: int  # of a running job: when its lease expires
    attempts: int  # since the last success
    error: str | None  # of the last attempt
    created_ms: int


async def list_jobs(db: Reader) -> list[ListedJob]:
    """Return all jobs, the next due job first."""
    return [
        ListedJob(
            type=row.type,
            subject=row.subject,
            payload=msgspec.json.decode(row.payload),
            running_on=row.holder.rpartition("/")[0] if row.holder and row.is_leased else None,
            due_ms=row.due_ms,
            attempts=row.attempts,
            error=row.error,
            created_ms=row.created_ms,
        )
        for row in await db.all(_LIST)
    ]
