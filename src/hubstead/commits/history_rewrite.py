"""Deleting LFS files for good: their bytes, and on request every commit's mention of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec

from hubstead import blobs
from hubstead.accounts import Actor
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
    stores: Storage,
    actor: Actor,
    opened: Repo,
    names: frozenset[str],
    *,
    rewrite_history: bool,
) -> None:
    """Delete LFS files of a repository for good.

    Args:
        stores: Where content lies.
        actor: Who asks.
        opened: The repository, opened for writing.
        names: The sha256 of each file.
        rewrite_history: Take the files out of every commit of every ref as well; else only the
            bytes go, and the pointers lead nowhere.

    Raises:
        ConcurrentChange: refs kept moving meanwhile.
    """

    async def attempt() -> None:
        plan = await _plan(stores, opened, names) if rewrite_history else None
        await stores.db.write(_carry_out, actor, opened, names, plan)

    async with stores.locks.of(opened.id):
        await retrying(attempt)


async def _carry_out(
    tx: Tx, actor: Actor, opened: Repo, names: frozenset[str], plan: WritePlan | None
) -> None:
    again = await reopen(tx, actor, opened, Right.WRITE)
    if plan is not None:
        await move_refs(tx, actor, again, plan, Right.WRITE)
    await blobs.unlink_blobs(tx, again.pk, [BlobKey(BlobKind.LFS, name) for name in names])


async def _plan(stores: Storage, opened: Repo, names: frozenset[str]) -> WritePlan | None:
    git = await stores.open_git(opened)
    refs = await list_refs(stores.db, opened.pk)
    await stores.fetch_missing_packs(opened, [row.target for row in refs])
    plan = await asyncio.to_thread(_rewrite, git, opened, refs, names)
    if plan is not None and plan.pack is not None:
        plan = msgspec.structs.replace(plan, pack=await stores.publish(plan.pack))
    return plan


def _rewrite(
    git: GitRepo, opened: Repo, refs: list[Ref], names: frozenset[str]
) -> WritePlan | None:
    with git.draft() as draft:
        rewriter = _Rewriter(git, draft, names)
        moves, derived = [], None
        for row in refs:
            new = rewriter.commit(row.target)
            if new == row.target:
                continue
            moves.append(RefMove(row.name, row.oid, new))
            if row.name == HEADS + opened.default_branch:
                derived = new
        if not moves:
            return None
        pack = draft.finish()
    tip: RepoMetadata | None = (
        derive_metadata(opened.kind, git, git.tree_of(derived)) if derived else None
    )
    return WritePlan(tuple(moves), pack=pack, derived=tip)


@dataclass
class _Rewriter:
    """Writes commits anew without some files; what does not change keeps its id."""

    git: GitRepo
    draft: PackDraft
    names: frozenset[str]
    _commits: dict[str, str] = field(default_factory=dict)
    _trees: dict[str, str | None] = field(default_factory=dict)

    def commit(self, tip: str) -> str:
        """Return what ``tip`` becomes. Parents come first; no recursion, histories are long."""
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
        """Return what a folder becomes; None for nothing."""
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
