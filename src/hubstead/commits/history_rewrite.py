"""Deletion of LFS files for good: their bytes and, on request, their paths in all commits."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from hubstead import blobs
from hubstead.accounts import Actor
from hubstead.admission import Lane, run_in_lane
from hubstead.blobs import BlobKey, BlobKind
from hubstead.commits.metadata import derive_metadata
from hubstead.commits.preupload import content_id
from hubstead.commits.ref_updates import WritePlan, move_refs
from hubstead.commits.refs import HEADS, Ref, RefMove, list_refs
from hubstead.commits.retries import retrying
from hubstead.commits.storage import Storage
from hubstead.db import Tx
from hubstead.gitstore import Commit, GitRepo, Ident, PackDraft
from hubstead.ids import EMPTY_TREE
from hubstead.repos import Repo, RepoMetadata, Right, reopen


async def delete_lfs_files(
    storage: Storage,
    actor: Actor,
    repo: Repo,
    names: frozenset[str],
    *,
    rewrite_history: bool,
) -> None:
    """Delete LFS files of a repository for good.

    Args:
        storage: The storage of content.
        actor: The caller.
        repo: The repository, with the right to write.
        names: The sha256 of each file.
        rewrite_history: Remove the files from every commit of every ref as well; else the
            pointers stay, without bytes.

    Raises:
        ConcurrentChange: other writers moved refs during every attempt.
    """

    async def attempt() -> None:
        plan = await _plan(storage, repo, names) if rewrite_history else None
        await storage.db.write(_delete, actor, repo, names, plan)

    async with storage.locks.of(repo.id):
        await retrying(attempt)


async def _delete(
    tx: Tx, actor: Actor, repo: Repo, names: frozenset[str], plan: WritePlan | None
) -> None:
    again = await reopen(tx, actor, repo, Right.WRITE)
    if plan is not None:
        await move_refs(tx, actor, again, plan, Right.WRITE)
    await blobs.unlink_blobs(tx, again.pk, [BlobKey(BlobKind.LFS, name) for name in names])


async def _plan(storage: Storage, repo: Repo, names: frozenset[str]) -> WritePlan | None:
    git = await storage.open_git(repo)
    refs = await list_refs(storage.db, repo.pk)
    await storage.fetch_missing_packs(repo, [row.target for row in refs])
    plan = await run_in_lane(Lane.HISTORY, _rewrite, git, repo, refs, names)
    if plan is not None and plan.pack is not None:
        plan = msgspec.structs.replace(plan, pack=await storage.publish(plan.pack))
    return plan


def _rewrite(git: GitRepo, repo: Repo, refs: list[Ref], names: frozenset[str]) -> WritePlan | None:
    with git.draft() as draft:
        rewriter = _Rewriter(git, draft, names)
        moves, derived = [], None
        for row in refs:
            new = rewriter.commit(row.target)
            if new == row.target:
                continue
            moves.append(RefMove(row.name, row.oid, new))
            if row.name == HEADS + repo.default_branch:
                derived = new
        if not moves:
            return None
        pack = draft.finish()
    tip: RepoMetadata | None = (
        derive_metadata(repo.kind, git, git.tree_of(derived)) if derived else None
    )
    return WritePlan(tuple(moves), pack=pack, derived=tip)


@dataclass
class _Rewriter:
    """Rewrites commits without some files; unchanged commits and trees retain their ids."""

    git: GitRepo
    draft: PackDraft
    names: frozenset[str]
    _commits: dict[str, str] = field(default_factory=dict)
    _trees: dict[str, str | None] = field(default_factory=dict)

    def commit(self, tip: str) -> str:
        """Return the rewritten ``tip``. Parents first, without recursion: histories are long."""
        waiting = [tip]
        while waiting:
            oid = waiting[-1]
            commit = self.git.commit(oid)
            missing = [parent for parent in commit.parents if parent not in self._commits]
            if oid in self._commits:
                waiting.pop()
            elif missing:
                waiting.extend(missing)
            else:
                self._commits[waiting.pop()] = self._rewritten(commit)
        return self._commits[tip]

    def _rewritten(self, commit: Commit) -> str:
        parents = [self._commits[parent] for parent in commit.parents]
        tree = self._tree(commit.tree) or self.draft.tree([])
        if tree == commit.tree and parents == list(commit.parents):
            return commit.oid
        author = Ident(commit.author_name, commit.author_email)
        return self.draft.commit(tree, parents, author, commit.message, time_s=commit.time_s)

    def _tree(self, oid: str) -> str | None:
        """Return the rewritten tree; None if no file is left in it."""
        if oid == EMPTY_TREE:
            return None
        if oid not in self._trees:
            self._trees[oid] = self._filtered(oid)
        return self._trees[oid]

    def _filtered(self, oid: str) -> str | None:
        entries = self.git.tree_page(oid, "", recursive=False, after=None, limit=10**7)
        rows = []
        for entry in entries:
            new: str | None = entry.oid
            if entry.type == "tree":
                new = self._tree(entry.oid)
            elif content_id(self.git, entry) in self.names:
                new = None
            if new is not None:
                name = entry.name.encode("utf-8", "surrogateescape")
                rows.append((b"%o" % entry.mode, name, bytes.fromhex(new)))
        if not rows:
            return None
        same = [(row[1], row[2].hex()) for row in rows] == [
            (entry.name.encode("utf-8", "surrogateescape"), entry.oid) for entry in entries
        ]
        return oid if same else self.draft.tree(rows)
