"""Objects of git that no ref reaches: counted, and left behind when the rest is packed anew."""

from __future__ import annotations

import asyncio

import msgspec

from hubstead import commits
from hubstead.commits import Storage, list_refs, packs_older_than
from hubstead.db import database_now_ms
from hubstead.errors import HubError
from hubstead.garbage.counts import GarbageCount, GarbageKind, GarbageState
from hubstead.garbage.past_refs import PastTips
from hubstead.garbage.repositories import name_of
from hubstead.gitstore import GitFailed
from hubstead.repos import Repo

NO_REF = "no branch, tag or other ref leads to it"
MOVING = "its refs kept moving"


async def unreachable_objects(
    stores: Storage, found: Repo, past: PastTips | None, *, grace_ms: int, remove: bool
) -> list[GarbageCount]:
    """Look for objects in a repository's packs that no ref reaches, and let it go of them.

    Args:
        stores: Where content lies.
        found: The repository.
        past: Where refs pointed during the grace period, which counts as reaching; or None.
        grace_ms: Packs that are younger are left alone, whatever is in them.
        remove: Pack what is reached anew; else they are only counted. The files of the old
            packs stay for the grace period of all bytes.
    """
    before_ms = await database_now_ms(stores.db) - grace_ms
    names = await packs_older_than(stores.db, found.pk, before_ms)
    tips = [row.oid for row in await list_refs(stores.db, found.pk)]
    if not names or not tips:
        return []
    try:
        await stores.open_git(found)
        kept = await past.of(stores.db, found.pk) if past else set()
        unreached = stores.git.unreached
        left = await asyncio.to_thread(unreached, found.id, names, [*tips, *kept])
        if not left:
            return []
        things, size = len(left), sum(left.values())
        gone = remove and (
            await commits.repack_reachable(stores, found.id, grace_ms=grace_ms, past=kept)
            is not None
        )
    except (GitFailed, HubError) as error:
        what = error.message if isinstance(error, HubError) else str(error)
        return [_heap(found, GarbageState.NEVER, f"not looked through: {what}", 0, 0)]
    if remove and not gone:
        return [_heap(found, GarbageState.LATER, MOVING, things, size)]
    heap = _heap(found, GarbageState.NOW, NO_REF, things, size)
    return [msgspec.structs.replace(heap, removed=things if gone else 0)]


def _heap(found: Repo, when: GarbageState, reason: str, things: int, size: int) -> GarbageCount:
    return GarbageCount(GarbageKind.OBJECT, when, reason, things, size, name_of(found))
