"""Collections opened for a caller: the rules of ``accounts/access.py`` decide who may do what."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Select, bindparam, select

from hubstead.accounts import (
    Actor,
    membership_of,
    require_writable,
    role_in_owned,
    shown_to_caller,
)
from hubstead.accounts.tables import accounts, members
from hubstead.collections.errors import CollectionNotFound
from hubstead.collections.slugs import collection_slug, object_id_of
from hubstead.collections.tables import collections
from hubstead.db import Reader, Tx, indexed
from hubstead.errors import Forbidden

_WRITERS = ("write", "admin")


class Collection(msgspec.Struct, frozen=True):
    """A collection that the caller may see."""

    pk: int
    id: str  # 24 hex
    owner_pk: int
    owner_id: str
    owner: str
    owner_fullname: str
    owner_kind: str  # user, org
    title: str
    description: str | None
    private: bool
    theme: str
    position: int
    upvotes: int
    modified_ms: int
    role: str  # of the caller: none, read, write, admin

    @property
    def slug(self) -> str:
        """Its present slug."""
        return collection_slug(self.owner, self.title, self.id)


class CollectionRow(NamedTuple):
    """A row of ``COLUMNS``."""

    pk: int
    id: str
    owner_pk: int
    owner_id: str
    owner: str
    owner_fullname: str
    owner_kind: str
    creator_pk: int | None
    title: str
    description: str | None
    private: int
    theme: str
    position: int
    upvotes: int
    modified_ms: int
    member_role: str | None


COLUMNS: tuple[ColumnElement[Any], ...] = (
    collections.c.pk,
    collections.c.id,
    collections.c.owner_pk,
    accounts.c.id.label("owner_id"),
    accounts.c.name.label("owner"),
    accounts.c.fullname.label("owner_fullname"),
    accounts.c.kind.label("owner_kind"),
    collections.c.creator_pk,
    collections.c.title,
    collections.c.description,
    collections.c.private,
    collections.c.theme,
    collections.c.position,
    collections.c.upvotes,
    collections.c.modified_ms,
    members.c.role.label("member_role"),
)


def select_visible() -> Select[Any]:
    """Return the selection of ``COLUMNS`` of all collections that ``actor_pk`` may see."""
    # An outer join to the owner, whom each has, so that SQLite reads collections in their order.
    return (
        select(*COLUMNS)
        .outerjoin_from(collections, accounts, collections.c.owner_pk == accounts.c.pk)
        .outerjoin(members, membership_of(collections.c.owner_pk))
        .where(shown_to_caller(collections.c.private, collections.c.owner_pk))
    )


_BY_ID = select_visible().where(collections.c.id == bindparam("object_id"))
_OPEN = indexed(_BY_ID, CollectionRow)
_OPEN_AND_LOCK = indexed(_BY_ID.with_for_update(of=collections), CollectionRow)


def collection_from_row(row: CollectionRow, actor: Actor) -> Collection:
    """Return the ``Collection`` of a row, with the role of ``actor`` in it."""
    return Collection(
        pk=row.pk,
        id=row.id,
        owner_pk=row.owner_pk,
        owner_id=row.owner_id,
        owner=row.owner,
        owner_fullname=row.owner_fullname,
        owner_kind=row.owner_kind,
        title=row.title,
        description=row.description,
        private=bool(row.private),
        theme=row.theme,
        position=row.position,
        upvotes=row.upvotes,
        modified_ms=row.modified_ms,
        role=role_in_owned(
            actor, owner_pk=row.owner_pk, creator_pk=row.creator_pk, member_role=row.member_role
        ),
    )


async def open_collection(db: Reader, actor: Actor, slug: str, *, lock: bool = False) -> Collection:
    """Return the collection that a present or past slug names, if ``actor`` may see it.

    Args:
        db: The database, or the transaction that changes the collection.
        actor: The caller.
        slug: The slug; its last 24 characters decide.
        lock: Inside a transaction: lock its row until the end.

    Raises:
        CollectionNotFound: there is none, or it is hidden from the caller.
    """
    object_id = object_id_of(slug)
    statement = _OPEN_AND_LOCK if lock else _OPEN
    row = await db.one(statement, object_id=object_id, actor_pk=actor.pk) if object_id else None
    if row is None:
        raise CollectionNotFound()
    return collection_from_row(row, actor)


async def find_collection(db: Reader, actor: Actor, slug: str) -> Collection | None:
    """Return the collection that a slug names, or None if ``actor`` may see none."""
    try:
        return await open_collection(db, actor, slug)
    except CollectionNotFound:
        return None


async def open_for_change(tx: Tx, actor: Actor, slug: str) -> Collection:
    """Return a collection that ``actor`` may change, with its row locked.

    Raises:
        CollectionNotFound: there is none, or it is hidden from the caller.
        LoginRequired, Forbidden: as ``require_collection_right``.
    """
    collection = await open_collection(tx, actor, slug, lock=True)
    require_collection_right(collection, actor)
    return collection


def require_collection_right(collection: Collection, actor: Actor) -> None:
    """Raise unless the caller who opened a collection may change it.

    Raises:
        LoginRequired: the caller is not signed in.
        Forbidden: the caller may only see it, or their token is read-only.
    """
    if actor.signed_in and collection.role not in _WRITERS:
        raise Forbidden(
            reason=f"You don't have the rights to change the collection {collection.slug}"
        )
    require_writable(actor)
