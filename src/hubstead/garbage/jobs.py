"""Background work of the room: the deletion of what the refs of one repository left behind."""

from __future__ import annotations

from hubstead.commits import Storage
from hubstead.db import Tx
from hubstead.garbage.unreachable_lfs import unreachable_lfs_files
from hubstead.garbage.unreachable_objects import unreachable_objects
from hubstead.jobs import Job, JobType, enqueue
from hubstead.repos import Repo, find_repo

FORGET = "garbage.forget"


async def forget_unreachable(tx: Tx, repo: Repo) -> None:
    """Have everything deleted, without a grace period, that no ref of a repository reaches now."""
    await enqueue(tx, FORGET, repo.id)


def garbage_jobs(storage: Storage) -> list[JobType]:
    """Return the room's types of jobs."""

    async def forget(job: Job) -> None:
        repo = await find_repo(storage.db, job.subject)
        if repo is None:
            return
        await unreachable_lfs_files(storage, repo, None, grace_ms=0, remove=True)
        await unreachable_objects(storage, repo, None, grace_ms=0, remove=True)

    return [JobType(name=FORGET, handler=forget)]
