"""Applying a change to a branch: the write path of every commit made over an API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from hubstead import blobs
from hubstead.accounts import Actor
from hubstead.blobs import BlobKey, BlobKind, Link
from hubstead.commits.changeset import Changeset, CopyEntry, Operation, PutLfsPointer
from hubstead.commits.metadata import derive_metadata, same_sources
from hubstead.commits.ref_updates import WritePlan, apply_plan, move_refs
from hubstead.commits.refs import HEADS, RefMove, RefMoved, find_ref
from hubstead.commits.retired import discard_packs
from hubstead.commits.revisions import resolve_revision
from hubstead.commits.rules import check_card
from hubstead.commits.storage import Storage
from hubstead.db import Reader, Tx
from hubstead.errors import (
    BlobMissing,
    ConcurrentChange,
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
from hubstead.repos import Repo, RepoMetadata, Right, reopen, try_open_repo_by_pk

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
    branch: str,
    change: Changeset,
    message: Message,
    parent: str | None = None,
) -> CommitResult:
    """Commit ``change`` to ``branch`` and return when that is durable and visible.

    Without ``parent`` a change is applied again when the tip moved meanwhile, so uploads of
    different files at the same time all succeed. The change's draft is used up.

    Args:
        stores: Where content lies.
        actor: Who commits.
        opened: The repository, opened for writing.
        branch: The branch's short name; it exists, or is the default branch of an empty
            repository.
        change: What to do.
        message: What the commit says.
        parent: The tip (7 to 40 hex digits) the caller saw; any other is an error.

    Raises:
        RevisionNotFound: there is no such branch.
        StaleParent: the tip is not ``parent``.
        EntryNotFound: something to remove or copy is not there.
        InvalidInput: a file is in the way of a folder, a path or the card breaks a rule.
        BlobMissing: an LFS object was not uploaded to this repository.
        ConcurrentChange: other nodes moved the branch again and again.
    """
    stores.check_room()
    async with stores.locks.of(opened.id):
        git = await stores.open_git(opened)
        writing = _Writing(stores, actor, opened, git, branch, change.operations, message)
        draft = change.draft
        for _ in range(ATTEMPTS):
            base = await writing.base(parent)
            settled = await writing.settle(base)
            made = await asyncio.to_thread(writing.build, draft, base, settled.edits)
            if made is None:
                assert base.commit is not None
                await writing.link_again(settled.links)
                return CommitResult(base.commit, changed=False)
            try:
                await writing.make_visible(base, made, settled.links)
            except RefMoved:
                draft = await asyncio.to_thread(writing.carry_over)
                await discard_packs(stores, opened.id, [made.pack])
                continue
            except HubError:
                await discard_packs(stores, opened.id, [made.pack])
                raise
            return CommitResult(made.commit, changed=True)
        draft.discard()
        raise ConcurrentChange()


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


@dataclass(frozen=True, slots=True)
class _Writing:
    """One commit under way, step by step."""

    stores: Storage
    actor: Actor
    opened: Repo
    git: GitRepo
    branch: str
    operations: Sequence[tuple[str, Operation]]
    message: Message

    async def base(self, parent: str | None) -> _Base:
        """Find the tip and hold it against the one the caller saw."""
        opened, branch = self.opened, self.branch
        row = await find_ref(self.stores.db, opened.pk, HEADS + branch)
        if row is None or row.name != HEADS + branch:
            if opened.head is not None or branch != opened.default_branch:
                raise RevisionNotFound(revision=branch, repo=opened.full_name)
            if parent:
                raise StaleParent(branch=branch, expected=parent, tip="no commit yet")
            return _Base(None, None)
        if parent and not row.target.startswith(parent):
            raise StaleParent(branch=branch, expected=parent, tip=row.target)
        await self.stores.fetch_missing_packs(opened, [row.target])
        return _Base(row.target, self.git.tree_of(row.target))

    async def settle(self, base: _Base) -> _Settled:
        """Turn the operations into edits of the base's tree and links to LFS objects."""
        settled = _Settled([], [])
        pointers = [each.key.name for _, each in self.operations if isinstance(each, PutLfsPointer)]
        damaged = await self.stores.xet.damaged_objects(pointers)
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
                settled.links.append(Link(operation.key, size, path, HEADS + self.branch))
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

    def build(
        self, draft: PackDraft, base: _Base, edits: Sequence[tuple[str, Edit | _PutPointer]]
    ) -> _Made | None:
        """Write trees and commit, and make the pack durable; None if nothing differs.

        Runs in a thread.
        """
        settings = self.stores.settings
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
                max_entries=settings.max_folder_entries,
                refuse_case_clashes=settings.refuse_case_clashes,
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
        if self.branch != self.opened.default_branch or same_sources(self.git, base.tree, tree):
            return None
        return derive_metadata(self.opened.kind, self.git, tree)

    async def make_visible(self, base: _Base, made: _Made, links: Sequence[Link]) -> None:
        """Move the branch."""
        pack = await self.stores.publish(made.pack)
        plan = WritePlan(
            moves=(RefMove(HEADS + self.branch, base.commit, made.commit),),
            pack=pack,
            links=tuple(links),
            derived=made.derived,
        )

        async def move(tx: Tx) -> None:
            await self._check_linkable(tx, links)
            await move_refs(tx, self.actor, self.opened, plan)

        await self.stores.db.write(move)

    async def link_again(self, links: Sequence[Link]) -> None:
        """Link what files of the tip name already: their objects may have come later."""
        names = [link.key.name for link in links]
        held = await blobs.linked_many(self.stores.db, self.opened.pk, BlobKind.LFS, names)
        if all(name in held and held[name].committed for name in names):
            return

        async def relink(tx: Tx) -> None:
            again = await reopen(tx, self.actor, self.opened, Right.WRITE)
            await self._check_linkable(tx, links)
            await apply_plan(tx, self.actor, again, WritePlan(moves=(), links=tuple(links)))

        await self.stores.db.write(relink)

    async def _check_linkable(self, tx: Tx, links: Sequence[Link]) -> None:
        # Asked again here: what was held when the commit was prepared may be gone.
        for link in links:
            path, size = link.path or "", link.bytes
            await linkable_size(tx, self.actor, self.opened, path=path, key=link.key, size=size)

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


async def linkable_size(
    db: Reader, actor: Actor, opened: Repo, *, path: str, key: BlobKey, size: int | None
) -> int:
    """Return the size in bytes of an LFS object that the repository may link.

    Knowing a hash is not owning the bytes: they were uploaded to this repository, or the writer
    may read the files of another one that holds them.

    Args:
        db: The database, or the transaction that is going to link it.
        actor: Who writes.
        opened: The repository.
        path: The file, for messages.
        key: The object.
        size: What the pointer says, if it says so.

    Raises:
        BlobMissing: it may not.
        InvalidInput: it has another size.
    """
    row = await blobs.linked(db, opened.pk, key)
    found = row.bytes if row else await _size_elsewhere(db, actor, key)
    if found is None:
        raise BlobMissing(name=key.name, path=path)
    if size is not None and size != found:
        raise InvalidInput(reason=f"the LFS object of {path} has {found} bytes, not {size}")
    return int(found)


async def _size_elsewhere(db: Reader, actor: Actor, key: BlobKey) -> int | None:
    for row in await blobs.linking_repos(db, key):
        if await try_open_repo_by_pk(db, actor, row.repo_pk, Right.READ):
            return int(row.bytes)
    return None
