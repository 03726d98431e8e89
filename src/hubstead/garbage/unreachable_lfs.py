"""Removes links to committed LFS files that no ref reaches any more.

A walk reads every tree of every commit that refs reach and, for the remaining files, of commits
that refs reached during the grace period. Then a transaction locks the repository, verifies that
the refs are those of the walk, and deletes the links. A commit can only reference a file again by
updating a ref, in a transaction with the same lock that checks the link. Either it comes first,
and the refs differ; or it comes second, misses the link and is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import bindparam, select

from hubstead import blobs
from hubstead.admission import Lane, run_in_lane
from hubstead.blobs import BlobKey, BlobKind, CommittedLink, committed_links, committed_names
from hubstead.commits import Ref, Storage, add_usage, list_refs
from hubstead.db import Reader, Tx, database_now_ms, indexed
from hubstead.errors import ConcurrentChange, HubError
from hubstead.garbage.counts import GarbageCount, GarbageKind, GarbageState, repo_name
from hubstead.garbage.past_refs import PastTips
from hubstead.gitstore import GitFailed, GitRepo, reachable_pointers
from hubstead.repos import Repo
from hubstead.repos.tables import repos

#: How many walks of a repository are tried while its refs move.
ATTEMPTS = 3
#: The number of links that one transaction deletes.
BATCH = 200

NO_REF = "no branch, tag or other ref reaches it"
IN_GRACE = "no ref reaches it, within the grace period"
HELD = "no ref reaches it, held for an upload"
MOVING = "not examined: its refs moved during every walk"

_LOCK = indexed(
    select(repos.c.pk).where(repos.c.pk == bindparam("which_pk")).with_for_update(), int
)


class _RefsChanged(ConcurrentChange):
    """The refs are no longer those of the walk."""


async def unreachable_lfs_files(
    storage: Storage,
    repo: Repo,
    past: PastTips | None,
    *,
    grace_ms: int,
    remove: bool,
) -> list[GarbageCount]:
    """Count the LFS files of a repository that no ref reaches, and unlink them if ``remove``.

    Args:
        storage: The hub.
        repo: The repository.
        past: Former targets of refs, whose files stay as well; None: only current refs count.
        grace_ms: Younger links stay.
        remove: Delete the links; otherwise only count.
    """
    return await _Search(storage, repo, past, grace_ms, remove).counts()


@dataclass
class _Walk:
    """The result of one walk through a repository."""

    refs: list[Ref]
    unreachable: list[str]  # names of LFS objects that neither refs nor past refs reach
    in_grace: list[str]  # names of those that only past refs reach


@dataclass
class _Search:
    """The collection of one repository; walks again if refs move meanwhile."""

    storage: Storage
    repo: Repo
    past: PastTips | None
    grace_ms: int
    remove: bool
    removed: list[CommittedLink] = field(default_factory=list)

    async def counts(self) -> list[GarbageCount]:
        """Walk, delete links if ``remove``, and return the counts."""
        fault = ""
        for _ in range(ATTEMPTS):
            try:
                return await self._collect(await self._walk())
            except _RefsChanged:
                fault = MOVING
            except GitFailed as error:  # a repack may have removed packs during the walk
                fault = f"not examined: {error}"
            except HubError as error:
                fault = f"not examined: {error.message}"
        return self._counts([], [], [], fault)

    async def _walk(self) -> _Walk:
        db, repo = self.storage.db, self.repo
        refs = await list_refs(db, repo.pk)
        names = await _linked(db, repo.pk)
        if not names:
            return _Walk(refs, [], [])
        past_tips = await self.past.of(db, repo.pk) if self.past else set()
        git = await self.storage.open_git(repo)
        await self.storage.fetch_missing_packs(repo, [row.target for row in refs])
        await run_in_lane(
            Lane.BACKGROUND, _discard_reachable, git, {row.oid for row in refs}, names
        )
        unreachable_now = sorted(names)
        if names and past_tips:
            await run_in_lane(Lane.BACKGROUND, _discard_reachable_before, git, past_tips, names)
        in_grace = [name.hex() for name in unreachable_now if name not in names]
        return _Walk(refs, [name.hex() for name in unreachable_now if name in names], in_grace)

    async def _collect(self, walk: _Walk) -> list[GarbageCount]:
        now_ms = await database_now_ms(self.storage.db)
        limit = now_ms - self.grace_ms
        now: list[CommittedLink] = []
        held: list[CommittedLink] = []
        young = await committed_links(self.storage.db, self.repo.pk, BlobKind.LFS, walk.in_grace)
        for row in await committed_links(
            self.storage.db, self.repo.pk, BlobKind.LFS, walk.unreachable
        ):
            if row.until_ms is not None and row.until_ms >= now_ms:
                held.append(row)
            else:
                (young if row.created_ms > limit else now).append(row)
        if self.remove:
            await self._unlink(walk.refs, [row.name for row in now])
            now = []
        return self._counts(now, young, held)

    def _counts(
        self,
        now: list[CommittedLink],
        young: list[CommittedLink],
        held: list[CommittedLink],
        fault: str | None = None,
    ) -> list[GarbageCount]:
        counts = [
            self._count(GarbageState.NOW, NO_REF, now + self.removed, len(self.removed)),
            self._count(GarbageState.LATER, IN_GRACE, young),
            self._count(GarbageState.LATER, HELD, held),
        ]
        counts = [count for count in counts if count.things]
        return [*counts, self._count(GarbageState.NEVER, fault, [])] if fault else counts

    def _count(
        self, when: GarbageState, reason: str, rows: list[CommittedLink], removed: int = 0
    ) -> GarbageCount:
        total = sum(row.bytes for row in rows)
        return GarbageCount(
            GarbageKind.LFS_LINK, when, reason, len(rows), total, repo_name(self.repo), removed
        )

    async def _unlink(self, refs: list[Ref], names: list[str]) -> None:
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            self.removed += await self.storage.db.write(_unlink, self.repo.pk, refs, batch)


async def _unlink(tx: Tx, repo_pk: int, walked: list[Ref], names: list[str]) -> list[CommittedLink]:
    """Unlink LFS files and return their links.

    Raises:
        _RefsChanged: the refs are not those of the walk.
    """
    await tx.one(_LOCK, which_pk=repo_pk)
    if await list_refs(tx, repo_pk) != walked:
        raise _RefsChanged()
    await blobs.delete_expired_holds(tx, repo_pk, BlobKind.LFS, names)
    rows = [
        row
        for row in await committed_links(tx, repo_pk, BlobKind.LFS, names)
        if row.until_ms is None
    ]
    await blobs.unlink_blobs(tx, repo_pk, [BlobKey(BlobKind.LFS, row.name) for row in rows])
    await add_usage(tx, repo_pk, packs=0, used_bytes=-sum(row.bytes for row in rows))
    return rows


async def _linked(db: Reader, repo_pk: int) -> set[bytes]:
    """Return the sha256 of every LFS file with a committed link to the repository."""
    return {bytes.fromhex(name) async for name in committed_names(db, repo_pk, BlobKind.LFS)}


def _discard_reachable(git: GitRepo, tips: Iterable[str], names: set[bytes]) -> None:
    """Remove from ``names`` the LFS files that ``tips`` reach; stop when none is left."""
    with contextlib.closing(reachable_pointers(git.path, tips)) as pointers:
        for pointer in pointers:
            names.discard(bytes.fromhex(pointer.oid))
            if not names:
                return


def _discard_reachable_before(git: GitRepo, tips: Iterable[str], names: set[bytes]) -> None:
    """Do the same for past tips, whose objects may be missing; if git fails, remove all names."""
    try:
        _discard_reachable(git, {oid for oid in tips if git.has(oid)}, names)
    except GitFailed:
        names.clear()
