"""The one move: refs from the values seen to new ones, all or nothing.

Whatever changes the content of a repository ends here: the objects are durable already, and
this transaction makes them visible, updates what is derived, and writes the event.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, update

from hubstead import blobs
from hubstead.accounts import Actor
from hubstead.blobs import Link
from hubstead.commits.linkable import check_linkable
from hubstead.commits.packs import add_pack
from hubstead.commits.refs import RefMove, RefName, move_ref
from hubstead.db import Tx, indexed
from hubstead.gitstore import Pack
from hubstead.ids import now_ms
from hubstead.jobs import enqueue
from hubstead.outbox import record_event
from hubstead.repos import (
    RefsMoved,
    Repo,
    RepoMetadata,
    Right,
    event_facts,
    reopen,
    repo_subject,
    set_metadata,
)
from hubstead.repos.tables import repos

#: The job that folds packs, and after how many new ones it is asked for.
FOLD = "commits.fold"
FOLD_EVERY = 32


class WritePlan(msgspec.Struct, frozen=True):
    """What one transaction is to make visible."""

    moves: tuple[RefMove, ...]
    pack: Pack | None = None  # durable, holding what the refs need and the repository lacks
    links: tuple[Link, ...] = ()
    derived: RepoMetadata | None = None  # None: as it was


class _Counted(NamedTuple):
    id: str
    packs: int


_COUNT = indexed(
    update(repos)
    .values(
        packs=repos.c.packs + bindparam("more_packs"),
        used_bytes=repos.c.used_bytes + bindparam("more_bytes"),
    )
    .where(repos.c.pk == bindparam("which_pk"))
    .returning(repos.c.id, repos.c.packs),
    _Counted,
)
_TOUCH = indexed(
    update(repos)
    .values(head=bindparam("tip"), modified_ms=bindparam("at_ms"))
    .where(repos.c.pk == bindparam("which_pk"))
)


async def move_refs(tx: Tx, actor: Actor, opened: Repo, plan: WritePlan, right: Right) -> Repo:
    """Carry out ``plan`` and return the repository as it was opened again for it.

    Raises:
        RefMoved: a ref is not where the plan saw it.
        RefExists: a ref to be made is there.
        RefInTheWay: there is a ref below the one to be made, or above it.
        BlobMissing, InvalidInput: the repository may not link an object, any more perhaps.
        Those of ``open_repo``: the right is gone.
    """
    again = await reopen(tx, actor, opened, right)
    await apply_plan(tx, actor, again, plan)
    facts = event_facts(again)
    moves = [(move.ref, move.old, move.new) for move in plan.moves]
    await record_event(
        tx, repo_subject(again.pk), RefsMoved(**facts, moves=moves, actor=actor.name)
    )
    return again


async def apply_plan(tx: Tx, actor: Actor, opened: Repo, plan: WritePlan) -> None:
    """Do what ``move_refs`` does for a repository whose row this transaction holds or made."""
    # Checked before as well, but an object may be gone since, or the right to read it.
    await check_linkable(tx, actor, opened, plan.links)
    for move in plan.moves:
        await move_ref(tx, opened.pk, move)
    new_bytes = 0
    for each in plan.links:
        known = await blobs.linked(tx, opened.pk, each.key)
        new_bytes += 0 if known and known.committed else each.bytes
    await blobs.link_blobs(tx, opened.pk, plan.links, pusher_pk=actor.pk or None)
    packs = 0
    if plan.pack is not None and await add_pack(tx, opened.pk, plan.pack):
        packs, new_bytes = 1, new_bytes + plan.pack.size
    if packs or new_bytes:
        await add_usage(tx, opened.pk, packs=packs, used_bytes=new_bytes)
    await _follow_head(tx, opened, plan)


async def add_usage(tx: Tx, repo_pk: int, *, packs: int, used_bytes: int) -> None:
    """Count packs and bytes that a repository has come to hold.

    Packs are only ever counted up: nodes tell by the number whether they lack some. Every so
    often somebody is asked to fold them.
    """
    row = await tx.one(_COUNT, which_pk=repo_pk, more_packs=packs, more_bytes=used_bytes)
    if row is not None and packs and row.packs // FOLD_EVERY > (row.packs - packs) // FOLD_EVERY:
        await enqueue(tx, FOLD, row.id)


async def _follow_head(tx: Tx, opened: Repo, plan: WritePlan) -> None:
    head = RefName.branch(opened.default_branch).full
    for move in plan.moves:
        if move.ref == head:
            tip = move.target or move.new
            if plan.derived is not None:
                await set_metadata(tx, opened.pk, opened.kind, tip, plan.derived)
            await tx.run(_TOUCH, which_pk=opened.pk, tip=tip, at_ms=now_ms())
