"""Background jobs of the room: the daily rotation of the keys that sign."""

from __future__ import annotations

from hubstead.accounts.signatures import rotate_keys
from hubstead.db import Database
from hubstead.jobs import Job, JobType

ROTATE_KEYS = "accounts.rotate_keys"


def account_jobs(db: Database) -> list[JobType]:
    """Return the room's types of jobs."""

    async def rotate(_job: Job) -> None:
        await rotate_keys(db)

    return [JobType(name=ROTATE_KEYS, handler=rotate, interval_s=86_400.0)]
