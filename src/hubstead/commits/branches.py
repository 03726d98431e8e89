"""Creation, deletion and squashing of branches and tags."""

from __future__ import annotations

import time

import msgspec

from hubstead.accounts import Actor
from hubstead.admission import Lane, run_in_lane
from hubstead.commits.commit import Message, author_of
from hubstead.commits.ref_updates import WritePlan, write_moves
from hubstead.commits.refs import (
    TAGS,
    RefKind,
    RefMove,
    RefName,
    refs_named,
    require_room_for_refs,
)
from hubstead.commits.retries import retrying
from hubstead.commits.revisions import resolve_revision
from hubstead.commits.rules import check_branch_may_go, check_new_ref, check_takes_no_commit
from hubstead.commits.storage import Storage
from hubstead.errors import RefNotFound
from hubstead.gitstore import GitRepo, Pack
from hubstead.ids import check_branch_name
from hubstead.repos import Repo, Right


async def create_branch(
    storage: Storage,
    actor: Actor,
    repo: Repo,
    name: str,
    *,
    start: str | None = None,
    empty: bool = False,
    overwrite: bool = False,
) -> str:
    """Create a branch and return the commit it points to.

    Args:
        storage: The storage of content.
        actor: The caller.
        repo: The repository, with the right to write.
        name: The branch's short name; or ``refs/convert/x`` or ``~x`` for a conversion.
        start: The revision to start from; default: the default branch.
        empty: Start with one commit of the empty tree instead.
        overwrite: Move the branch if it exists.

    Raises:
        InvalidName: the name breaks a rule for branches, or is a pull request's.
        RevisionNotFound: ``start`` does not exist.
        RefExists: the branch exists.
        LimitReached: the repository has ``max_refs_per_repository``.
    """
    ref = RefName.of_branch_text(name)
    check_new_ref(ref)
    existing = (await refs_named(storage.db, repo.pk, [ref.full])).get(ref.full)
    await _require_room(storage, repo, created=existing is None)
    git = await storage.open_git(repo)
    pack: Pack | None = None
    if empty:
        root, commit = await run_in_lane(
            Lane.WRITES, _root_commit, git, actor, None, "initial commit"
        )
        pack = await storage.publish(root)
    else:
        commit = (await resolve_revision(storage, actor, repo, git, start or "HEAD")).commit
    old = existing.oid if existing and overwrite else None
    check_takes_no_commit(git, ref, commit, old=old)
    plan = WritePlan((RefMove(ref.full, old, commit),), pack=pack)
    await _move(storage, actor, repo, plan)
    return commit


async def delete_branch(storage: Storage, actor: Actor, repo: Repo, name: str) -> None:
    """Delete a branch, or a conversion (``refs/convert/x`` or ``~x``).

    Raises:
        Forbidden: the branch is the default branch.
        RefNotFound: the branch does not exist.
    """
    ref = RefName.of_branch_text(name)
    if ref.kind is RefKind.BRANCH:
        check_branch_may_go(repo, ref.short)
    await _delete(storage, actor, repo, ref)


async def create_tag(
    storage: Storage,
    actor: Actor,
    repo: Repo,
    name: str,
    *,
    revision: str,
    message: str | None = None,
) -> None:
    """Create a tag at a revision; a message makes it an annotated tag.

    Raises:
        InvalidName, RevisionNotFound, RefExists.
        LimitReached: the repository has ``max_refs_per_repository``.
    """
    await _require_room(storage, repo, created=True)
    git = await storage.open_git(repo)
    commit = (await resolve_revision(storage, actor, repo, git, revision)).commit
    check_branch_name(name)
    check_takes_no_commit(git, RefName.tag(name), commit)
    oid, pack = commit, None
    if message:
        pack, oid = await run_in_lane(Lane.WRITES, _tag_object, git, actor, name, commit, message)
        pack = await storage.publish(pack)
    plan = WritePlan((RefMove(TAGS + name, None, oid, commit),), pack=pack)
    await _move(storage, actor, repo, plan)


async def delete_tag(storage: Storage, actor: Actor, repo: Repo, name: str) -> None:
    """Delete a tag.

    Raises:
        RefNotFound: the tag does not exist.
    """
    await _delete(storage, actor, repo, RefName.tag(name))


async def _require_room(storage: Storage, repo: Repo, *, created: bool) -> None:
    await require_room_for_refs(storage.db, repo, int(created), storage.settings.git.max_refs)


async def _move(storage: Storage, actor: Actor, repo: Repo, plan: WritePlan) -> None:
    guarded = msgspec.structs.replace(plan, pulls=storage.pulls)
    await write_moves(storage.db, actor, repo, guarded, Right.WRITE)


async def _delete(storage: Storage, actor: Actor, repo: Repo, name: RefName) -> None:
    async def attempt() -> None:
        row = (await refs_named(storage.db, repo.pk, [name.full])).get(name.full)
        if row is None:
            raise RefNotFound(revision=name.revision, repo=repo.full_name)
        await _move(storage, actor, repo, WritePlan((RefMove(name.full, row.oid, None),)))

    await retrying(attempt)


async def squash(
    storage: Storage, actor: Actor, repo: Repo, branch: str, message: str | None
) -> str:
    """Replace a branch's history by one commit of the same content; return that commit.

    ``branch`` is read as ``RefName.of_branch_text`` does.

    Raises:
        RefNotFound: the branch does not exist.
    """
    text = message or f"Super-squash branch '{branch}' using huggingface_hub"
    ref = RefName.of_branch_text(branch)

    async def attempt() -> str:
        row = (await refs_named(storage.db, repo.pk, [ref.full])).get(ref.full)
        if row is None:
            raise RefNotFound(revision=branch, repo=repo.full_name)
        await storage.fetch_missing_packs(repo, [row.target])
        tree = git.tree_of(row.target)
        pack, commit = await run_in_lane(
            Lane.WRITES, _root_commit, git, actor, tree, Message(text).text
        )
        pack = await storage.publish(pack)
        await _move(
            storage, actor, repo, WritePlan((RefMove(row.name, row.oid, commit),), pack=pack)
        )
        return commit

    async with storage.locks.of(repo.id):
        git = await storage.open_git(repo)
        return await retrying(attempt)


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
