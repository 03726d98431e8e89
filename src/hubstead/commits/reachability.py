"""Which commits the refs of a repository reach: readers are served no others.

A ref that is deleted or moved back leaves commits behind until a collection removes them. Callers
who may write the repository can still read these; for everybody else they do not exist.

What a commit reaches never changes, so each node remembers it by commit. A request at a commit that
the default branch reaches costs a lookup in memory: the row of the repository, which the request
has read anyway, says where the branch is. After the branch moved, the node walks the new commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from hubstead.accounts import Actor
from hubstead.admission import Lane, run_in_lane
from hubstead.commits.refs import Ref, list_refs
from hubstead.gitstore import GitRepo, LruCache, ObjectMissing, OidSet
from hubstead.repos import Repo, Right, allows

if TYPE_CHECKING:
    from hubstead.commits.storage import Storage

#: Ids that a node remembers, of 20 bytes each.
_REMEMBERED_OIDS = 3_000_000
#: Branch tips of one repository that a node remembers: requests in flight may have read older ones.
_REMEMBERED_HEADS = 4


class _Reached(msgspec.Struct, frozen=True):
    """What some tips reach."""

    tips: frozenset[str]
    oids: OidSet


@dataclass
class ReachCache:
    """What a node remembers; the keys are ids of repositories."""

    heads: LruCache[str, tuple[_Reached, ...]] = field(
        default_factory=lambda: LruCache(_REMEMBERED_OIDS)
    )
    refs: LruCache[str, _Reached] = field(default_factory=lambda: LruCache(_REMEMBERED_OIDS))
    objects: LruCache[str, _Reached] = field(default_factory=lambda: LruCache(_REMEMBERED_OIDS))


class Reachability:
    """Answers for one repository, as the caller of a request read it."""

    def __init__(self, storage: Storage, repo: Repo, git: GitRepo) -> None:
        self._storage = storage
        self._repo = repo
        self._git = git

    async def has_commit(self, oid: str) -> bool:
        """Tell whether a ref reaches the commit, or is the annotated tag, of this id."""
        return bool(await self.commits_among([oid]))

    async def commits_among(self, oids: Collection[str]) -> set[str]:
        """Return those of ``oids`` that ``has_commit`` would accept."""
        of_head = await self._of_head(self._repo.head) if self._repo.head else OidSet()
        reached = {oid for oid in oids if oid in of_head}
        if len(reached) < len(oids):
            of_refs = await self._of_refs()
            reached |= {oid for oid in oids if oid in of_refs}
        return reached

    async def has_objects(self, oids: Collection[str]) -> bool:
        """Tell whether refs reach all of these objects, of any type."""
        tips = frozenset(row.oid for row in await list_refs(self._storage.db, self._repo.pk))
        async with self._lock():
            reached = self._storage.reach.objects.get(self._repo.id)
            if reached is None or reached.tips != tips:
                await self._storage.fetch_missing_packs(self._repo, tips)
                with self._storage.git.repacker(self._repo.id) as repacker:
                    objects = await run_in_lane(Lane.HISTORY, repacker.find_reachable, sorted(tips))
                reached = _Reached(tips, objects)
                _remember(self._storage.reach.objects, self._repo.id, reached)
        return all(oid in reached.oids for oid in oids)

    async def find_short(self, prefix: str) -> str | None:
        """Return the one commit that refs reach whose id begins so; None if none or several."""
        sets = [await self._of_refs()]
        if self._repo.head is not None:
            sets.append(await self._of_head(self._repo.head))
        oids = {oid for reached in sets for oid in reached.with_prefix(prefix)}
        commits = [oid for oid in oids if self._git.peel_tag(oid) is None]
        return commits[0] if len(commits) == 1 else None

    # -- what is remembered --------------------------------------------------------------------

    def _lock(self) -> asyncio.Lock:
        return self._storage.locks.of(f"reach {self._repo.id}")

    async def _of_head(self, head: str) -> OidSet:
        """Return what the tip of the default branch reaches."""
        reached = self._remembered_head(head)
        if reached is None:
            async with self._lock():
                reached = self._remembered_head(head)
                if reached is None:
                    reached = await self._walk_head(head)
        return reached

    def _remembered_head(self, head: str) -> OidSet | None:
        for reached in self._storage.reach.heads.get(self._repo.id) or ():
            if head in reached.tips:
                return reached.oids
        return None

    async def _walk_head(self, head: str) -> OidSet:
        await self._storage.fetch_missing_packs(self._repo, [head])
        older = self._storage.reach.heads.get(self._repo.id) or ()
        oids = await run_in_lane(Lane.HISTORY, self._extended, head, older[:1])
        heads = (_Reached(frozenset((head,)), oids), *older[: _REMEMBERED_HEADS - 1])
        weight = min(len(oids) + 1, _REMEMBERED_OIDS // 2)
        self._storage.reach.heads.put(self._repo.id, heads, weight=weight)
        return oids

    def _extended(self, head: str, older: Iterable[_Reached]) -> OidSet:
        """Return what ``head`` reaches, from what an older head reaches if that is an ancestor."""
        for known in older:
            with suppress(ObjectMissing):  # a collection removed the older head
                walk = self._git.walk_commits([head], sorted(known.tips))
                if {bytes.fromhex(tip) for tip in known.tips} <= walk.parents:
                    return known.oids.union(walk.oids)
        return OidSet(self._git.walk_commits([head]).oids)

    async def _of_refs(self) -> OidSet:
        """Return what refs reach and the default branch, as far as the request knows, does not."""
        rows = await list_refs(self._storage.db, self._repo.pk)
        tips = frozenset([*(row.oid for row in rows), f"^{self._repo.head}"])
        reached = self._storage.reach.refs.get(self._repo.id)
        if reached is None or reached.tips != tips:
            async with self._lock():
                reached = await self._walk_refs(rows, tips)
        return reached.oids

    async def _walk_refs(self, rows: list[Ref], tips: frozenset[str]) -> _Reached:
        known = self._storage.reach.refs.get(self._repo.id)
        if known is not None and known.tips == tips:
            return known
        await self._storage.fetch_missing_packs(self._repo, [row.target for row in rows])
        hidden = [self._repo.head] if self._repo.head is not None else []
        starts = [row.oid for row in rows]
        walk = (
            await run_in_lane(Lane.HISTORY, self._git.walk_commits, starts, hidden)
            if starts
            else None
        )
        reached = _Reached(tips, OidSet(walk.oids if walk else ()))
        _remember(self._storage.reach.refs, self._repo.id, reached)
        return reached


def _remember(cache: LruCache[str, _Reached], repo_id: str, reached: _Reached) -> None:
    """Cache a set; one that is larger than the cache weighs half of it, so that it stays."""
    weight = len(reached.oids) + len(reached.tips) + 1
    cache.put(repo_id, reached, weight=min(weight, _REMEMBERED_OIDS // 2))


def sees_unreachable(repo: Repo, actor: Actor) -> bool:
    """Tell whether the caller may read what no ref reaches: those who may write the repository."""
    return allows(repo, actor, Right.WRITE)
