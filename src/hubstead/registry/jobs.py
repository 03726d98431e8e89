"""Background job of the room: deletion of manifests and blobs that nobody pulls any more."""

from __future__ import annotations

from hubstead.db import Database, database_now_ms
from hubstead.jobs import Job, JobType
from hubstead.registry.stored import RETENTION_MS, delete_unused

PRUNE = "registry.prune"
PRUNE_EVERY_S = 86_400.0


def registry_jobs(db: Database) -> list[JobType]:
    """Return the room's types of jobs."""

    async def prune(_job: Job) -> None:
        before_ms = await database_now_ms(db) - RETENTION_MS
        await db.write(delete_unused, before_ms=before_ms)

    return [JobType(name=PRUNE, handler=prune, interval_s=PRUNE_EVERY_S)]
