"""The one transaction of every write: moves refs by compare-and-swap, all or none.

The objects are durable before. The transaction registers their pack, links LFS objects, moves the
refs, updates the derived metadata, and writes the event.
"""

from __future__ import annotations

import msgspec

from hubstead import blobs
from hubstead.accounts import Actor
from hubstead.blobs import BlobKind, Link
from hubstead.commits.linkable import check_linkable
from hubstead.commits.owner_bytes import require_room_for_bytes
from hubstead.commits.packs import add_pack
from hubstead.commits.ref_moves import write_refs
from hubstead.commits.refs import RefMove, RefName
from hubstead.db import Tx
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


class WritePlan(msgspec.Struct, frozen=True):
    """The changes that one transaction makes visible."""

    moves: tuple[RefMove, ...]
    pack: Pack | None = None  # durable, with the objects that the repository lacks
    links: tuple[Link, ...] = ()
    derived: RepoMetadata | None = None  # None: unchanged
    #: The most bytes of the owner after a write that adds content; None: it deletes only.
    max_owner_bytes: int | None = None


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
    again = await reopen(tx, actor, repo, right)
    await apply_plan(tx, actor, again, plan)
    facts = event_facts(again)
    moves = [(move.ref, move.old, move.new) for move in plan.moves]
    await record_event(
        tx, repo_subject(again.pk), RefsMoved(**facts, moves=moves, actor=actor.name)
    )
    return again


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
