"""The names of job types in the database, which nodes of several releases share."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hubstead.app import background_jobs, job_types, open_hub
from hubstead.db import Database, Tx
from hubstead.ids import now_ms
from hubstead.jobs import enqueue, job_types_by_name, list_jobs
from hubstead.settings import Settings
from hubstead.webhooks import Sender

#: Every name that a release has enqueued jobs under. Names are only ever added.
STORED_NAMES = (
    "accounts.expire_attempts",
    "accounts.expire_browser_sessions",
    "accounts.rotate_keys",
    "blobs.delete",
    "blobs.let_go",
    "blobs.strays",
    "blobs.sweep",
    "commits.bury",
    "commits.fold",
    "facts.prune",
    "facts.read",
    "garbage.forget",
    "jobs.correct_stamps",
    "jobs.release_pages",
    "outbox.prune",
    "outbox.tell",
    "registry.prune",
    "registry.prune",
    "webhooks.deliver",
    "webhooks.prune",
    "xet.convert",
    "xet.forget",
    "xet.retire",
)
SUBJECT = "of an earlier release"


async def enqueue_all(tx: Tx) -> None:
    await enqueue(tx, "later.release", SUBJECT)
    for name in STORED_NAMES:
        await enqueue(tx, name, SUBJECT)


async def names_left(db: Database) -> set[str]:
    """Return the types of the jobs that have not run without an error."""
    jobs = [job for job in await list_jobs(db) if job.subject == SUBJECT]
    return {job.type for job in jobs if job.error or job.running_on or job.due_ms <= now_ms()}


async def test_jobs_of_earlier_releases_run_and_those_of_a_later_one_wait(tmp_path: Path) -> None:
    async with open_hub(Settings(data=tmp_path), make=True) as hub:
        await hub.db.write(enqueue_all)
        async with background_jobs(hub), asyncio.timeout(60):
            while await names_left(hub.db) != {"later.release"}:
                await asyncio.sleep(0.02)
        (waiting,) = [job for job in await list_jobs(hub.db) if job.type == "later.release"]
        assert (waiting.attempts, waiting.error, waiting.running_on) == (0, None, None)


async def test_no_type_of_job_lacks_its_stored_name(tmp_path: Path) -> None:
    async with open_hub(Settings(data=tmp_path), make=True) as hub:
        types = job_types(hub, Sender())
    unlisted = job_types_by_name(types).keys() ^ set(STORED_NAMES)
    assert not unlisted, "a new type of job is listed in STORED_NAMES, and none ever leaves it"
