"""LFS files that a repository was given by commits, and that no ref leads to any more.

Every tree of every commit is walked, once from where the refs are and, for what is left, once
from where they were during the grace period. Then one transaction locks the repository, sees
that the refs are the very ones that were walked, and takes the links away. A commit can only
bring a file back by moving a ref, in a transaction that holds the same lock and links the file:
either it came first, and the refs are others, or it finds the link gone and is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, select

from hubstead import blobs
from hubstead.blobs import BlobKey, BlobKind
from hubstead.blobs.tables import holds, repo_blobs
from hubstead.commits import Ref, Storage, list_refs
from hubstead.commits.ref_updates import add_usage
from hubstead.db import DatabaseNow, Reader, Tx, any_of, database_now_ms, indexed, scan
from hubstead.errors import ConcurrentChange, HubError
from hubstead.garbage.counts import GarbageCount, GarbageKind, GarbageState
from hubstead.garbage.past_refs import PastTips
from hubstead.garbage.repositories import name_of
from hubstead.gitstore import GitFailed, GitRepo
from hubstead.gitstore.reachable_pointers import reachable_pointers
from hubstead.repos import Repo
from hubstead.repos.tables import repos

#: How often a repository is walked again because its refs moved meanwhile.
ATTEMPTS = 3
#: How many links one transaction takes away.
BATCH = 200
_PAGE = 5000

NO_REF = "no branch, tag or other ref leads to it"
IN_GRACE = "no ref leads to it, within the grace period"
HELD = "no ref leads to it, held for an upload"
MOVING = "not looked through: its refs kept moving"

_NAMES = scan(
    select(repo_blobs.c.name)
    .where(
        repo_blobs.c.repo_pk == bindparam("which_pk"),
        repo_blobs.c.kind == BlobKind.LFS.value,
        repo_blobs.c.committed == 1,
        repo_blobs.c.name > bindparam("after"),
    )
    .order_by(repo_blobs.c.name)
    .limit(_PAGE),
    str,
)


class _Link(NamedTuple):
    name: str
    bytes: int
    created_ms: int
    until_ms: int | None


_LINKS = scan(
    select(repo_blobs.c.name, repo_blobs.c.bytes, repo_blobs.c.created_ms, holds.c.until_ms)
    .outerjoin_from(
        repo_blobs,
        holds,
        and_(
            holds.c.repo_pk == repo_blobs.c.repo_pk,
            holds.c.kind == repo_blobs.c.kind,
            holds.c.name == repo_blobs.c.name,
        ),
    )
    .where(
        repo_blobs.c.repo_pk == bindparam("which_pk"),
        repo_blobs.c.kind == BlobKind.LFS.value,
        repo_blobs.c.committed == 1,
        any_of(repo_blobs.c.name, "names"),
    )
    .order_by(repo_blobs.c.name),
    _Link,
)
_LOCK = indexed(
    select(repos.c.pk).where(repos.c.pk == bindparam("which_pk")).with_for_update(), int
)
# Deleting them, not just looking, makes an upload that takes one up again wait for the end.
_END_HOLDS = indexed(
    delete(holds).where(
        holds.c.repo_pk == bindparam("which_pk"),
        holds.c.kind == BlobKind.LFS.value,
        holds.c.until_ms < DatabaseNow(),
        any_of(holds.c.name, "names"),
    )
)


class _Moved(ConcurrentChange):
    """Refs moved since they were walked."""


async def unreachable_lfs_files(
    stores: Storage, found: Repo, past: PastTips | None, *, grace_ms: int, remove: bool
) -> list[GarbageCount]:
    """Look for LFS files of a repository that no ref leads to, and let it go of them.

    Args:
        stores: Where content lies.
        found: The repository.
        past: Where refs pointed during the grace period; None: that does not matter.
        grace_ms: A link that is younger stays.
        remove: Take them away; else they are only counted.
    """
    return await _Search(stores, found, past, grace_ms, remove).heaps()


@dataclass
class _Walked:
    """What one walk through a repository found."""

    refs: list[Ref]
    dropped: list[str]  # names of LFS objects that nothing leads to
    waiting: list[str]  # those where only past refs do


@dataclass
class _Search:
    """One repository looked through, again if its refs move meanwhile."""

    stores: Storage
    repo: Repo
    past: PastTips | None
    grace_ms: int
    remove: bool
    removed: list[_Link] = field(default_factory=list)

    async def heaps(self) -> list[GarbageCount]:
        """Return what there is, having taken away what may go."""
        fault = ""
        for _ in range(ATTEMPTS):
            try:
                return await self._heaps(await self._walk())
            except _Moved:
                fault = MOVING
            except GitFailed as error:  # packs may have been folded under its feet
                fault = f"not looked through: {error}"
            except HubError as error:
                fault = f"not looked through: {error.message}"
        return self._told([], [], [], fault)

    # -- looking -----------------------------------------------------------------------------

    async def _walk(self) -> _Walked:
        db, opened = self.stores.db, self.repo
        refs = await list_refs(db, opened.pk)
        names = await _linked(db, opened.pk)
        if not names:
            return _Walked(refs, [], [])
        before = await self.past.of(db, opened.pk) if self.past else set()
        git = await self.stores.open_git(opened)
        await self.stores.fetch_missing_packs(opened, [row.target for row in refs])
        await asyncio.to_thread(_take_reached, git, {row.oid for row in refs}, names)
        left = sorted(names)
        if names and before:
            await asyncio.to_thread(_take_once_reached, git, before, names)
        waiting = [name.hex() for name in left if name not in names]
        return _Walked(refs, [name.hex() for name in left if name in names], waiting)

    async def _heaps(self, walked: _Walked) -> list[GarbageCount]:
        now_ms = await database_now_ms(self.stores.db)
        limit = now_ms - self.grace_ms
        now: list[_Link] = []
        held: list[_Link] = []
        young = await _rows(self.stores.db, self.repo.pk, walked.waiting)
        for row in await _rows(self.stores.db, self.repo.pk, walked.dropped):
            if row.until_ms is not None and row.until_ms >= now_ms:
                held.append(row)
            else:
                (young if row.created_ms > limit else now).append(row)
        if self.remove:
            await self._let_go(walked.refs, [row.name for row in now])
            now = []
        return self._told(now, young, held)

    def _told(
        self, now: list[_Link], young: list[_Link], held: list[_Link], fault: str | None = None
    ) -> list[GarbageCount]:
        heaps = [
            self._heap(GarbageState.NOW, NO_REF, now + self.removed, len(self.removed)),
            self._heap(GarbageState.LATER, IN_GRACE, young),
            self._heap(GarbageState.LATER, HELD, held),
        ]
        found = [heap for heap in heaps if heap.things]
        return [*found, self._heap(GarbageState.NEVER, fault, [])] if fault else found

    def _heap(
        self, when: GarbageState, reason: str, rows: list[_Link], removed: int = 0
    ) -> GarbageCount:
        total = sum(row.bytes for row in rows)
        return GarbageCount(
            GarbageKind.LFS_LINK, when, reason, len(rows), total, name_of(self.repo), removed
        )

    # -- taking away -------------------------------------------------------------------------

    async def _let_go(self, refs: list[Ref], names: list[str]) -> None:
        for start in range(0, len(names), BATCH):
            some = names[start : start + BATCH]
            self.removed += await self.stores.db.write(partial(_unlink, self.repo.pk, refs, some))


async def _unlink(repo_pk: int, walked: list[Ref], names: list[str], tx: Tx) -> list[_Link]:
    """Unlink LFS files if the refs are those that were walked; return the links.

    Raises:
        _Moved: they are not.
    """
    await tx.one(_LOCK, which_pk=repo_pk)
    if await list_refs(tx, repo_pk) != walked:
        raise _Moved()
    await tx.run(_END_HOLDS, which_pk=repo_pk, names=names)
    rows = [row for row in await _rows(tx, repo_pk, names) if row.until_ms is None]
    await blobs.unlink_blobs(tx, repo_pk, [BlobKey(BlobKind.LFS, row.name) for row in rows])
    await add_usage(tx, repo_pk, packs=0, used_bytes=-sum(row.bytes for row in rows))
    return rows


async def _linked(db: Reader, repo_pk: int) -> set[bytes]:
    """Return the sha256 of every LFS file that commits of a repository have linked."""
    names: set[bytes] = set()
    after = ""
    while page := await db.all(_NAMES, which_pk=repo_pk, after=after):
        names.update(bytes.fromhex(name) for name in page)
        after = page[-1]
    return names


async def _rows(db: Reader, repo_pk: int, names: Sequence[str]) -> list[_Link]:
    found: list[_Link] = []
    for start in range(0, len(names), _PAGE):
        found += await db.all(_LINKS, which_pk=repo_pk, names=list(names[start : start + _PAGE]))
    return found


def _take_reached(git: GitRepo, tips: Iterable[str], names: set[bytes]) -> None:
    """Take what ``tips`` lead to out of ``names``; stops when nothing is left."""
    with contextlib.closing(reachable_pointers(git.path, tips)) as pointers:
        for pointer in pointers:
            names.discard(bytes.fromhex(pointer.oid))
            if not names:
                return


def _take_once_reached(git: GitRepo, tips: Iterable[str], names: set[bytes]) -> None:
    """Do the same for past tips, whose objects may be gone; in doubt nothing is left."""
    try:
        _take_reached(git, {oid for oid in tips if git.has(oid)}, names)
    except GitFailed:
        names.clear()
