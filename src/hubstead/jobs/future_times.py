"""Corrects times of jobs that a clock which ran ahead has left in the future.

Without this a periodic job would wait until that time, and a lease of a crashed node would end
then. What a right clock writes is never corrected: each rule allows for the longest delay there is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sqlalchemy import bindparam, or_, select, update

from hubstead.db import Database, Tx, database_now_ms, indexed, scan
from hubstead.jobs.tables import jobs

#: How far times of nodes may differ without being corrected.
SLACK_MS = 300_000
#: No job that has never failed is enqueued for a later time than this.
FURTHEST_MS = 90 * 86_400_000


class TimedJob(NamedTuple):
    """A job with the times that may be wrong."""

    pk: int
    type: str
    subject: str
    due_ms: int
    lease_ms: int
    created_ms: int
    attempts: int
    holder: str | None


_LATER = scan(
    select(
        jobs.c.pk,
        jobs.c.type,
        jobs.c.subject,
        jobs.c.due_ms,
        jobs.c.lease_ms,
        jobs.c.created_ms,
        jobs.c.attempts,
        jobs.c.holder,
    ).where(
        or_(
            jobs.c.due_ms > bindparam("after_ms"),
            jobs.c.lease_ms > bindparam("after_ms"),
            jobs.c.created_ms > bindparam("after_ms"),
        )
    ),
    TimedJob,
)
_CORRECT = indexed(
    update(jobs)
    .where(
        jobs.c.pk == bindparam("job_pk"),
        jobs.c.due_ms == bindparam("due_before"),
        jobs.c.lease_ms == bindparam("lease_before"),
    )
    .values(
        due_ms=bindparam("new_due"),
        lease_ms=bindparam("new_lease"),
        created_ms=bindparam("new_created"),
    )
)


class CorrectedJobs(NamedTuple):
    """What ``correct_jobs`` did.

    Attributes:
        names: ``type/subject`` of the corrected jobs.
        suspected: The tokens of leases that end too late; a living node renews them to a right end
            before the next look.
    """

    names: tuple[str, ...] = ()
    suspected: frozenset[str] = frozenset()


async def correct_jobs(
    db: Database,
    intervals_s: Mapping[str, float],
    *,
    lease_s: float,
    longest_pause_s: float,
    suspected: Collection[str],
) -> CorrectedJobs:
    """Correct the times of jobs that lie further in the future than a right clock puts them.

    Args:
        db: The database, whose clock is right.
        intervals_s: The interval of each periodic job.
        lease_s: How long a lease lasts.
        longest_pause_s: The longest pause after a failure.
        suspected: The result of the look before, at least ``lease_s`` earlier.
    """
    now = await database_now_ms(db)
    rows = await db.all(_LATER, after_ms=now + SLACK_MS)
    leases = {row.holder for row in rows if row.holder and _is_late(row.lease_ms, now, lease_s)}
    changes = []
    for row in rows:
        if row.holder in leases:
            if row.holder in suspected:
                changes.append(_change(row, now, due_ms=now, lease_ms=0))
        elif row.lease_ms <= now:
            due_ms = _right_due_ms(row, now, intervals_s, longest_pause_s)
            if due_ms < row.due_ms or row.created_ms > now + SLACK_MS:
                changes.append(_change(row, now, due_ms=due_ms, lease_ms=row.lease_ms))
    if changes:
        await db.write(_correct, [values for _, values in changes])
    names = tuple(f"{row.type}/{row.subject}" for row, _ in changes)
    return CorrectedJobs(names, frozenset(token for token in leases if token))


def _is_late(time_ms: int, now: int, after_s: float) -> bool:
    return time_ms > now + int(after_s * 1000) + SLACK_MS


def _right_due_ms(
    row: TimedJob, now: int, intervals_s: Mapping[str, float], longest_pause_s: float
) -> int:
    """Return when a job is due if the times in the future that led to it count as now."""
    interval_s = intervals_s.get(row.type)
    if interval_s is not None:
        late = _is_late(row.due_ms, now, interval_s)
        return now + int(interval_s * 1000) if late else row.due_ms
    if row.created_ms > now + SLACK_MS:
        return min(row.due_ms, now + max(0, row.due_ms - row.created_ms))
    if row.attempts and _is_late(row.due_ms, now, longest_pause_s * 2):
        return now
    return now if row.due_ms > now + FURTHEST_MS else row.due_ms


def _change(
    row: TimedJob, now: int, *, due_ms: int, lease_ms: int
) -> tuple[TimedJob, dict[str, int]]:
    values = {
        "job_pk": row.pk,
        "due_before": row.due_ms,
        "lease_before": row.lease_ms,
        "new_due": due_ms,
        "new_lease": lease_ms,
        "new_created": min(row.created_ms, now),
    }
    return row, values


async def _correct(tx: Tx, changes: list[dict[str, int]]) -> None:
    await tx.run_many(_CORRECT, changes)
