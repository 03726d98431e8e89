"""The one transaction of every write: moves refs by compare-and-swap, all or none.

The objects are durable before. The transaction registers their pack, links LFS objects, moves the
refs, updates the derived metadata, and writes the event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from hubstead import blobs
from hubstead.accounts import Actor
from hubstead.blobs import BlobKind, Link
from hubstead.commits.linkable import check_linkable
from hubstead.commits.owner_bytes import require_room_for_bytes
from hubstead.commits.packs import add_pack
from hubstead.commits.ref_moves import write_refs
from hubstead.commits.refs import PULLS, RefMove, RefName
from hubstead.db import Database, Tx
from hubstead.errors import Forbidden, HubError, RefUpdateFailed, RevisionNotFound
from hubstead.gitstore import Pack
from hubstead.ids import now_ms
from hubstead.jobs import enqueue
from hubstead.outbox import record_event
from hubstead.repos import (
    RefsMoved,
    Repo,
    RepoMetadata,
    Right,
    count_content,
    event_facts,
    reopen,
    repo_subject,
    set_head,
    set_metadata,
)

#: The job that repacks a repository, and after how many new packs it is enqueued.
REPACK = "commits.fold"
PACKS_PER_REPACK = 32


class CommitSubject(NamedTuple):
    """A new commit of a pull request: its id and the first line of its message."""

    oid: str
    subject: str


class PullMoveRefused(RefUpdateFailed):
    """{fault}"""

    fault: HubError  # the reason


class PullRefs(Protocol):
    """The rules of the refs of pull requests, which the room above this one owns."""

    async def check_move(
        self, tx: Tx, actor: Actor, repo: Repo, move: RefMove, subjects: Sequence[CommitSubject]
    ) -> None:
        """Record the move of a pull request's ref, or refuse it.

        Args:
            tx: The transaction that moves the ref; it has locked the repository's row.
            actor: The caller, who may propose or write.
            repo: The repository.
            move: The move; the ref is one below ``refs/pr/``.
            subjects: The new commits, oldest first.

        Raises:
            HubError: the caller may not move it, or there is no such pull request.
        """
        ...


class RefOpener(Protocol):
    """Opens a pull request in the transaction that creates its ref."""

    async def __call__(self, tx: Tx, actor: Actor, repo: Repo, commit: CommitSubject | None) -> str:
        """Return the full name of the new ref; ``commit`` is its first commit, if it has one."""
        ...


class WritePlan(msgspec.Struct, frozen=True):
    """The changes that one transaction makes visible."""

    moves: tuple[RefMove, ...]
    pack: Pack | None = None  # durable, with the objects that the repository lacks
    links: tuple[Link, ...] = ()
    derived: RepoMetadata | None = None  # None: unchanged
    #: The most bytes of the owner after a write that adds content; None: it deletes only.
    max_owner_bytes: int | None = None
    #: The rules for moves of refs of pull requests; None for a rewrite of all history.
    pulls: PullRefs | None = None
    subjects: Mapping[str, tuple[CommitSubject, ...]] = {}  # new commits, by such a ref

    @property
    def right(self) -> Right:
        """The least right to carry it out: proposing covers refs of pull requests alone."""
        if self.pulls is not None and all(move.ref.startswith(PULLS) for move in self.moves):
            return Right.PROPOSE
        return Right.WRITE


async def move_refs(tx: Tx, actor: Actor, repo: Repo, plan: WritePlan, right: Right) -> Repo:
    """Carry out ``plan``; return the repository as this transaction read it.

    Raises:
        RefMoved: a ref is not at the plan's old value.
        RefExists: a ref to create exists.
        RefInTheWay: a ref below the one to create exists, or above it.
            Each of the three has those of the plan's other refs in ``others``.
        BlobMissing, InvalidInput: the repository may not link an object.
        LimitReached: the owner has ``plan.max_owner_bytes``.
        Those of ``open_repo``: the actor lost the right.
    """
    if right < plan.right:
        raise Forbidden(reason="This needs the right to write")
    again = await reopen(tx, actor, repo, right)
    if plan.pulls is not None:
        for move in plan.moves:
            if move.ref.startswith(PULLS):
                subjects = plan.subjects.get(move.ref, ())
                try:
                    await plan.pulls.check_move(tx, actor, again, move, subjects)
                except HubError as error:
                    raise PullMoveRefused(ref=move.ref, fault=error) from None
    await apply_plan(tx, actor, again, plan)
    await _record_moves(tx, actor, again, plan)
    return again


async def write_moves(
    db: Database, actor: Actor, repo: Repo, plan: WritePlan, right: Right
) -> None:
    """Carry out ``plan`` in a transaction of its own.

    Raises:
        HubError: those of ``move_refs``; a refused pull request raises its reason.
    """
    try:
        await db.write(move_refs, actor, repo, plan, right)
    except PullMoveRefused as error:
        raise error.fault from None


async def open_pull_ref(
    tx: Tx,
    actor: Actor,
    repo: Repo,
    plan: WritePlan,
    opener: RefOpener,
    *,
    target: str | None = None,
    commit: CommitSubject | None = None,
) -> str:
    """Open a pull request and create its ref; return the ref's full name.

    Args:
        tx: The transaction.
        actor: The caller.
        repo: The repository.
        plan: The objects of the first commit; without moves.
        opener: Opens the request and names the ref.
        target: The commit that the ref names; None: the tip of the default branch.
        commit: The first commit of the request, if it has one.

    Raises:
        RevisionNotFound: the default branch has no commit.
        Those of ``open_repo`` with the right PROPOSE, and those of ``opener``.
    """
    again = await reopen(tx, actor, repo, Right.PROPOSE)
    tip = target or again.head
    if tip is None:
        raise RevisionNotFound(revision=again.default_branch, repo=again.full_name)
    ref = await opener(tx, actor, again, commit)
    links = tuple(msgspec.structs.replace(link, ref=ref) for link in plan.links)
    opened = msgspec.structs.replace(plan, moves=(RefMove(ref, None, tip),), links=links)
    await apply_plan(tx, actor, again, opened)
    await _record_moves(tx, actor, again, opened)
    return ref


async def _record_moves(tx: Tx, actor: Actor, again: Repo, plan: WritePlan) -> None:
    facts = event_facts(again)
    moves = [(move.ref, move.old, move.new) for move in plan.moves]
    await record_event(
        tx, repo_subject(again.pk), RefsMoved(**facts, moves=moves, actor=actor.name)
    )


async def apply_plan(tx: Tx, actor: Actor, repo: Repo, plan: WritePlan) -> None:
    """Carry out ``plan`` for a repository whose row this transaction locked or inserted."""
    # The writer checked this before, but the object or the right to read it may be gone since.
    await check_linkable(tx, actor, repo, plan.links)
    await write_refs(tx, repo.pk, plan.moves)
    names = [link.key.name for link in plan.links]
    known = await blobs.linked_many(tx, repo.pk, BlobKind.LFS, names)
    committed = {name for name, row in known.items() if row.committed}
    sizes = {link.key.name: link.bytes for link in plan.links}
    new_bytes = sum(size for name, size in sizes.items() if name not in committed)
    await blobs.link_blobs(tx, repo.pk, plan.links, pusher_pk=actor.pk or None)
    packs = 0
    if plan.pack is not None and await add_pack(tx, repo.pk, plan.pack):
        packs, new_bytes = 1, new_bytes + plan.pack.size
    if plan.max_owner_bytes is not None:
        await require_room_for_bytes(
            tx, repo.owner, repo.owner_pk, plan.max_owner_bytes, created=new_bytes
        )
    if packs or new_bytes:
        await add_usage(tx, repo.pk, packs=packs, used_bytes=new_bytes)
    await _follow_head(tx, repo, plan)


async def add_usage(tx: Tx, repo_pk: int, *, packs: int, used_bytes: int) -> None:
    """Add packs and bytes to the counters of a repository; enqueue a repack now and then.

    The pack counter never falls: a node compares it with its own to see whether it lacks packs.
    """
    row = await count_content(tx, repo_pk, packs=packs, used_bytes=used_bytes)
    if (
        row is not None
        and packs
        and row.packs // PACKS_PER_REPACK > (row.packs - packs) // PACKS_PER_REPACK
    ):
        await enqueue(tx, REPACK, row.id)


async def _follow_head(tx: Tx, repo: Repo, plan: WritePlan) -> None:
    head = RefName.branch(repo.default_branch).full
    for move in plan.moves:
        if move.ref == head:
            tip = move.target or move.new
            if plan.derived is not None:
                await set_metadata(tx, repo.pk, repo.kind, tip, plan.derived)
            await set_head(tx, repo.pk, tip, at_ms=now_ms())
