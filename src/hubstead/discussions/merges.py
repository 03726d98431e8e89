"""Merges of pull requests: one commit, one move of the base, one transaction with the status."""

from __future__ import annotations

import time
from functools import partial
from typing import NamedTuple

from hubstead.accounts import Actor
from hubstead.admission import Lane, run_in_lane
from hubstead.commits import (
    HEADS,
    RefMove,
    RefMoved,
    Storage,
    WritePlan,
    author_of,
    derive_metadata,
    discard_packs,
    find_ref,
    move_refs,
    retrying,
)
from hubstead.db import Tx
from hubstead.discussions.creation import require_enabled
from hubstead.discussions.discussion import DiscussionRow, find_discussion
from hubstead.discussions.errors import MergeConflict, StatusConflict
from hubstead.discussions.events import record_change
from hubstead.discussions.text_rules import check_comment
from hubstead.discussions.timeline import add_event, set_status
from hubstead.errors import HubError
from hubstead.gitstore import GitRepo, Pack, merge_commits
from hubstead.repos import Repo, RepoMetadata, Right


class PullTips(NamedTuple):
    """Where the refs of a pull request are; None: the ref is gone."""

    base: str | None
    head: str | None


class _Merge(NamedTuple):
    commit: str
    pack: Pack
    derived: RepoMetadata | None


async def pull_tips(storage: Storage, repo: Repo, discussion: DiscussionRow) -> PullTips:
    """Return the tips of a pull request's base and head, and fetch their packs."""
    base = await find_ref(storage.db, repo.pk, discussion.base or "")
    head = await find_ref(storage.db, repo.pk, discussion.ref)
    tips = PullTips(base and base.target, head and head.target)
    await storage.open_git(repo)
    await storage.fetch_missing_packs(repo, [tip for tip in tips if tip])
    return tips


async def find_conflicts(storage: Storage, repo: Repo, discussion: DiscussionRow) -> list[str]:
    """Return the files of a pull request that conflict with its base; none if a ref is gone."""
    tips = await pull_tips(storage, repo, discussion)
    if tips.base is None or tips.head is None or not discussion.is_open:
        return []
    git = await storage.open_git(repo)

    def merge(base: str, head: str) -> list[str]:
        with git.draft() as draft:
            return list(merge_commits(git, draft, base, head).conflicts)

    return await run_in_lane(Lane.HISTORY, merge, tips.base, tips.head)


async def merge_pull_request(
    storage: Storage, actor: Actor, repo: Repo, num: int, *, comment: str | None = None
) -> str:
    """Merge a pull request into its base by a merge commit with its title; return the new tip.

    Raises:
        DiscussionNotFound: there is no such discussion.
        StatusConflict: it is no open pull request, its base or head is gone, or it moved meanwhile.
        MergeConflict: files conflict; ``paths`` names them.
        HubError: those of ``open_repo`` with the right WRITE.
    """
    text = check_comment(comment, "comment") if comment and comment.strip() else None
    storage.check_room()
    async with storage.locks.of(repo.id):
        attempt = partial(_attempt, storage, actor, repo, num, comment=text)
        return await retrying(attempt)


async def _attempt(
    storage: Storage, actor: Actor, repo: Repo, num: int, *, comment: str | None
) -> str:
    discussion = await find_discussion(storage.db, repo.pk, num)
    _require_open(discussion)
    base, head = await pull_tips(storage, repo, discussion)
    if base is None or head is None:
        gone = discussion.base if base is None else discussion.ref
        raise StatusConflict(reason=f"#{num} cannot be merged: {gone} does not exist")
    git = await storage.open_git(repo)
    build = partial(_build, git, actor, repo, discussion)
    new = await run_in_lane(Lane.WRITES, build, PullTips(base, head))
    pack = await storage.publish(new.pack)
    plan = WritePlan(
        moves=(RefMove(discussion.base or "", base, new.commit),),
        pack=pack,
        derived=new.derived,
        max_owner_bytes=storage.settings.accounts.max_bytes,
    )
    try:
        await storage.db.write(_write, actor, repo, plan, num=num, head=head, comment=comment)
    except HubError:
        await discard_packs(storage, repo.id, [new.pack])
        raise
    return new.commit


def _require_open(discussion: DiscussionRow) -> None:
    if not discussion.is_pull:
        raise StatusConflict(reason=f"#{discussion.num} is a discussion and cannot be merged")
    if discussion.status != "open":
        raise StatusConflict(
            reason=f"#{discussion.num} cannot be merged: it is {discussion.status}"
        )


def _build(
    git: GitRepo, actor: Actor, repo: Repo, discussion: DiscussionRow, tips: PullTips
) -> _Merge:
    """Write the merge commit into a durable pack. Runs in a thread."""
    assert tips.base is not None
    assert tips.head is not None
    with git.draft() as draft:
        merged = merge_commits(git, draft, tips.base, tips.head)
        if merged.tree is None:
            listed = ", ".join(merged.conflicts[:10])
            raise MergeConflict(
                reason=f"#{discussion.num} conflicts with its base in {listed}",
                paths=merged.conflicts,
            )
        message = f"{discussion.title} (#{discussion.num})"
        parents, now = [tips.base, tips.head], int(time.time())
        commit = draft.commit(merged.tree, parents, author_of(actor), message, time_s=now)
        pack = draft.finish()
    is_main = discussion.base == HEADS + repo.default_branch
    derived = derive_metadata(repo.kind, git, merged.tree) if is_main else None
    return _Merge(commit, pack, derived)


async def _write(
    tx: Tx,
    actor: Actor,
    repo: Repo,
    plan: WritePlan,
    *,
    num: int,
    head: str,
    comment: str | None,
) -> None:
    again = await move_refs(tx, actor, repo, plan, Right.WRITE)
    await require_enabled(tx, again)
    discussion = await find_discussion(tx, again.pk, num)
    _require_open(discussion)
    tip = await find_ref(tx, again.pk, discussion.ref)
    if tip is None or tip.target != head:
        raise RefMoved(ref=discussion.ref, oid=tip.target if tip else "it is gone")
    commit = plan.moves[0].new
    await set_status(tx, again.pk, discussion, actor.pk, "merged", merge_commit=commit)
    if comment:
        await add_event(tx, discussion, actor.pk, "comment", body=comment)
    await record_change(tx, again, discussion, "merge", actor.name)
