"""Jobs in the snapshot of a backup."""

from __future__ import annotations

from sqlalchemy import func, update

from hubstead.db import SqliteFile, scan
from hubstead.jobs.tables import jobs

_END_LEASES = scan(
    update(jobs)
    .values(lease_ms=0, holder=None, due_ms=func.min(jobs.c.due_ms, jobs.c.lease_ms))
    .where(jobs.c.holder.is_not(None))
)


def end_leases(rows: SqliteFile) -> None:
    """End all leases: no node runs jobs in a snapshot."""
    rows.change(_END_LEASES)
