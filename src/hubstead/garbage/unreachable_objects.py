"""Counts git objects that no ref reaches, and repacks repositories without them."""

from __future__ import annotations

import msgspec

from hubstead import commits
from hubstead.admission import Lane, run_in_lane
from hubstead.commits import Storage, list_refs, packs_older_than
from hubstead.db import database_now_ms
from hubstead.errors import HubError
from hubstead.garbage.counts import GarbageCount, GarbageKind, GarbageState, repo_name
from hubstead.garbage.past_refs import PastTips
from hubstead.gitstore import GitFailed
from hubstead.repos import Repo

NO_REF = "no branch, tag or other ref reaches it"
MOVING = "its refs moved during every repack"


async def unreachable_objects(
    storage: Storage, repo: Repo, past: PastTips | None, *, grace_ms: int, remove: bool
) -> list[GarbageCount]:
    """Count the objects in a repository's packs that no ref reaches; repack if ``remove``.

    Args:
        storage: The hub.
        repo: The repository.
        past: Former targets of refs, whose objects stay as well; None: only current refs count.
        grace_ms: Younger packs stay as they are.
        remove: Repack the reachable objects; otherwise only count. The files of the old packs
            stay for ``pack_grace_seconds``.
    """
    before_ms = await database_now_ms(storage.db) - grace_ms
    names = await packs_older_than(storage.db, repo.pk, before_ms)
    tips = [row.oid for row in await list_refs(storage.db, repo.pk)]
    if not names or not tips:
        return []
    try:
        await storage.open_git(repo)
        past_tips = await past.of(storage.db, repo.pk) if past else set()
        with storage.git.repacker(repo.id) as repacker:
            unreachable = await run_in_lane(
                Lane.BACKGROUND, repacker.find_unreachable, names, [*tips, *past_tips]
            )
        if not unreachable:
            return []
        things, size = len(unreachable), sum(unreachable.values())
        repacked = remove and (
            await commits.repack_reachable(storage, repo.id, grace_ms=grace_ms, past=past_tips)
            is not None
        )
    except (GitFailed, HubError) as error:
        message = error.message if isinstance(error, HubError) else str(error)
        return [_count(repo, GarbageState.NEVER, f"not examined: {message}", 0, 0)]
    if remove and not repacked:
        return [_count(repo, GarbageState.LATER, MOVING, things, size)]
    count = _count(repo, GarbageState.NOW, NO_REF, things, size)
    return [msgspec.structs.replace(count, removed=things if repacked else 0)]


def _count(repo: Repo, when: GarbageState, reason: str, things: int, size: int) -> GarbageCount:
    return GarbageCount(GarbageKind.OBJECT, when, reason, things, size, repo_name(repo))
