"""One round through the hub: what is garbage, why, and, if that is wanted, away with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

import msgspec

from hubstead.blobs import jobs as blob_jobs
from hubstead.commits import Stores
from hubstead.commits import jobs as commit_jobs
from hubstead.errors import RepoNotFound
from hubstead.garbage.deeds import Deeds, doing
from hubstead.garbage.findings import Heap, When
from hubstead.garbage.lapsed import lapsed
from hubstead.garbage.objects import unreached_objects
from hubstead.garbage.stored import unlinked
from hubstead.garbage.strays import strays
from hubstead.garbage.tips import PastTips
from hubstead.garbage.unreached import unreached
from hubstead.garbage.xorbs import xet_files, xorbs
from hubstead.ids import RepoId, now_ms
from hubstead.repos import every_repo
from hubstead.xet import jobs as xet_jobs


class Step(NamedTuple):
    """Counts something, and names the jobs that take it away."""

    look: Callable[[Stores], Awaitable[list[Heap]]]
    jobs: tuple[str, ...]


#: In this order: what one leaves behind is the next one's.
STEPS: tuple[Step, ...] = (
    Step(lapsed, (blob_jobs.LET_GO,)),
    Step(xet_files, (xet_jobs.FORGET,)),
    Step(xorbs, (xet_jobs.RETIRE,)),
    Step(strays, (blob_jobs.STRAYS,)),
    Step(unlinked, (blob_jobs.DELETE, commit_jobs.BURY)),
)


async def collect(
    stores: Stores,
    *,
    grace_ms: int,
    only: RepoId | None = None,
    remove: bool = False,
    git: bool = True,
) -> list[Heap]:
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
            await deeds.do(step.jobs)
            found += _removed(before, await step.look(stores))
    return found


def _doing(stores: Stores) -> AbstractAsyncContextManager[Deeds]:
    handlers = {
        **blob_jobs.handlers(stores.db, stores.blobs, stores.settings),
        **commit_jobs.handlers(stores),
        **xet_jobs.handlers(stores.db, stores.settings),
    }
    wanted = {name for step in STEPS for name in step.jobs}
    mine = {name: handlers[name] for name in handlers if name in wanted}
    return doing(stores, mine, {**blob_jobs.EVERY_S, **commit_jobs.EVERY_S, **xet_jobs.EVERY_S})


async def _links(
    stores: Stores, *, grace_ms: int, only: RepoId | None, remove: bool, git: bool
) -> list[Heap]:
    past = await PastTips.since(stores.db, now_ms() - grace_ms) if grace_ms else None
    found: list[Heap] = []
    met = only is None
    async for each, _ in every_repo(stores.db):
        if only is None or (each.repo_id.key == only.key and each.kind is only.kind):
            met = True
            found += await unreached(stores, each, past, grace_ms=grace_ms, remove=remove)
            if git:
                found += await unreached_objects(
                    stores, each, past, grace_ms=grace_ms, remove=remove
                )
    if not met:
        raise RepoNotFound()
    return found


def _removed(before: Iterable[Heap], after: Iterable[Heap]) -> list[Heap]:
    """Note of each heap how much of it went; others may have added to it meanwhile."""
    left = {(heap.what, heap.reason, heap.repository): heap.things for heap in after}
    told = []
    for heap in before:
        still = left.get((heap.what, heap.reason, heap.repository), 0)
        gone = max(0, heap.things - still) if heap.when is When.NOW else 0
        told.append(msgspec.structs.replace(heap, removed=gone))
    return told
