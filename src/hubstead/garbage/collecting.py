"""One round through the hub: what is garbage, why, and, if that is wanted, away with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import msgspec

from hubstead.commits import Stores
from hubstead.errors import RepoNotFound
from hubstead.garbage.findings import Heap, When
from hubstead.garbage.lapsed import end_lapsed, lapsed
from hubstead.garbage.repositories import every_repository
from hubstead.garbage.stored import delete_unlinked, unlinked
from hubstead.garbage.tips import PastTips
from hubstead.garbage.unreached import unreached
from hubstead.ids import RepoId, now_ms

#: Counts something, and takes it away. In this order: what one leaves behind is the next one's.
#: Objects of git that no ref reaches will be a step of their own, before the blobs.
Step = tuple[
    Callable[[Stores], Awaitable[list[Heap]]],
    Callable[[Stores], Awaitable[None]],
]
STEPS: tuple[Step, ...] = (
    (lapsed, end_lapsed),
    (unlinked, delete_unlinked),
)


async def collect(
    stores: Stores, *, grace_ms: int, only: RepoId | None = None, remove: bool = False
) -> list[Heap]:
    """Look for everything that nothing needs, and take it away if ``remove``.

    Safe beside a hub at work, and beside itself.

    Args:
        stores: The hub.
        grace_ms: How long an LFS file stays after the last ref that led to it went elsewhere,
            and after it was committed.
        only: Only LFS files of this repository; what the whole hub shares is left alone.
        remove: Take away what may go; else nothing changes.

    Raises:
        RepoNotFound: there is no repository ``only``.
    """
    found = await _links(stores, grace_ms=grace_ms, only=only, remove=remove)
    if only is not None:
        return found
    for look, act in STEPS:
        heaps = await look(stores)
        if remove:
            await act(stores)
            heaps = _removed(heaps, await look(stores))
        found += heaps
    return found


async def _links(stores: Stores, *, grace_ms: int, only: RepoId | None, remove: bool) -> list[Heap]:
    past = await PastTips.since(stores.db, now_ms() - grace_ms) if grace_ms else None
    found: list[Heap] = []
    met = only is None
    async for each in every_repository(stores.db):
        if only is None or (each.repo_id.key == only.key and each.kind is only.kind):
            met = True
            found += await unreached(stores, each, past, grace_ms=grace_ms, remove=remove)
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
