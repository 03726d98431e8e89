"""The room's own jobs, for the database: correct stamps in the future, release free pages."""

from __future__ import annotations

import structlog

from hubstead.db import Database, correct_stamps, release_pages
from hubstead.jobs.job_types import Job, JobType

CORRECT_STAMPS = "jobs.correct_stamps"
RELEASE_PAGES = "jobs.release_pages"
_log = structlog.get_logger("hubstead.jobs")


def database_jobs(db: Database) -> list[JobType]:
    """Return the types of the jobs that look after the database."""

    async def correct(_job: Job) -> None:
        for stamps in await correct_stamps(db):
            _log.warning("times in the future count as now", **stamps._asdict())

    async def release(_job: Job) -> None:
        await release_pages(db)

    return [
        JobType(name=CORRECT_STAMPS, handler=correct, interval_s=86_400.0),
        JobType(name=RELEASE_PAGES, handler=release, interval_s=3600.0),
    ]
