"""Types of jobs: what a room declares of the work that it does in the background."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

import msgspec


class Job(msgspec.Struct, frozen=True):
    """A job as its handler receives it."""

    type: str
    subject: str
    payload: dict[str, object]
    attempt: int  # 1 for the first


class Reschedule(msgspec.Struct, frozen=True):
    """The result of a handler whose job runs again in ``after_s`` seconds."""

    after_s: float = 0.0


#: Runs a job. A job may run again even after a success, so handlers are idempotent.
Handler: TypeAlias = Callable[[Job], Awaitable[Reschedule | None]]
#: Checks cheaply whether there is work.
WorkProbe: TypeAlias = Callable[[], Awaitable[object]]


class JobType(msgspec.Struct, frozen=True, kw_only=True):
    """The declaration of a type of job, by the room whose work it is.

    Attributes:
        name: The name in the database. It never changes: other releases enqueue and claim jobs
            under it.
        handler: Runs a job.
        interval_s: The job is due at this interval on any node, in seconds; None: only when
            enqueued.
        probe: Called at every poll; the job is enqueued when it reports work.
        concurrency: A limit of its own for concurrent jobs, so that these and other jobs never
            wait for one another; None: the jobs share the limit of the runner.
    """

    name: str
    handler: Handler
    interval_s: float | None = None
    probe: WorkProbe | None = None
    concurrency: int | None = None


def job_types_by_name(types: Iterable[JobType]) -> dict[str, JobType]:
    """Merge the declarations of rooms.

    Raises:
        ValueError: two declarations have one name.
    """
    merged: dict[str, JobType] = {}
    for job_type in types:
        if job_type.name in merged:
            raise ValueError(f"two job types have the name {job_type.name}")
        merged[job_type.name] = job_type
    return merged
