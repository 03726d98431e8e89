"""Items of collections: each caller sees those whose target they may see, numbered from 0."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Select, and_, bindparam, delete, func, or_, select, update

from hubstead.accounts import Actor, membership_of, shown_to_caller
from hubstead.accounts.tables import members
from hubstead.collections.access import Collection, find_collection, open_for_change
from hubstead.collections.actions import CollectionLimits, moved, touch
from hubstead.collections.errors import ItemExists
from hubstead.collections.tables import collections, items
from hubstead.collections.texts import MAX_NOTE, check_text
from hubstead.db import Database, Reader, Tx, any_of, indexed, insert_into, scan
from hubstead.errors import InvalidInput, LimitReached, NotFound, RepoDisabled, RepoNotFound
from hubstead.ids import GIT_KINDS, Kind, RepoId, new_object_id, now_ms
from hubstead.repos import RepoMoved, open_repo
from hubstead.repos.tables import repos

#: The kinds of item beside those of repositories, which the hub itself has or knows by name.
COLLECTION, PAPER, BUCKET = "collection", "paper", "bucket"
ITEM_KINDS = (*(kind.value for kind in GIT_KINDS), COLLECTION, PAPER, BUCKET)
_PAPER = re.compile(r"[0-9]{4}\.[0-9]{4,5}(?:v[0-9]+)?")
_MISSING = "Item not found: there is no such {kind}, or it is hidden from you"
_ALL = 2**31 - 1


class CollectionItem(NamedTuple):
    """An item, as a caller sees it who may see its target."""

    pk: int
    id: str  # 24 hex
    collection_pk: int
    kind: str
    target: str  # id of a repository or collection; name of a paper
    repo_pk: int | None
    target_pk: int | None
    note: str | None
    position: int  # among those that the caller sees


class NewItem(msgspec.Struct, frozen=True):
    """An item to add."""

    kind: str  # one of ITEM_KINDS
    name: str  # owner/name of a repository, the slug of a collection, the number of a paper
    note: str | None = None


class ItemChange(msgspec.Struct, frozen=True):
    """What changes of an item; None: it stays."""

    id: str
    note: str | None = None
    position: int | None = None  # among the items that the caller sees, from 0


class _Target(NamedTuple):
    target: str
    repo_pk: int | None = None
    target_pk: int | None = None


class _Last(NamedTuple):
    number: int
    position: int | None


def _select_visible() -> Select[tuple[int, str, int, str, str, int | None, int | None, str, int]]:
    owners = members.alias("owner_member")
    targets = collections.alias("target")
    members_of = members.alias("target_member")
    place = func.row_number().over(
        partition_by=items.c.collection_pk, order_by=(items.c.position, items.c.pk)
    )
    numbered = (
        select(
            items.c.pk,
            items.c.id,
            items.c.collection_pk,
            items.c.kind,
            items.c.target,
            items.c.repo_pk,
            items.c.target_pk,
            items.c.note,
            (place - 1).label("position"),
        )
        .outerjoin_from(items, repos, items.c.repo_pk == repos.c.pk)
        .outerjoin(owners, membership_of(repos.c.owner_pk, owners))
        .outerjoin(targets, items.c.target_pk == targets.c.pk)
        .outerjoin(members_of, membership_of(targets.c.owner_pk, members_of))
        .where(any_of(items.c.collection_pk, "collection_pks"))
        .where(
            or_(
                items.c.kind == PAPER,
                and_(
                    items.c.repo_pk.is_not(None),
                    shown_to_caller(repos.c.private, repos.c.owner_pk, owners),
                ),
                and_(
                    items.c.target_pk.is_not(None),
                    shown_to_caller(targets.c.private, targets.c.owner_pk, members_of),
                ),
            )
        )
        .subquery()
    )
    return (
        select(numbered)
        .where(numbered.c.position < bindparam("most", type_=items.c.position.type))
        .order_by(numbered.c.collection_pk, numbered.c.position)
    )


_VISIBLE = scan(_select_visible(), CollectionItem)
_ADD = indexed(
    insert_into(
        items,
        "id",
        "collection_pk",
        "kind",
        "target",
        "repo_pk",
        "target_pk",
        "note",
        "position",
        "created_ms",
    ).on_conflict_do_nothing()
)
_LAST = scan(
    select(func.count().label("number"), func.max(items.c.position).label("position"))
    .select_from(items)
    .where(items.c.collection_pk == bindparam("collection_pk")),
    _Last,
)
_SET_NOTE = indexed(
    update(items).values(note=bindparam("text")).where(items.c.pk == bindparam("which_pk"))
)
_PLACE = indexed(
    update(items)
    .values(position=bindparam("new_position"))
    .where(items.c.pk == bindparam("which_pk"))
)
_ORDER = scan(
    select(items.c.pk)
    .where(items.c.collection_pk == bindparam("collection_pk"))
    .order_by(items.c.position, items.c.pk),
    int,
)
_REMOVE = indexed(delete(items).where(items.c.pk == bindparam("which_pk")))


async def list_items(
    db: Reader, actor: Actor, collection_pks: Sequence[int], *, most: int = _ALL
) -> dict[int, list[CollectionItem]]:
    """Return the first ``most`` items of each collection that ``actor`` may see, by collection."""
    shown: dict[int, list[CollectionItem]] = {pk: [] for pk in collection_pks}
    rows = await db.all(_VISIBLE, collection_pks=list(collection_pks), actor_pk=actor.pk, most=most)
    for row in rows:
        shown[row.collection_pk].append(row)
    return shown


async def add_item(
    db: Database, actor: Actor, slug: str, new: NewItem, limits: CollectionLimits
) -> None:
    """Add an item at the end of a collection.

    Raises:
        CollectionNotFound, LoginRequired, Forbidden: as ``open_for_change``.
        NotFound: the target does not exist, or is hidden from the caller.
        InvalidInput: an unknown kind, a note that is too long, or the collection itself.
        ItemExists: the collection has it.
        LimitReached: the collection has as many items as the setting allows.
    """

    async def write(tx: Tx) -> None:
        await insert_item(tx, actor, await open_for_change(tx, actor, slug), new, limits)

    await db.write(write)


async def insert_item(
    tx: Tx, actor: Actor, collection: Collection, new: NewItem, limits: CollectionLimits
) -> None:
    """Do what ``add_item`` does, in a transaction that has locked the collection."""
    if new.kind not in ITEM_KINDS:
        raise InvalidInput(reason=f'"item.type" must be one of [{", ".join(ITEM_KINDS)}]')
    note = check_text("note", new.note or "", MAX_NOTE) or None
    target = await _target(tx, actor, new.kind, new.name)
    if target.target_pk == collection.pk:
        raise InvalidInput(reason="a collection cannot be its own item")
    last = await tx.single(_LAST, collection_pk=collection.pk)
    added = await tx.run(
        _ADD,
        id=new_object_id(),
        collection_pk=collection.pk,
        kind=new.kind,
        target=target.target,
        repo_pk=target.repo_pk,
        target_pk=target.target_pk,
        note=note,
        position=0 if last.position is None else last.position + 1,
        created_ms=now_ms(),
    )
    if not added:
        raise ItemExists(slug=collection.slug)
    if last.number >= limits.items:
        raise LimitReached(
            owner=f"The collection {collection.slug}",
            limit=limits.items,
            what="items",
            setting="max_collection_items",
        )
    await touch(tx, collection.pk)


async def _target(tx: Tx, actor: Actor, kind: str, name: str) -> _Target:
    missing = NotFound(reason=_MISSING.format(kind=kind))
    if kind == PAPER:
        if not _PAPER.fullmatch(name):
            raise missing
        return _Target(name)
    if kind == COLLECTION:
        collection = await find_collection(tx, actor, name)
        if collection is None:
            raise missing
        return _Target(collection.id, target_pk=collection.pk)
    if kind == BUCKET:
        raise missing
    try:
        repo = await open_repo(tx, actor, RepoId.parse(Kind(kind), name))
    except RepoMoved as moved_repo:
        repo = await open_repo(tx, actor, moved_repo.target)
    except (RepoNotFound, RepoDisabled, InvalidInput):
        raise missing from None
    return _Target(repo.id, repo_pk=repo.pk)


async def change_items(
    db: Database, actor: Actor, slug: str, changes: Sequence[ItemChange]
) -> None:
    """Change notes and positions of items, one after another: all of them, or none.

    Raises:
        CollectionNotFound, LoginRequired, Forbidden: as ``open_for_change``.
        NotFound: the collection has no such item, or its target is hidden from the caller.
        InvalidInput: a note is too long.
    """

    async def write(tx: Tx) -> None:
        collection = await open_for_change(tx, actor, slug)
        for change in changes:
            await _change(tx, actor, collection, change)
        await touch(tx, collection.pk)

    await db.write(write)


async def _change(tx: Tx, actor: Actor, collection: Collection, change: ItemChange) -> None:
    seen, item = await _seen_item(tx, actor, collection, change.id)
    if change.note is not None:
        text = check_text("note", change.note, MAX_NOTE) or None
        await tx.run(_SET_NOTE, which_pk=item.pk, text=text)
    if change.position is not None:
        await _move(tx, collection, seen, item, change.position)


async def _move(
    tx: Tx,
    collection: Collection,
    seen: list[CollectionItem],
    item: CollectionItem,
    position: int,
) -> None:
    """Put an item before the one that the caller sees at a position; hidden ones stay in order."""
    order = [pk for pk in await tx.all(_ORDER, collection_pk=collection.pk) if pk != item.pk]
    others = [row.pk for row in seen if row.pk != item.pk]
    at = order.index(others[position]) if 0 <= position < len(others) else len(order)
    for pk, place in moved(order, item.pk, 0 if position < 0 else at):
        await tx.run(_PLACE, which_pk=pk, new_position=place)


async def remove_item(db: Database, actor: Actor, slug: str, item_id: str) -> None:
    """Remove an item from a collection.

    Raises:
        CollectionNotFound, LoginRequired, Forbidden: as ``open_for_change``.
        NotFound: the collection has no such item, or its target is hidden from the caller.
    """

    async def write(tx: Tx) -> None:
        collection = await open_for_change(tx, actor, slug)
        _, item = await _seen_item(tx, actor, collection, item_id)
        await tx.run(_REMOVE, which_pk=item.pk)
        await touch(tx, collection.pk)

    await db.write(write)


async def _seen_item(
    tx: Tx, actor: Actor, collection: Collection, item_id: str
) -> tuple[list[CollectionItem], CollectionItem]:
    seen = (await list_items(tx, actor, [collection.pk]))[collection.pk]
    for item in seen:
        if item.id == item_id:
            return seen, item
    raise NotFound(reason="Item not found in this collection")
