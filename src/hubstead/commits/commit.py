"""The write path of every commit that arrives over an API: a changeset becomes a commit."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import msgspec

from hubstead import blobs
from hubstead.accounts import Actor
from hubstead.admission import Lane, run_in_lane
from hubstead.blobs import BlobKind, Link
from hubstead.commits.changeset import Changeset, CopyEntry, Operation, PutLfsPointer
from hubstead.commits.linkable import linkable_size
from hubstead.commits.metadata import derive_metadata, same_sources
from hubstead.commits.ref_updates import (
    CommitSubject,
    RefOpener,
    WritePlan,
    apply_plan,
    open_pull_ref,
    write_moves,
)
from hubstead.commits.refs import (
    RefKind,
    RefMove,
    RefMoved,
    RefName,
    refs_named,
    require_room_for_refs,
)
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
    RemoveEntry,
    edit_tree,
    file_mode,
)
from hubstead.repos import Repo, RepoMetadata, Right, reopen

#: How often a changeset is applied anew after another node moved the tip.
ATTEMPTS = 20


class Message(msgspec.Struct, frozen=True):
    """Title and body of a commit."""

    summary: str
    description: str = ""

    @property
    def text(self) -> str:
        """The message as git stores it: the body after an empty line.

        Raises:
            InvalidInput: the title is empty.
        """
        title = " ".join(self.summary.split())
        if not title:
            raise InvalidInput(reason="the summary of a commit must not be empty")
        return f"{title}\n\n{self.description}" if self.description.strip() else title


class CommitResult(msgspec.Struct, frozen=True):
    """The outcome of a commit."""

    commit: str
    changed: bool  # False: no file differs, ``commit`` is the old tip
    ref: str = ""  # the full name of the ref that names it


def author_of(actor: Actor) -> Ident:
    """Return the author of commits that the actor makes over an API."""
    return Ident(actor.name, actor.email or f"{actor.name}@users.noreply.hubstead")


async def commit(
    storage: Storage,
    actor: Actor,
    repo: Repo,
    *,
    target: RefName,
    right: Right,
    changeset: Changeset,
    message: Message,
    parent: str | None = None,
    opener: RefOpener | None = None,
) -> CommitResult:
    """Commit ``changeset`` to the ref ``target``; on return it is durable and visible.

    With ``opener`` the commit goes on top of ``target`` and becomes a pull request's: a new ref
    names it, and ``target`` stays where it is.

    Without ``parent`` the changeset is applied again when the tip moved meanwhile, so uploads of
    different files at the same time all succeed. The changeset's draft cannot be used again.

    Args:
        storage: The storage of content.
        actor: The committer.
        repo: The repository; the actor has ``right`` to it.
        target: The ref; it exists, or is the default branch of an empty repository.
        right: The right that the transaction checks again: WRITE for a branch.
        changeset: The operations.
        message: Title and body.
        parent: The tip (7 to 40 hex digits) the caller saw; any other is an error.
        opener: Opens a pull request.

    Raises:
        RevisionNotFound: the ref does not exist.
        StaleParent: the tip is not ``parent``.
        EntryNotFound: a path to remove or copy does not exist.
        InvalidInput: a file is in the way of a folder, a path or the card breaks a rule.
        BlobMissing: an LFS object was not uploaded to this repository.
        LimitReached: the owner has ``max_bytes_per_owner``.
        ConcurrentChange: other nodes moved the ref during every attempt.
    """
    storage.check_room()
    if opener is not None:
        await require_room_for_refs(storage.db, repo, 1, storage.settings.git.max_refs)
    async with storage.locks.of(repo.id):
        git = await storage.open_git(repo)
        attempts = _CommitAttempts(
            storage,
            actor,
            repo,
            git,
            target,
            right,
            changeset.operations,
            message,
            changeset.draft,
            opener,
        )
        try:
            return await retrying(partial(attempts.attempt, parent), attempts=ATTEMPTS)
        finally:
            attempts.draft.discard()


class _PutPointer(msgspec.Struct, frozen=True):
    pointer: Pointer
    operation: PutLfsPointer


class _Base(msgspec.Struct, frozen=True):
    """The tip that a change goes onto; None for both while there is none."""

    commit: str | None
    tree: str | None


class _Resolved(msgspec.Struct, frozen=True):
    """The operations as edits and links, resolved against one base."""

    edits: list[tuple[str, Edit | _PutPointer]]
    links: list[Link]


class _Unpublished(msgspec.Struct, frozen=True):
    """A commit in a pack on this node that no ref names yet."""

    commit: str
    pack: Pack
    derived: RepoMetadata | None


@dataclass(slots=True)
class _CommitAttempts:
    """The attempts of one commit; every attempt applies the operations to the present tip."""

    storage: Storage
    actor: Actor
    repo: Repo
    git: GitRepo
    target: RefName
    right: Right
    operations: Sequence[tuple[str, Operation]]
    message: Message
    draft: PackDraft
    opener: RefOpener | None

    async def attempt(self, parent: str | None) -> CommitResult:
        """Apply the operations to the present tip.

        Raises:
            RefMoved: another node moved the tip; ``draft`` is ready for the next attempt.
        """
        base = await self.base(parent)
        resolved = await self.resolve(base)
        new = await run_in_lane(Lane.WRITES, self.build, base, resolved.edits)
        if new is None:
            assert base.commit is not None
            ref = await self.keep(base.commit, resolved.links)
            return CommitResult(base.commit, changed=False, ref=ref)
        try:
            ref = await self.publish(base, new, resolved.links)
        except HubError as error:
            if isinstance(error, RefMoved):
                self.draft = await run_in_lane(Lane.WRITES, self.renew_draft)
            await discard_packs(self.storage, self.repo.id, [new.pack])
            raise
        return CommitResult(new.commit, changed=True, ref=ref)

    @property
    def is_default_branch(self) -> bool:
        main = RefName.branch(self.repo.default_branch)
        return self.opener is None and self.target == main

    @property
    def max_owner_bytes(self) -> int | None:
        """The limit of the owner; None for a commit that removes only: it leads to less."""
        if all(isinstance(operation, RemoveEntry) for _, operation in self.operations):
            return None
        return self.storage.settings.accounts.max_bytes

    async def base(self, parent: str | None) -> _Base:
        """Return the tip; refuse one that differs from ``parent``."""
        repo, target = self.repo, self.target
        row = (await refs_named(self.storage.db, repo.pk, [target.full])).get(target.full)
        if row is None:
            if repo.head is not None or not self.is_default_branch:
                raise RevisionNotFound(revision=target.revision, repo=repo.full_name)
            if parent:
                raise StaleParent(branch=target.revision, expected=parent, tip="no commit yet")
            return _Base(None, None)
        if parent and not row.target.startswith(parent):
            raise StaleParent(branch=target.revision, expected=parent, tip=row.target)
        await self.storage.fetch_missing_packs(repo, [row.target])
        return _Base(row.target, self.git.tree_of(row.target))

    async def resolve(self, base: _Base) -> _Resolved:
        """Turn the operations into edits of the base's tree and links to LFS objects."""
        resolved = _Resolved([], [])
        pointers = [put.key.name for _, put in self.operations if isinstance(put, PutLfsPointer)]
        damaged = await self.storage.xet.damage.damaged_objects(pointers)
        for path, operation in self.operations:
            if isinstance(operation, PutLfsPointer):
                size = await linkable_size(
                    self.storage.db,
                    self.actor,
                    self.repo,
                    path=path,
                    key=operation.key,
                    size=operation.size,
                )
                if operation.key.name in damaged:
                    raise BlobMissing(name=operation.key.name, path=path)
                resolved.links.append(Link(operation.key, size, path, self.target.full))
                pointer = Pointer(operation.key.name, size)
                resolved.edits.append((path, _PutPointer(pointer, operation)))
            elif isinstance(operation, CopyEntry):
                resolved.edits.append((path, await self._copy_edit(base, operation)))
            else:
                resolved.edits.append((path, operation))
        return resolved

    async def _copy_edit(self, base: _Base, copy: CopyEntry) -> PutFile | PutTree:
        commit_oid = base.commit
        if copy.revision:
            revision = await resolve_revision(
                self.storage, self.actor, self.repo, self.git, copy.revision
            )
            commit_oid = revision.commit
        entry = self.git.entry(commit_oid, copy.source) if commit_oid else None
        if entry is None or entry.type == "commit":
            raise EntryNotFound(reason=f"The file to copy does not exist: {copy.source}")
        if entry.type == "tree":
            return PutTree(entry.oid)
        return PutFile(entry.oid, file_mode(entry.mode))

    def build(
        self, base: _Base, edits: Sequence[tuple[str, Edit | _PutPointer]]
    ) -> _Unpublished | None:
        """Write trees and commit into a durable pack; return None if no file differs.

        Runs in a thread.
        """
        settings, draft = self.storage.settings, self.draft
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
            check_card(self.repo.kind, self.git, draft, written)
            parents = [base.commit] if base.commit else []
            author, now = author_of(self.actor), int(time.time())
            oid = draft.commit(tree, parents, author, self.message.text, time_s=now)
            pack = draft.finish()
        return _Unpublished(oid, pack, self._derived(base, tree))

    def _derived(self, base: _Base, tree: str) -> RepoMetadata | None:
        if not self.is_default_branch or same_sources(self.git, base.tree, tree):
            return None
        return derive_metadata(self.repo.kind, self.git, tree)

    async def publish(self, base: _Base, new: _Unpublished, links: Sequence[Link]) -> str:
        """Publish the pack and move the ref to the commit; return the ref's full name."""
        pack = await self.storage.publish(new.pack)
        subject = CommitSubject(new.commit, self.message.text.partition("\n")[0])
        plan = WritePlan(
            moves=(),
            pack=pack,
            links=tuple(links),
            derived=new.derived,
            max_owner_bytes=self.max_owner_bytes,
        )
        if self.opener is not None:
            return await self.storage.db.write(
                open_pull_ref,
                self.actor,
                self.repo,
                plan,
                self.opener,
                target=new.commit,
                commit=subject,
            )
        ref = self.target.full
        plan = msgspec.structs.replace(
            plan,
            moves=(RefMove(ref, base.commit, new.commit),),
            pulls=self.storage.pulls,
            subjects={ref: (subject,)} if self.target.kind is RefKind.PULL else {},
        )
        await write_moves(self.storage.db, self.actor, self.repo, plan, self.right)
        return ref

    async def keep(self, tip: str, links: Sequence[Link]) -> str:
        """Return the ref that names a tip which the operations do not change.

        Objects of the tip's pointers are linked: their upload may be later than the tip.
        """
        if self.opener is None:
            await self.link_again(links)
            return self.target.full
        return await self.storage.db.write(
            open_pull_ref, self.actor, self.repo, WritePlan(()), self.opener, target=tip
        )

    async def link_again(self, links: Sequence[Link]) -> None:
        """Link the objects of the tip's pointers."""
        names = [link.key.name for link in links]
        linked = await blobs.linked_many(self.storage.db, self.repo.pk, BlobKind.LFS, names)
        if all(name in linked and linked[name].committed for name in names):
            return
        plan = WritePlan((), links=tuple(links), max_owner_bytes=self.max_owner_bytes)
        await self.storage.db.write(_link_again, self.actor, self.repo, plan, self.right)

    def renew_draft(self) -> PackDraft:
        """Return a new draft with the contents of the pack that no ref came to name.

        The caller retires that pack.
        """
        draft = self.git.draft()
        for _, operation in self.operations:
            if isinstance(operation, PutFile):
                draft.blob(self.git.blob(operation.oid))
        return draft


async def _link_again(tx: Tx, actor: Actor, repo: Repo, plan: WritePlan, right: Right) -> None:
    await apply_plan(tx, actor, await reopen(tx, actor, repo, right), plan)


def _pointer_file(draft: PackDraft, edit: _PutPointer) -> PutFile:
    oid = draft.blob(edit.operation.text or edit.pointer.format())
    return PutFile(oid, edit.operation.mode, edit.operation.mode_of)


@contextmanager
def discard_on_error(draft: PackDraft) -> Iterator[None]:
    """Discard the draft if the block raises."""
    try:
        yield
    except BaseException:
        draft.discard()
        raise
