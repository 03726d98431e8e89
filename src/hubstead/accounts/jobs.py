"""Background jobs of the room: the rotation of the keys that sign, and expired attempts."""

from __future__ import annotations

from hubstead.accounts.attempts import expire_attempts
from hubstead.accounts.signatures import rotate_keys
from hubstead.db import Database
from hubstead.jobs import Job, JobType

ROTATE_KEYS = "accounts.rotate_keys"
EXPIRE_ATTEMPTS = "accounts.expire_attempts"


def account_jobs(db: Database) -> list[JobType]:
    """Return the room's types of jobs."""

    async def rotate(_job: Job) -> None:
        await rotate_keys(db)

    async def expire(_job: Job) -> None:
        await expire_attempts(db)

    return [
        JobType(name=ROTATE_KEYS, handler=rotate, interval_s=86_400.0),
        JobType(name=EXPIRE_ATTEMPTS, handler=expire, interval_s=3600.0),
    ]
