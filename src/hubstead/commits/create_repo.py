"""Creation of repositories: row and first commit become visible in one transaction."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from hubstead.accounts import Actor
from hubstead.admission import Lane, run_in_lane, run_to_the_end
from hubstead.blobs import copy_links
from hubstead.commits.commit import author_of
from hubstead.commits.metadata import derive_metadata
from hubstead.commits.owner_bytes import require_room_for_bytes
from hubstead.commits.packs import PackRow, add_pack, list_packs
from hubstead.commits.path_rules import PathRules
from hubstead.commits.reachability import sees_unreachable
from hubstead.commits.ref_updates import WritePlan, add_usage, apply_plan
from hubstead.commits.refs import HEADS, PULLS, Ref, RefMove, RefMoved, list_refs
from hubstead.commits.retries import retrying
from hubstead.commits.rules import check_card
from hubstead.commits.storage import Storage
from hubstead.db import Tx
from hubstead.errors import HubError, InvalidInput, Unavailable
from hubstead.gitstore import GITATTRIBUTES, GitRepo, Pack, PutFile, edit_tree
from hubstead.ids import Kind, RepoId, check_repo_name, new_object_id
from hubstead.outbox import record_event
from hubstead.repos import (
    NewRepo,
    Repo,
    RepoCreated,
    RepoExists,
    RepoMetadata,
    Right,
    event_facts,
    insert_repo,
    load_details,
    name_is_free,
    open_namespace,
    open_repo,
    repo_subject,
    require_room_for_repo,
)
from hubstead.settings import CommitSettings

SDKS = ("gradio", "docker", "static", "streamlit")


class RepoRequest(msgspec.Struct, frozen=True):
    """A request to create a repository."""

    repo_id: RepoId  # an empty owner: the caller's own namespace
    private: bool = False
    sdk: str | None = None
    lfs_multipart_threshold: int | None = None
    files: dict[str, bytes] = {}  # more files for the first commit


async def create_repository(storage: Storage, actor: Actor, wanted: RepoRequest) -> Repo:
    """Create a repository with the initial commit of the Hub, and return it.

    Raises:
        InvalidName: the name breaks a rule.
        InvalidInput: a space without a known sdk; files or a card that break a rule.
        LoginRequired, Forbidden: the actor may not create repositories in this namespace.
        RepoExists: the name is taken.
    """
    _check_sdk(wanted)
    storage.check_room()
    new = await _reserve(storage, actor, wanted)
    async with _new_folder(storage, new.id) as git:
        settings = storage.settings.commits
        pack, commit = await run_in_lane(Lane.WRITES, _first_commit, git, actor, wanted, settings)
        pack = await storage.publish(pack)
        head = f"{HEADS}main"
        derived = await run_in_lane(
            Lane.WRITES, derive_metadata, new.kind, git, git.tree_of(commit)
        )
        most = storage.settings.accounts.max_bytes
        plan = WritePlan(
            (RefMove(head, None, commit),), pack, derived=derived, max_owner_bytes=most
        )
        return await storage.db.write(lambda tx: _insert(tx, actor, new, plan))


@asynccontextmanager
async def _new_folder(storage: Storage, repo_id: str) -> AsyncIterator[GitRepo]:
    """Create a git folder, and remove it if the repository is refused.

    Only a refusal removes it: after a cancelled request or a lost connection the transaction
    may have been committed. `sweep_folders` removes an old folder that no row names.
    """
    git = await run_in_lane(Lane.WRITES, storage.git.create, repo_id)
    try:
        yield git
    except HubError as error:
        if not isinstance(error, Unavailable):
            await run_to_the_end(Lane.BACKGROUND, storage.git.remove, repo_id)
        raise


def _check_sdk(wanted: RepoRequest) -> None:
    if wanted.repo_id.kind is Kind.SPACE:
        if wanted.sdk not in SDKS:
            raise InvalidInput(reason=f'"sdk" must be one of [{", ".join(SDKS)}]')
    elif wanted.sdk:
        raise InvalidInput(reason='"sdk" is for spaces only')


async def _reserve(storage: Storage, actor: Actor, wanted: RepoRequest) -> NewRepo:
    """Check the right and the name before any write."""
    owner = await open_namespace(storage.db, actor, wanted.repo_id.owner or None)
    new = NewRepo(
        id=new_object_id(),
        kind=wanted.repo_id.kind,
        owner=owner.name,
        owner_pk=owner.pk,
        name=check_repo_name(wanted.repo_id.name),
        private=wanted.private,
        sdk=wanted.sdk,
        lfs_multipart_threshold=wanted.lfs_multipart_threshold,
    )
    most = storage.settings.accounts.max_repositories
    await require_room_for_repo(storage.db, owner.name, owner.pk, most)
    if not await name_is_free(storage.db, new.repo_id):
        raise RepoExists(repo_id=new.repo_id)
    return new


async def _insert(tx: Tx, actor: Actor, new: NewRepo, plan: WritePlan) -> Repo:
    owner = await open_namespace(tx, actor, new.owner, lock=True)
    new = msgspec.structs.replace(new, owner=owner.name, owner_pk=owner.pk)  # renamed meanwhile
    await insert_repo(tx, actor, new)
    repo = await open_repo(tx, actor, new.repo_id, Right.WRITE)
    await apply_plan(tx, actor, repo, plan)
    await record_event(tx, repo_subject(repo.pk), RepoCreated(**event_facts(repo)))
    return await open_repo(tx, actor, new.repo_id)


def _first_commit(
    git: GitRepo, actor: Actor, wanted: RepoRequest, settings: CommitSettings
) -> tuple[Pack, str]:
    files = {".gitattributes": GITATTRIBUTES[wanted.repo_id.kind].encode()}
    if wanted.repo_id.kind is Kind.SPACE:
        files["README.md"] = _space_card(wanted).encode()
    rules = PathRules.of(settings)
    with git.draft() as draft:
        edits = [
            (rules.check(path), PutFile(draft.blob(data)))
            for path, data in (files | wanted.files).items()
        ]
        tree = edit_tree(
            git,
            draft,
            None,
            edits,
            max_entries=settings.max_folder_entries,
            refuse_case_clashes=settings.refuse_case_clashes,
        )
        check_card(wanted.repo_id.kind, git, draft, edits)
        commit = draft.commit(tree, [], author_of(actor), "initial commit", time_s=int(time.time()))
        return draft.finish(), commit


def _space_card(wanted: RepoRequest) -> str:
    """Return the card of a new space; its front matter declares the sdk."""
    title = wanted.repo_id.name.replace("-", " ").replace("_", " ").strip().title()
    return (
        f"---\ntitle: {msgspec.json.encode(title).decode()}\nemoji: 🚀\ncolorFrom: blue\n"
        f"colorTo: indigo\nsdk: {wanted.sdk}\npinned: false\n---\n"
    )


async def duplicate_repository(
    storage: Storage, actor: Actor, source: Repo, wanted: RepoRequest
) -> Repo:
    """Create a repository with the branches, tags and history of another; return it.

    Packs are hard links where the file system supports them; LFS objects are shared.

    Args:
        storage: The storage of content.
        actor: The caller; becomes the creator.
        source: The repository to duplicate; the actor may read its content.
        wanted: The new repository; its sdk is that of the source.

    Raises:
        Those of ``create_repository``.
    """
    new = await _reserve(storage, actor, wanted)
    new = msgspec.structs.replace(new, sdk=source.sdk)
    details = await load_details(storage.db, source)
    most = storage.settings.accounts.max_bytes
    await require_room_for_bytes(
        storage.db, new.owner, new.owner_pk, most, created=details.used_bytes
    )
    await storage.open_git(source)

    async def attempt() -> Repo:
        async with _new_folder(storage, new.id) as git, storage.locks.of(source.id):
            copy = await _copy_packs(storage, actor, source, new, git)
            return await storage.db.write(lambda tx: _insert_copy(tx, actor, source, new, copy))

    return await retrying(attempt)


class _Copy(msgspec.Struct, frozen=True):
    """The content of a duplicate, as its folder has it."""

    git: GitRepo
    refs: list[Ref] | None  # as of the copy, if it must not contain what they do not reach
    pack: Pack | None = None  # all objects; None: the packs of the source


async def _copy_packs(
    storage: Storage, actor: Actor, source: Repo, new: NewRepo, git: GitRepo
) -> _Copy:
    """Fill the folder of a duplicate.

    Its owner may read all of its objects. So a caller who may not read what no ref of the source
    reaches gets one pack of the other objects, if the source has such objects.
    """
    refs = await list_refs(storage.db, source.pk)
    await storage.fetch_missing_packs(source, [row.target for row in refs])
    await run_in_lane(Lane.WRITES, storage.git.link_packs, source.id, new.id)
    if sees_unreachable(source, actor):
        return _Copy(git, None)
    names = await run_in_lane(Lane.WRITES, storage.git.pack_names, new.id)
    tips = {row.name: (row.oid, row.target) for row in refs}
    with storage.git.repacker(new.id) as repacker:
        if not tips or not await run_in_lane(
            Lane.WRITES, repacker.find_unreachable, names, [row.oid for row in refs]
        ):
            return _Copy(git, refs)
        folder = await run_in_lane(
            Lane.WRITES, storage.git.projection, new.id, tips, HEADS + "main"
        )
        pack = await run_in_lane(Lane.WRITES, repacker.combine_reachable, folder)
    assert pack is not None, "a ref reaches at least its commit"
    others = [name for name in names if name != pack.name]
    await run_in_lane(Lane.WRITES, storage.git.remove_packs, new.id, others)
    return _Copy(git, refs, await storage.publish(pack))


async def _insert_copy(tx: Tx, actor: Actor, source: Repo, new: NewRepo, copy: _Copy) -> Repo:
    owner = await open_namespace(tx, actor, new.owner, lock=True)
    new = msgspec.structs.replace(new, owner=owner.name, owner_pk=owner.pk)  # renamed meanwhile
    seen = await open_repo(tx, actor, source.repo_id, Right.READ, lock=True)
    refs = await list_refs(tx, seen.pk)
    if copy.refs is not None and refs != copy.refs:
        raise RefMoved(ref=HEADS + seen.default_branch, oid=seen.head or "it is gone")
    await insert_repo(tx, actor, new)
    repo = await open_repo(tx, actor, new.repo_id, Right.WRITE)
    await _register_copied(tx, seen, repo, copy)
    moves = tuple(
        RefMove(row.name, None, row.oid, row.target)
        for row in refs
        if not row.name.startswith(PULLS)  # their requests stay behind
    )
    derived = (
        derive_metadata(new.kind, copy.git, copy.git.tree_of(seen.head))
        if seen.head
        else RepoMetadata()
    )
    await apply_plan(tx, actor, repo, WritePlan(moves, derived=derived))
    await record_event(tx, repo_subject(repo.pk), RepoCreated(**event_facts(repo)))
    return await open_repo(tx, actor, new.repo_id)


async def _register_copied(tx: Tx, source: Repo, repo: Repo, copy: _Copy) -> None:
    """Register packs and links of a duplicate, and count their bytes."""
    rows = await list_packs(tx, source.pk)
    packs = [copy.pack] if copy.pack else [_pack_in(copy.git, row) for row in rows]
    for pack in packs:
        await add_pack(tx, repo.pk, pack)
    await copy_links(tx, source.pk, repo.pk)
    details = await load_details(tx, source)
    more_bytes = sum(pack.size for pack in packs) - sum(row.bytes for row in rows)
    used_bytes = details.used_bytes + more_bytes
    await add_usage(tx, repo.pk, packs=len(packs), used_bytes=used_bytes)


def _pack_in(git: GitRepo, row: PackRow) -> Pack:
    """Return the pack of a row, with its files in the repository's folder."""
    stem = git.path / "objects" / "pack" / f"pack-{row.name}"
    files = stem.with_suffix(".pack"), stem.with_suffix(".idx")
    return Pack(row.name, row.objects, row.bytes, *files, stored=row.key.name)
