"""Making a repository: its first commit and its row become visible together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from hubstead.accounts import Actor
from hubstead.blobs import copy_links
from hubstead.commits.commit import author_of
from hubstead.commits.metadata import derive_metadata
from hubstead.commits.packs import PackRow, add_pack, list_packs
from hubstead.commits.ref_updates import WritePlan, add_usage, apply_plan
from hubstead.commits.refs import HEADS, RefMove, list_refs
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
)

SDKS = ("gradio", "docker", "static", "streamlit")


class RepoRequest(msgspec.Struct, frozen=True):
    """A repository that somebody asks for."""

    repo_id: RepoId  # an empty owner: the caller's own namespace
    private: bool = False
    sdk: str | None = None
    lfs_multipart_threshold: int | None = None
    files: dict[str, bytes] = {}  # more files for the first commit


async def create_repository(stores: Storage, actor: Actor, wanted: RepoRequest) -> Repo:
    """Make a repository with the one commit that the Hub makes, and return it.

    Raises:
        InvalidName: the name breaks a rule.
        InvalidInput: a space without a known sdk; files or a card that break a rule.
        LoginRequired, Forbidden: not in this namespace.
        RepoExists: the name is taken.
    """
    _check_sdk(wanted)
    stores.check_room()
    new = await _reserve(stores, actor, wanted)
    async with _new_folder(stores, new.id) as git:
        made, commit = await asyncio.to_thread(_first_commit, git, actor, wanted)
        made = await stores.publish(made)
        head = f"{HEADS}main"
        derived = await asyncio.to_thread(derive_metadata, new.kind, git, git.tree_of(commit))
        plan = WritePlan((RefMove(head, None, commit),), pack=made, derived=derived)
        return await stores.db.write(lambda tx: _insert(tx, actor, new, plan))


@asynccontextmanager
async def _new_folder(stores: Storage, repo_id: str) -> AsyncIterator[GitRepo]:
    """Make a folder of git that goes again if the repository is refused.

    Only a refusal takes it away: after a cancelled request or a lost connection the transaction
    may have been carried out, and a folder that no row names is swept once it is old.
    """
    git = await asyncio.to_thread(stores.git.create, repo_id)
    try:
        yield git
    except HubError as error:
        if not isinstance(error, Unavailable):
            await asyncio.to_thread(stores.git.remove, repo_id)
        raise


def _check_sdk(wanted: RepoRequest) -> None:
    if wanted.repo_id.kind is Kind.SPACE:
        if wanted.sdk not in SDKS:
            raise InvalidInput(reason=f'"sdk" must be one of [{", ".join(SDKS)}]')
    elif wanted.sdk:
        raise InvalidInput(reason='"sdk" is for spaces only')


async def _reserve(stores: Storage, actor: Actor, wanted: RepoRequest) -> NewRepo:
    """Check what can be checked before anything is written."""
    owner = await open_namespace(stores.db, actor, wanted.repo_id.owner or None)
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
    if not await name_is_free(stores.db, new.repo_id):
        raise RepoExists(repo_id=new.repo_id)
    return new


async def _insert(tx: Tx, actor: Actor, new: NewRepo, plan: WritePlan) -> Repo:
    await open_namespace(tx, actor, new.owner)
    await insert_repo(tx, actor, new)
    opened = await open_repo(tx, actor, new.repo_id, Right.WRITE)
    await apply_plan(tx, actor, opened, plan)
    await record_event(tx, repo_subject(opened.pk), RepoCreated(**event_facts(opened)))
    return await open_repo(tx, actor, new.repo_id)


def _first_commit(git: GitRepo, actor: Actor, wanted: RepoRequest) -> tuple[Pack, str]:
    files = {".gitattributes": GITATTRIBUTES[wanted.repo_id.kind].encode()}
    if wanted.repo_id.kind is Kind.SPACE:
        files["README.md"] = _space_card(wanted).encode()
    with git.draft() as draft:
        edits = [(path, PutFile(draft.blob(data))) for path, data in (files | wanted.files).items()]
        tree = edit_tree(git, draft, None, edits)
        check_card(wanted.repo_id.kind, git, draft, edits)
        commit = draft.commit(tree, [], author_of(actor), "initial commit", time_s=int(time.time()))
        return draft.finish(), commit


def _space_card(wanted: RepoRequest) -> str:
    """Return the card of a new space; its front matter is what makes it one."""
    title = wanted.repo_id.name.replace("-", " ").replace("_", " ").strip().title()
    return (
        f"---\ntitle: {msgspec.json.encode(title).decode()}\nemoji: 🚀\ncolorFrom: blue\n"
        f"colorTo: indigo\nsdk: {wanted.sdk}\npinned: false\n---\n"
    )


async def duplicate_repository(
    stores: Storage, actor: Actor, source: Repo, wanted: RepoRequest
) -> Repo:
    """Make a repository with the branches, tags and history of another one, and return it.

    Objects are shared where the file system can (hard links), LFS objects always.

    Args:
        stores: Where content lies.
        actor: Who asks; becomes the creator.
        source: Opened for its content.
        wanted: The new one; its sdk is the source's.

    Raises:
        Those of ``create_repository``.
    """
    new = await _reserve(stores, actor, wanted)
    new = msgspec.structs.replace(new, sdk=source.sdk)
    await stores.open_git(source)
    async with _new_folder(stores, new.id) as git, stores.locks.of(source.id):
        await asyncio.to_thread(stores.git.link_packs, source.id, new.id)
        return await stores.db.write(lambda tx: _insert_copy(tx, actor, source, new, git))


async def _insert_copy(tx: Tx, actor: Actor, source: Repo, new: NewRepo, git: GitRepo) -> Repo:
    await open_namespace(tx, actor, new.owner)
    seen = await open_repo(tx, actor, source.repo_id, Right.READ, lock=True)
    await insert_repo(tx, actor, new)
    opened = await open_repo(tx, actor, new.repo_id, Right.WRITE)
    packs = await list_packs(tx, seen.pk)
    for row in packs:
        await add_pack(tx, opened.pk, _pack_in(git, row))
    await copy_links(tx, seen.pk, opened.pk)
    kept = await load_details(tx, seen)
    await add_usage(tx, opened.pk, packs=len(packs), used_bytes=kept.used_bytes)
    refs = await list_refs(tx, seen.pk)
    moves = tuple(RefMove(row.name, None, row.oid, row.target) for row in refs)
    derived = (
        derive_metadata(new.kind, git, git.tree_of(seen.head)) if seen.head else RepoMetadata()
    )
    await apply_plan(tx, actor, opened, WritePlan(moves, derived=derived))
    await record_event(tx, repo_subject(opened.pk), RepoCreated(**event_facts(opened)))
    return await open_repo(tx, actor, new.repo_id)


def _pack_in(git: GitRepo, row: PackRow) -> Pack:
    """Describe a registered pack that is in the repository's folder."""
    stem = git.path / "objects" / "pack" / f"pack-{row.name}"
    files = stem.with_suffix(".pack"), stem.with_suffix(".idx")
    return Pack(row.name, row.objects, row.bytes, *files, stored=row.key.name)
