"""One collection: count garbage in the whole hub, and delete it on request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

import msgspec

from hubstead.blobs.jobs import DELETE_UNREFERENCED, EXPIRE, MARK_ORPHANS, blob_jobs
from hubstead.commits import Storage
from hubstead.commits.jobs import REMOVE_DELETED, commit_jobs
from hubstead.db import database_now_ms
from hubstead.errors import RepoNotFound
from hubstead.garbage.counts import GarbageCount, GarbageState
from hubstead.garbage.expired_uploads import count_expired_uploads
from hubstead.garbage.job_runs import JobRuns, running_jobs
from hubstead.garbage.orphans import count_orphans
from hubstead.garbage.past_refs import PastTips
from hubstead.garbage.pending_deletion import count_pending_deletion
from hubstead.garbage.unreachable_lfs import unreachable_lfs_files
from hubstead.garbage.unreachable_objects import unreachable_objects
from hubstead.garbage.xorbs import xet_files, xorbs
from hubstead.ids import Kind, RepoId
from hubstead.jobs import job_types_by_name
from hubstead.repos import every_repo
from hubstead.xet.jobs import DELETE_FILES, QUARANTINE, xet_jobs


class Step(NamedTuple):
    """A function that counts one kind of garbage, and the jobs that delete it."""

    measure: Callable[[Storage], Awaitable[list[GarbageCount]]]
    jobs: tuple[str, ...]


#: In order of dependence: a step unreferences what the next steps delete.
STEPS: tuple[Step, ...] = (
    Step(count_expired_uploads, (EXPIRE,)),
    Step(xet_files, (DELETE_FILES,)),
    Step(xorbs, (QUARANTINE,)),
    Step(count_orphans, (MARK_ORPHANS,)),
    Step(count_pending_deletion, (DELETE_UNREFERENCED, REMOVE_DELETED)),
)


async def collect_garbage(
    storage: Storage,
    *,
    grace_ms: int,
    only: RepoId | None = None,
    remove: bool = False,
    git: bool = True,
) -> list[GarbageCount]:
    """Count everything that is unreferenced, and delete it if ``remove``.

    Safe beside a running hub and beside other collections.

    Args:
        storage: The hub.
        grace_ms: How long an LFS file stays after its commit, and after the last ref stopped
            reaching it.
        only: Collect only LFS files and git objects of this repository, nothing that the whole
            hub shares.
        remove: Delete what has the state ``NOW``; otherwise only count.
        git: Collect git objects as well, which takes the longest.

    Raises:
        RepoNotFound: there is no repository ``only``.
        Unavailable: a job failed.
    """
    counts = await _collect_repos(storage, grace_ms=grace_ms, only=only, remove=remove, git=git)
    if only is not None:
        return counts
    if not remove:
        return counts + [count for step in STEPS for count in await step.measure(storage)]
    async with _job_runs(storage) as job_runs:
        for step in STEPS:
            before = await step.measure(storage)
            await job_runs.run_jobs(step.jobs)
            counts += _with_removed(before, await step.measure(storage))
    return counts


def _job_runs(storage: Storage) -> AbstractAsyncContextManager[JobRuns]:
    db, blobs, settings = storage.db, storage.blobs, storage.settings
    declared = job_types_by_name(
        [
            *blob_jobs(db, blobs, settings.blobs, pack_grace_s=settings.git.pack_grace_seconds),
            *commit_jobs(storage),
            *xet_jobs(db, blobs, storage.xet, settings.xet, settings.blobs),
        ]
    )
    return running_jobs(storage, [declared[name] for step in STEPS for name in step.jobs])


async def _collect_repos(
    storage: Storage, *, grace_ms: int, only: RepoId | None, remove: bool, git: bool
) -> list[GarbageCount]:
    past = (
        await PastTips.since(storage.db, await database_now_ms(storage.db) - grace_ms)
        if grace_ms
        else None
    )
    counts: list[GarbageCount] = []
    exists = only is None
    async for repo, _ in every_repo(storage.db):
        if only is None or (repo.repo_id.key == only.key and repo.kind is only.kind):
            exists = True
            if repo.kind is Kind.BUCKET:
                continue  # its objects alone reach its files, and a batch unlinks what they leave
            counts += await unreachable_lfs_files(
                storage, repo, past, grace_ms=grace_ms, remove=remove
            )
            if git:
                counts += await unreachable_objects(
                    storage, repo, past, grace_ms=grace_ms, remove=remove
                )
    if not exists:
        raise RepoNotFound()
    return counts


def _with_removed(
    before: Iterable[GarbageCount], after: Iterable[GarbageCount]
) -> list[GarbageCount]:
    """Return ``before`` with the number of deleted objects; writers may have added some since."""
    remaining = {(count.what, count.reason, count.repository): count.things for count in after}
    counts = []
    for count in before:
        left = remaining.get((count.what, count.reason, count.repository), 0)
        removed = max(0, count.things - left) if count.when is GarbageState.NOW else 0
        counts.append(msgspec.structs.replace(count, removed=removed))
    return counts
