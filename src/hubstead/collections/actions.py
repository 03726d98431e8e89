"""Creates, changes and deletes collections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, delete, func, select, update

from hubstead.accounts import Actor
from hubstead.collections.access import Collection, open_collection, open_for_change
from hubstead.collections.errors import CollectionExists, CollectionNotFound
from hubstead.collections.slugs import collection_slug, object_id_of
from hubstead.collections.tables import collections
from hubstead.collections.texts import MAX_DESCRIPTION, MAX_TITLE, THEMES, check_text, check_theme
from hubstead.db import Database, Reader, Tx, indexed, insert_into, scan
from hubstead.errors import LimitReached
from hubstead.ids import new_object_id, now_ms
from hubstead.repos import open_namespace


class CollectionLimits(NamedTuple):
    """How large collections grow (settings ``max_collections``, ``max_collection_items``)."""

    collections: int  # of one owner
    items: int  # of one collection


class NewCollection(msgspec.Struct, frozen=True, kw_only=True):
    """A collection to create."""

    title: str
    namespace: str | None = None  # None: the caller's own
    description: str | None = None
    private: bool = False


class CollectionChange(msgspec.Struct, frozen=True, kw_only=True):
    """What changes; None: it stays."""

    title: str | None = None
    description: str | None = None
    private: bool | None = None
    theme: str | None = None
    position: int | None = None  # among those of its owner, from 0


class _Titled(NamedTuple):
    pk: int
    id: str
    title: str


class _Last(NamedTuple):
    number: int
    position: int | None


_INSERT = indexed(
    insert_into(
        collections,
        "id",
        "owner_pk",
        "creator_pk",
        "title",
        "title_key",
        "description",
        "private",
        "theme",
        "position",
        "created_ms",
        "modified_ms",
    ).on_conflict_do_nothing()
)
_TITLED = indexed(
    select(collections.c.pk, collections.c.id, collections.c.title).where(
        collections.c.owner_pk == bindparam("owner_pk"),
        collections.c.title_key == bindparam("title_key"),
    ),
    _Titled,
)
_LAST = scan(
    select(func.count().label("number"), func.max(collections.c.position).label("position"))
    .select_from(collections)
    .where(collections.c.owner_pk == bindparam("owner_pk")),
    _Last,
)
_UPDATE = indexed(
    update(collections)
    .values(
        title=bindparam("new_title"),
        title_key=bindparam("new_key"),
        description=bindparam("new_description"),
        private=bindparam("is_private"),
        theme=bindparam("new_theme"),
        modified_ms=bindparam("at_ms"),
    )
    .where(collections.c.pk == bindparam("which_pk"))
)
_OF_OWNER = scan(
    select(collections.c.pk)
    .where(collections.c.owner_pk == bindparam("owner_pk"))
    .order_by(collections.c.position, collections.c.pk),
    int,
)
_PLACE = indexed(
    update(collections)
    .values(position=bindparam("new_position"))
    .where(collections.c.pk == bindparam("which_pk"))
)
_TOUCH = indexed(
    update(collections)
    .values(modified_ms=bindparam("at_ms"))
    .where(collections.c.pk == bindparam("which_pk"))
)
_DELETE = indexed(delete(collections).where(collections.c.pk == bindparam("which_pk")))
_DELETE_BY_ID = indexed(delete(collections).where(collections.c.id == bindparam("object_id")))


async def insert_collection(
    tx: Tx, actor: Actor, new: NewCollection, limits: CollectionLimits
) -> Collection:
    """Insert a collection without items, the last of its owner's, and return it.

    Raises as ``create_collection``.
    """
    title = check_text("title", new.title, MAX_TITLE, least=1)
    description = check_text("description", new.description or "", MAX_DESCRIPTION) or None
    owner = await open_namespace(tx, actor, new.namespace, lock=True, what="collection")
    last = await tx.single(_LAST, owner_pk=owner.pk)
    await _refuse_title(tx, owner.pk, owner.name, title)
    if last.number >= limits.collections:
        most = limits.collections
        raise LimitReached(
            owner=owner.name, limit=most, what="collections", setting="max_collections"
        )
    object_id, at_ms = new_object_id(), now_ms()
    added = await tx.run(
        _INSERT,
        id=object_id,
        owner_pk=owner.pk,
        creator_pk=actor.pk,
        title=title,
        title_key=title.casefold(),
        description=description,
        private=int(new.private),
        theme=THEMES[0],
        position=0 if last.position is None else last.position + 1,
        created_ms=at_ms,
        modified_ms=at_ms,
    )
    if not added:  # another transaction has added it since
        await _refuse_title(tx, owner.pk, owner.name, title)
    return await open_collection(tx, actor, object_id)


async def _refuse_title(
    tx: Reader, owner_pk: int, owner: str, title: str, *, but: int | None = None
) -> None:
    row = await tx.one(_TITLED, owner_pk=owner_pk, title_key=title.casefold())
    if row is not None and row.pk != but:
        raise CollectionExists(slug=collection_slug(owner, row.title, row.id))


async def change_collection(
    db: Database, actor: Actor, slug: str, change: CollectionChange
) -> Collection:
    """Change a collection and return it; a new title gives it a new slug.

    Raises:
        CollectionNotFound, LoginRequired, Forbidden: as ``open_for_change``.
        InvalidInput: a text is too long, or the theme is unknown.
        CollectionExists: another collection of the owner has the title.
    """
    return await db.write(_change, actor, slug, change)


async def _change(tx: Tx, actor: Actor, slug: str, change: CollectionChange) -> Collection:
    old = await open_for_change(tx, actor, slug)
    title = old.title if change.title is None else change.title
    title = check_text("title", title, MAX_TITLE, least=1)
    description = old.description if change.description is None else change.description
    await _refuse_title(tx, old.owner_pk, old.owner, title, but=old.pk)
    await tx.run(
        _UPDATE,
        which_pk=old.pk,
        new_title=title,
        new_key=title.casefold(),
        new_description=check_text("description", description or "", MAX_DESCRIPTION) or None,
        is_private=int(old.private if change.private is None else change.private),
        new_theme=check_theme(change.theme or old.theme),
        at_ms=now_ms(),
    )
    if change.position is not None:
        order = await tx.all(_OF_OWNER, owner_pk=old.owner_pk)
        for pk, position in moved(order, old.pk, change.position):
            await tx.run(_PLACE, which_pk=pk, new_position=position)
    return await open_collection(tx, actor, old.id)


def moved(order: Sequence[int], pk: int, position: int) -> list[tuple[int, int]]:
    """Return all rows with their new positions from 0, ``pk`` at ``position`` or at the end."""
    others = [other for other in order if other != pk]
    others.insert(max(position, 0), pk)
    return [(other, index) for index, other in enumerate(others)]


async def touch(tx: Tx, collection_pk: int) -> None:
    """Record that the items of a collection changed."""
    await tx.run(_TOUCH, which_pk=collection_pk, at_ms=now_ms())


async def delete_collection(db: Database, actor: Actor, slug: str) -> None:
    """Delete a collection for good.

    Raises:
        CollectionNotFound, LoginRequired, Forbidden: as ``open_for_change``.
    """

    async def write(tx: Tx) -> None:
        collection = await open_for_change(tx, actor, slug)
        await tx.run(_DELETE, which_pk=collection.pk)

    await db.write(write)


async def remove_collection(db: Database, slug: str) -> None:
    """Delete a collection for the operator of the hub, whose commands need no right.

    Raises:
        CollectionNotFound: there is no such collection.
    """
    if not await db.execute(_DELETE_BY_ID, object_id=object_id_of(slug) or ""):
        raise CollectionNotFound()
