"""Runs one job of a room, without a runner."""

from __future__ import annotations

from collections.abc import Iterable

from hubstead.jobs import Job, JobType, Reschedule, job_types_by_name


async def run_job(types: Iterable[JobType], name: str, subject: str = "") -> Reschedule | None:
    """Run the handler of a type of job once."""
    return await job_types_by_name(types)[name].handler(Job(name, subject, {}, 1))
