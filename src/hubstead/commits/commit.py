"""Applying a change to a branch: the write path of every commit made over an API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import msgspec

from hubstead import blobs
from hubstead.accounts import Actor
from hubstead.blobs import BlobKind, Link
from hubstead.commits.changeset import Changeset, CopyEntry, Operation, PutLfsPointer
from hubstead.commits.linkable import linkable_size
from hubstead.commits.metadata import derive_metadata, same_sources
from hubstead.commits.ref_updates import WritePlan, apply_plan, move_refs
from hubstead.commits.refs import RefMove, RefMoved, RefName, refs_named
from hubstead.commits.retired import discard_packs
from hubstead.commits.retries import retrying
from hubstead.commits.revisions import resolve_revision
from hubstead.commits.rules import check_card
from hubstead.commits.storage import Storage
from hubstead.db import Tx
from hubstead.errors import (
    BlobMissing,
    EntryNotFound,
    HubError,
    InvalidInput,
    RevisionNotFound,
    StaleParent,
)
from hubstead.gitstore import (
    Edit,
    GitRepo,
    Ident,
    Pack,
    PackDraft,
    Pointer,
    PutFile,
    PutTree,
    edit_tree,
    file_mode,
)
from hubstead.repos import Repo, RepoMetadata, Right, reopen

#: How often a change is put onto a tip that another node moved meanwhile.
ATTEMPTS = 20


class Message(msgspec.Struct, frozen=True):
    """Title and body of a commit."""

    summary: str
    description: str = ""

    @property
    def text(self) -> str:
        """As git keeps it: the body after an empty line.

        Raises:
            InvalidInput: there is no title.
        """
        title = " ".join(self.summary.split())
        if not title:
            raise InvalidInput(reason="the summary of a commit must not be empty")
        return f"{title}\n\n{self.description}" if self.description.strip() else title


class CommitResult(msgspec.Struct, frozen=True):
    """What came of a commit."""

    commit: str
    changed: bool  # False: nothing differed, ``commit`` is the tip as it was


def author_of(actor: Actor) -> Ident:
    """Return whom a commit made over an API names."""
    return Ident(actor.name, actor.email or f"{actor.name}@users.noreply.hubstead")


async def commit(
    stores: Storage,
    actor: Actor,
    opened: Repo,
    *,
    target: RefName,
    right: Right,
    changeset: Changeset,
    message: Message,
    parent: str | None = None,
) -> CommitResult:
    """Commit ``changeset`` to the ref ``target`` and return when that is durable and visible.

    Without ``parent`` the changeset is applied again when the tip moved meanwhile, so uploads of
    different files at the same time all succeed. The changeset's draft is used up.

    Args:
        stores: Where content lies.
        actor: Who commits.
        opened: The repository, opened with ``right``.
        target: The ref; it exists, or is the default branch of an empty repository.
        right: The right that the transaction checks again: WRITE for a branch.
        changeset: The operations.
        message: Title and body.
        parent: The tip (7 to 40 hex digits) the caller saw; any other is an error.

    Raises:
        RevisionNotFound: there is no such ref.
        StaleParent: the tip is not ``parent``.
        EntryNotFound: something to remove or copy is not there.
        InvalidInput: a file is in the way of a folder, a path or the card breaks a rule.
        BlobMissing: an LFS object was not uploaded to this repository.
        ConcurrentChange: other nodes moved the ref again and again.
    """
    stores.check_room()
    async with stores.locks.of(opened.id):
        git = await stores.open_git(opened)
        writing = _Writing(
            stores,
            actor,
            opened,
            git,
            target,
            right,
            changeset.operations,
            message,
            changeset.draft,
        )
        try:
            return await retrying(partial(writing.attempt, parent), attempts=ATTEMPTS)
        finally:
            writing.draft.discard()


class _PutPointer(msgspec.Struct, frozen=True):
    pointer: Pointer
    asked: PutLfsPointer


class _Base(msgspec.Struct, frozen=True):
    """The tip that a change goes onto; None for both while there is none."""

    commit: str | None
    tree: str | None


class _Settled(msgspec.Struct, frozen=True):
    """What was asked for, in terms of one base."""

    edits: list[tuple[str, Edit | _PutPointer]]
    links: list[Link]


class _Made(msgspec.Struct, frozen=True):
    """A commit whose objects are durable, and that nobody can see yet."""

    commit: str
    pack: Pack
    derived: RepoMetadata | None


@dataclass(slots=True)
class _Writing:
    """One commit under way, step by step."""

    stores: Storage
    actor: Actor
    opened: Repo
    git: GitRepo
    target: RefName
    right: Right
    operations: Sequence[tuple[str, Operation]]
    message: Message
    draft: PackDraft

    async def attempt(self, parent: str | None) -> CommitResult:
        """Apply the operations to the tip as it is now.

        Raises:
            RefMoved: another node moved it meanwhile; ``draft`` is ready for the next attempt.
        """
        base = await self.base(parent)
        settled = await self.settle(base)
        made = await asyncio.to_thread(self.build, base, settled.edits)
        if made is None:
            assert base.commit is not None
            await self.link_again(settled.links)
            return CommitResult(base.commit, changed=False)
        try:
            await self.make_visible(base, made, settled.links)
        except HubError as error:
            if isinstance(error, RefMoved):
                self.draft = await asyncio.to_thread(self.carry_over)
            await discard_packs(self.stores, self.opened.id, [made.pack])
            raise
        return CommitResult(made.commit, changed=True)

    @property
    def is_default_branch(self) -> bool:
        return self.target == RefName.branch(self.opened.default_branch)

    async def base(self, parent: str | None) -> _Base:
        """Return the tip; check that it is the one the caller saw."""
        opened, target = self.opened, self.target
        row = (await refs_named(self.stores.db, opened.pk, [target.full])).get(target.full)
        if row is None:
            if opened.head is not None or not self.is_default_branch:
                raise RevisionNotFound(revision=target.revision, repo=opened.full_name)
            if parent:
                raise StaleParent(branch=target.revision, expected=parent, tip="no commit yet")
            return _Base(None, None)
        if parent and not row.target.startswith(parent):
            raise StaleParent(branch=target.revision, expected=parent, tip=row.target)
        await self.stores.fetch_missing_packs(opened, [row.target])
        return _Base(row.target, self.git.tree_of(row.target))

    async def settle(self, base: _Base) -> _Settled:
        """Turn the operations into edits of the base's tree and links to LFS objects."""
        settled = _Settled([], [])
        pointers = [each.key.name for _, each in self.operations if isinstance(each, PutLfsPointer)]
        damaged = await self.stores.xet.damage.damaged_objects(pointers)
        for path, operation in self.operations:
            if isinstance(operation, PutLfsPointer):
                size = await linkable_size(
                    self.stores.db,
                    self.actor,
                    self.opened,
                    path=path,
                    key=operation.key,
                    size=operation.size,
                )
                if operation.key.name in damaged:
                    raise BlobMissing(name=operation.key.name, path=path)
                settled.links.append(Link(operation.key, size, path, self.target.full))
                pointer = Pointer(operation.key.name, size)
                settled.edits.append((path, _PutPointer(pointer, operation)))
            elif isinstance(operation, CopyEntry):
                settled.edits.append((path, await self._copied(base, operation)))
            else:
                settled.edits.append((path, operation))
        return settled

    async def _copied(self, base: _Base, copy: CopyEntry) -> PutFile | PutTree:
        commit_oid = base.commit
        if copy.revision:
            found = await resolve_revision(self.stores.db, self.opened, self.git, copy.revision)
            commit_oid = found.commit
        entry = self.git.entry(commit_oid, copy.source) if commit_oid else None
        if entry is None or entry.type == "commit":
            raise EntryNotFound(reason=f"The file to copy does not exist: {copy.source}")
        if entry.type == "tree":
            return PutTree(entry.oid)
        return PutFile(entry.oid, file_mode(entry.mode))

    def build(self, base: _Base, edits: Sequence[tuple[str, Edit | _PutPointer]]) -> _Made | None:
        """Write trees and commit, and make the pack durable; None if nothing differs.

        Runs in a thread.
        """
        settings, draft = self.stores.settings, self.draft
        written = [
            (path, _pointer_file(draft, edit) if isinstance(edit, _PutPointer) else edit)
            for path, edit in edits
        ]
        with discard_on_error(draft):
            tree = edit_tree(
                self.git,
                draft,
                base.tree,
                written,
                max_entries=settings.commits.max_folder_entries,
                refuse_case_clashes=settings.commits.refuse_case_clashes,
            )
            if tree == base.tree:
                draft.discard()
                return None
            check_card(self.opened.kind, self.git, draft, written)
            parents = [base.commit] if base.commit else []
            author, now = author_of(self.actor), int(time.time())
            oid = draft.commit(tree, parents, author, self.message.text, time_s=now)
            pack = draft.finish()
        return _Made(oid, pack, self._derived(base, tree))

    def _derived(self, base: _Base, tree: str) -> RepoMetadata | None:
        if not self.is_default_branch or same_sources(self.git, base.tree, tree):
            return None
        return derive_metadata(self.opened.kind, self.git, tree)

    async def make_visible(self, base: _Base, made: _Made, links: Sequence[Link]) -> None:
        """Move the ref."""
        pack = await self.stores.publish(made.pack)
        plan = WritePlan(
            moves=(RefMove(self.target.full, base.commit, made.commit),),
            pack=pack,
            links=tuple(links),
            derived=made.derived,
        )
        await self.stores.db.write(move_refs, self.actor, self.opened, plan, self.right)

    async def link_again(self, links: Sequence[Link]) -> None:
        """Link what files of the tip name already: their objects may have come later."""
        names = [link.key.name for link in links]
        held = await blobs.linked_many(self.stores.db, self.opened.pk, BlobKind.LFS, names)
        if all(name in held and held[name].committed for name in names):
            return

        async def relink(tx: Tx) -> None:
            again = await reopen(tx, self.actor, self.opened, self.right)
            await apply_plan(tx, self.actor, again, WritePlan(moves=(), links=tuple(links)))

        await self.stores.db.write(relink)

    def carry_over(self) -> PackDraft:
        """Start a new draft with the contents of one whose pack was made in vain.

        The vain pack is read here, and retired by the caller.
        """
        draft = self.git.draft()
        for _, operation in self.operations:
            if isinstance(operation, PutFile):
                draft.blob(self.git.blob(operation.oid))
        return draft


def _pointer_file(draft: PackDraft, edit: _PutPointer) -> PutFile:
    oid = draft.blob(edit.asked.text or edit.pointer.format())
    return PutFile(oid, edit.asked.mode, edit.asked.mode_of)


@contextmanager
def discard_on_error(draft: PackDraft) -> Iterator[None]:
    """Discard the draft if what is done with it fails."""
    try:
        yield
    except BaseException:
        draft.discard()
        raise
