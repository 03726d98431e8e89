"""Background jobs of the room: the rotation of the keys that sign, and what expires."""

from __future__ import annotations

from hubstead.accounts.attempts import expire_attempts
from hubstead.accounts.browser_sessions import SessionLimits, expire_browser_sessions
from hubstead.accounts.signatures import rotate_keys
from hubstead.db import Database
from hubstead.jobs import Job, JobType

ROTATE_KEYS = "accounts.rotate_keys"
EXPIRE_ATTEMPTS = "accounts.expire_attempts"
EXPIRE_SESSIONS = "accounts.expire_browser_sessions"


def account_jobs(db: Database, limits: SessionLimits) -> list[JobType]:
    """Return the room's types of jobs; sessions of browsers expire by ``limits``."""

    async def rotate(_job: Job) -> None:
        await rotate_keys(db)

    async def expire(_job: Job) -> None:
        await expire_attempts(db)

    async def expire_sessions(_job: Job) -> None:
        await expire_browser_sessions(db, limits)

    return [
        JobType(name=ROTATE_KEYS, handler=rotate, interval_s=86_400.0),
        JobType(name=EXPIRE_ATTEMPTS, handler=expire, interval_s=3600.0),
        JobType(name=EXPIRE_SESSIONS, handler=expire_sessions, interval_s=3600.0),
    ]
