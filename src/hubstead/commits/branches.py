"""Branches and tags: made, deleted, squashed."""

from __future__ import annotations

import asyncio
import time

from hubstead.accounts import Actor
from hubstead.commits.commit import Message, author_of
from hubstead.commits.ref_updates import WritePlan, move_refs
from hubstead.commits.refs import HEADS, TAGS, RefMove, RefName, find_ref, refs_named
from hubstead.commits.retries import retrying
from hubstead.commits.revisions import resolve_revision
from hubstead.commits.rules import check_branch_may_go, check_takes_no_commit
from hubstead.commits.storage import Storage
from hubstead.errors import RevisionNotFound
from hubstead.gitstore import GitRepo, Pack
from hubstead.ids import check_branch_name
from hubstead.repos import Repo, Right


async def create_branch(
    stores: Storage,
    actor: Actor,
    opened: Repo,
    name: str,
    *,
    start: str | None = None,
    empty: bool = False,
    overwrite: bool = False,
) -> str:
    """Make a branch and return the commit it points to.

    Args:
        stores: Where content lies.
        actor: Who asks.
        opened: The repository, opened for writing.
        name: The branch's short name.
        start: A revision to start from; the default branch unless given.
        empty: Start with one commit of nothing instead.
        overwrite: Move the branch if it is there.

    Raises:
        InvalidName: not a name for a branch.
        RevisionNotFound: there is no such start.
        RefExists: there is such a branch.
    """
    check_branch_name(name)
    git = await stores.open_git(opened)
    pack: Pack | None = None
    if empty:
        made, commit = await asyncio.to_thread(_root_commit, git, actor, None, "initial commit")
        pack = await stores.publish(made)
    else:
        commit = (await resolve_revision(stores.db, opened, git, start or "HEAD")).commit
    existing = await find_ref(stores.db, opened.pk, HEADS + name) if overwrite else None
    old = existing.oid if existing and existing.name == HEADS + name else None
    check_takes_no_commit(git, RefName.branch(name), commit, old=old)
    plan = WritePlan((RefMove(HEADS + name, old, commit),), pack=pack)
    await _move(stores, actor, opened, plan)
    return commit


async def delete_branch(stores: Storage, actor: Actor, opened: Repo, name: str) -> None:
    """Delete a branch.

    Raises:
        Forbidden: the default branch.
        RevisionNotFound: there is no such branch.
    """
    check_branch_may_go(opened, name)
    await _delete(stores, actor, opened, RefName.branch(name))


async def create_tag(
    stores: Storage,
    actor: Actor,
    opened: Repo,
    name: str,
    *,
    revision: str,
    message: str | None = None,
) -> None:
    """Make a tag at a revision; with a message it is an annotated one.

    Raises:
        InvalidName, RevisionNotFound, RefExists.
    """
    git = await stores.open_git(opened)
    commit = (await resolve_revision(stores.db, opened, git, revision)).commit
    check_branch_name(name)
    check_takes_no_commit(git, RefName.tag(name), commit)
    oid, pack = commit, None
    if message:
        pack, oid = await asyncio.to_thread(_tag_object, git, actor, name, commit, message)
        pack = await stores.publish(pack)
    plan = WritePlan((RefMove(TAGS + name, None, oid, commit),), pack=pack)
    await _move(stores, actor, opened, plan)


async def delete_tag(stores: Storage, actor: Actor, opened: Repo, name: str) -> None:
    """Delete a tag.

    Raises:
        RevisionNotFound: there is no such tag.
    """
    await _delete(stores, actor, opened, RefName.tag(name))


async def _move(stores: Storage, actor: Actor, opened: Repo, plan: WritePlan) -> None:
    await stores.db.write(move_refs, actor, opened, plan, Right.WRITE)


async def _delete(stores: Storage, actor: Actor, opened: Repo, name: RefName) -> None:
    async def attempt() -> None:
        row = (await refs_named(stores.db, opened.pk, [name.full])).get(name.full)
        if row is None:
            raise RevisionNotFound(revision=name.short, repo=opened.full_name)
        await _move(stores, actor, opened, WritePlan((RefMove(name.full, row.oid, None),)))

    await retrying(attempt)


async def squash(
    stores: Storage, actor: Actor, opened: Repo, branch: str, message: str | None
) -> str:
    """Replace a branch's history by one commit of the same content; return that commit.

    Raises:
        RevisionNotFound: there is no such branch.
    """
    text = message or f"Super-squash branch '{branch}' using huggingface_hub"

    async def attempt() -> str:
        row = await find_ref(stores.db, opened.pk, _full(branch))
        if row is None:
            raise RevisionNotFound(revision=branch, repo=opened.full_name)
        await stores.fetch_missing_packs(opened, [row.target])
        tree = git.tree_of(row.target)
        pack, commit = await asyncio.to_thread(_root_commit, git, actor, tree, Message(text).text)
        pack = await stores.publish(pack)
        await _move(
            stores, actor, opened, WritePlan((RefMove(row.name, row.oid, commit),), pack=pack)
        )
        return commit

    async with stores.locks.of(opened.id):
        git = await stores.open_git(opened)
        return await retrying(attempt)


def _full(branch: str) -> str:
    return branch if branch.startswith("refs/") else HEADS + branch


def _root_commit(git: GitRepo, actor: Actor, tree: str | None, message: str) -> tuple[Pack, str]:
    with git.draft() as draft:
        root = tree or draft.tree([])
        commit = draft.commit(root, [], author_of(actor), message, time_s=int(time.time()))
        return draft.finish(), commit


def _tag_object(
    git: GitRepo, actor: Actor, name: str, commit: str, message: str
) -> tuple[Pack, str]:
    with git.draft() as draft:
        oid = draft.tag(name, commit, author_of(actor), message, time_s=int(time.time()))
        return draft.finish(), oid
