"""The room's own job: correct stamps in the future."""

from __future__ import annotations

import structlog

from hubstead.db import Database, correct_stamps
from hubstead.jobs.job_types import Job, JobType

CORRECT_STAMPS = "jobs.correct_stamps"
_log = structlog.get_logger("hubstead.jobs")


def stamp_jobs(db: Database) -> list[JobType]:
    """Return the type of the daily job that makes stamps in the future count as now."""

    async def correct(_job: Job) -> None:
        for stamps in await correct_stamps(db):
            _log.warning("times in the future count as now", **stamps._asdict())

    return [JobType(name=CORRECT_STAMPS, handler=correct, interval_s=86_400.0)]
