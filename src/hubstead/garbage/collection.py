"""One round through the hub: what is garbage, why, and, if that is wanted, away with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

import msgspec

from hubstead.blobs import jobs as blob_jobs
from hubstead.commits import Storage
from hubstead.commits import jobs as commit_jobs
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
from hubstead.ids import RepoId
from hubstead.repos import every_repo
from hubstead.xet import jobs as xet_jobs


class Step(NamedTuple):
    """Counts something, and names the jobs that take it away."""

    look: Callable[[Storage], Awaitable[list[GarbageCount]]]
    jobs: tuple[str, ...]


#: In this order: what one leaves behind is the next one's.
STEPS: tuple[Step, ...] = (
    Step(count_expired_uploads, (blob_jobs.LET_GO,)),
    Step(xet_files, (xet_jobs.FORGET,)),
    Step(xorbs, (xet_jobs.RETIRE,)),
    Step(count_orphans, (blob_jobs.STRAYS,)),
    Step(count_pending_deletion, (blob_jobs.DELETE, commit_jobs.BURY)),
)


async def collect_garbage(
    stores: Storage,
    *,
    grace_ms: int,
    only: RepoId | None = None,
    remove: bool = False,
    git: bool = True,
) -> list[GarbageCount]:
    """Look for everything that nothing needs, and take it away if ``remove``.

    Safe beside a hub at work, and beside itself.

    Args:
        stores: The hub.
        grace_ms: How long an LFS file stays after the last ref that led to it went elsewhere,
            and after it was committed.
        only: Only this repository: its LFS files and objects of git; what the whole hub shares
            is left alone.
        remove: Take away what may go; else nothing changes.
        git: Look at objects of git as well, which takes the longest.

    Raises:
        RepoNotFound: there is no repository ``only``.
    """
    found = await _links(stores, grace_ms=grace_ms, only=only, remove=remove, git=git)
    if only is not None:
        return found
    if not remove:
        return found + [heap for step in STEPS for heap in await step.look(stores)]
    async with _doing(stores) as deeds:
        for step in STEPS:
            before = await step.look(stores)
            await deeds.run_jobs(step.jobs)
            found += _removed(before, await step.look(stores))
    return found


def _doing(stores: Storage) -> AbstractAsyncContextManager[JobRuns]:
    handlers = {
        **blob_jobs.handlers(stores.db, stores.blobs, stores.settings),
        **commit_jobs.handlers(stores),
        **xet_jobs.handlers(stores.db, stores.settings),
    }
    wanted = {name for step in STEPS for name in step.jobs}
    mine = {name: handlers[name] for name in handlers if name in wanted}
    return running_jobs(
        stores, mine, {**blob_jobs.EVERY_S, **commit_jobs.EVERY_S, **xet_jobs.EVERY_S}
    )


async def _links(
    stores: Storage, *, grace_ms: int, only: RepoId | None, remove: bool, git: bool
) -> list[GarbageCount]:
    past = (
        await PastTips.since(stores.db, await database_now_ms(stores.db) - grace_ms)
        if grace_ms
        else None
    )
    found: list[GarbageCount] = []
    met = only is None
    async for each, _ in every_repo(stores.db):
        if only is None or (each.repo_id.key == only.key and each.kind is only.kind):
            met = True
            found += await unreachable_lfs_files(
                stores, each, past, grace_ms=grace_ms, remove=remove
            )
            if git:
                found += await unreachable_objects(
                    stores, each, past, grace_ms=grace_ms, remove=remove
                )
    if not met:
        raise RepoNotFound()
    return found


def _removed(before: Iterable[GarbageCount], after: Iterable[GarbageCount]) -> list[GarbageCount]:
    """Note of each heap how much of it went; others may have added to it meanwhile."""
    left = {(heap.what, heap.reason, heap.repository): heap.things for heap in after}
    told = []
    for heap in before:
        still = left.get((heap.what, heap.reason, heap.repository), 0)
        gone = max(0, heap.things - still) if heap.when is GarbageState.NOW else 0
        told.append(msgspec.structs.replace(heap, removed=gone))
    return told
