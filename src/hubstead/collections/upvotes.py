"""Upvotes of collections, counted in the transaction that changes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, select, update

from hubstead.accounts import Actor, membership_of, shown_to_caller
from hubstead.accounts.tables import members
from hubstead.collections.access import Collection, open_collection
from hubstead.collections.tables import collections, upvotes
from hubstead.db import Database, Reader, Tx, any_of, indexed, insert_into, scan, total
from hubstead.ids import now_ms


class UpvoteCount(NamedTuple):
    """A collection whose count differs from its upvotes."""

    collection_id: str
    counted: int
    upvotes: int


_ADD = indexed(
    insert_into(upvotes, "collection_pk", "user_pk", "created_ms").on_conflict_do_nothing()
)
_REMOVE = indexed(
    delete(upvotes).where(
        upvotes.c.collection_pk == bindparam("which_pk"),
        upvotes.c.user_pk == bindparam("which_user"),
    )
)
_COUNT = indexed(
    update(collections)
    .values(upvotes=collections.c.upvotes + bindparam("more"))
    .where(collections.c.pk == bindparam("which_pk"))
)
_OF_USER = scan(
    select(upvotes.c.collection_pk)
    .where(upvotes.c.user_pk == bindparam("user_pk"))
    .order_by(upvotes.c.collection_pk),
    int,
)
_AMONG = indexed(
    select(upvotes.c.collection_pk).where(
        upvotes.c.user_pk == bindparam("actor_pk"), any_of(upvotes.c.collection_pk, "pks")
    ),
    int,
)
_RECEIVED = scan(
    select(total(collections.c.upvotes).label("n"))
    .outerjoin_from(collections, members, membership_of(collections.c.owner_pk))
    .where(collections.c.owner_pk == bindparam("owner_pk"))
    .where(shown_to_caller(collections.c.private, collections.c.owner_pk)),
    int,
)
_ROWS = (
    select(func.count())
    .where(upvotes.c.collection_pk == collections.c.pk)
    .correlate(collections)
    .scalar_subquery()
)
_WRONG = scan(
    select(
        collections.c.id.label("collection_id"),
        collections.c.upvotes.label("counted"),
        _ROWS.label("upvotes"),
    )
    .where(collections.c.upvotes != _ROWS)
    .order_by(collections.c.pk),
    UpvoteCount,
)


async def add_upvote(db: Database, actor: Actor, slug: str) -> Collection:
    """Let the caller upvote a collection, once, and return it.

    Raises:
        CollectionNotFound: there is none, or it is hidden from the caller.
    """

    async def write(tx: Tx) -> Collection:
        collection = await open_collection(tx, actor, slug, lock=True)
        if await tx.run(_ADD, collection_pk=collection.pk, user_pk=actor.pk, created_ms=now_ms()):
            await tx.run(_COUNT, which_pk=collection.pk, more=1)
        return await open_collection(tx, actor, slug)

    return await db.write(write)


async def remove_upvote(db: Database, actor: Actor, slug: str) -> Collection:
    """Withdraw the caller's upvote of a collection, if there is one, and return it.

    Raises:
        CollectionNotFound: there is none, or it is hidden from the caller.
    """

    async def write(tx: Tx) -> Collection:
        collection = await open_collection(tx, actor, slug, lock=True)
        if await tx.run(_REMOVE, which_pk=collection.pk, which_user=actor.pk):
            await tx.run(_COUNT, which_pk=collection.pk, more=-1)
        return await open_collection(tx, actor, slug)

    return await db.write(write)


async def release_upvotes(tx: Tx, account_pk: int) -> None:
    """Withdraw all upvotes of an account that is about to be deleted."""
    for collection_pk in await tx.all(_OF_USER, user_pk=account_pk):
        # The count first, as it locks the collection, which the caller's own change does as well.
        await tx.run(_COUNT, which_pk=collection_pk, more=-1)
        if not await tx.run(_REMOVE, which_pk=collection_pk, which_user=account_pk):
            await tx.run(_COUNT, which_pk=collection_pk, more=1)


async def upvoted_among(db: Reader, actor: Actor, pks: Iterable[int]) -> set[int]:
    """Return those of the collections ``pks`` that the caller upvotes."""
    if not actor.signed_in:
        return set()
    return set(await db.all(_AMONG, actor_pk=actor.pk, pks=sorted(set(pks))))


async def count_upvotes_of(db: Reader, actor: Actor, owner_pk: int) -> int:
    """Return the upvotes of all collections of an owner that ``actor`` may see."""
    return await db.single(_RECEIVED, owner_pk=owner_pk, actor_pk=actor.pk)


async def wrong_upvote_counts(db: Reader) -> list[UpvoteCount]:
    """Return the collections whose count differs from their upvotes."""
    return await db.all(_WRONG)
