"""Lists of collections: filters, orders, pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from functools import lru_cache
from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Text, and_, bindparam, func, or_, select, tuple_

from hubstead.accounts import ANONYMOUS, Actor, find_account, membership_of, shown_to_caller
from hubstead.accounts.tables import accounts, members
from hubstead.collections.access import (
    COLUMNS,
    Collection,
    CollectionRow,
    collection_from_row,
    find_collection,
    select_visible,
)
from hubstead.collections.items import COLLECTION, PAPER
from hubstead.collections.tables import collections, items
from hubstead.db import Reader, Statement, any_of, scan
from hubstead.errors import AccountNotFound, InvalidInput, RepoDisabled, RepoNotFound
from hubstead.ids import GIT_KINDS, Kind, RepoId
from hubstead.repos import RepoMoved, open_repo

#: The orders of lists and their columns, largest first. The hub measures no trend of upvotes.
SORTS: dict[str, ColumnElement[int]] = {
    "lastModified": collections.c.modified_ms,
    "upvotes": collections.c.upvotes,
    "trending": collections.c.upvotes,
}
MAX_FILTERS = 20
_ESCAPE = "!"
_BATCH = 500
_SINGULARS = {kind.plural: kind.value for kind in GIT_KINDS} | {
    "collections": COLLECTION,
    "papers": PAPER,
}


class CollectionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The conditions and the order of a list. All conditions must hold."""

    owners: tuple[str, ...] = ()  # any of these accounts
    items: tuple[str, ...] = ()  # any of these, as models/owner/name
    text: str | None = None  # within the title, in any case
    sort: str = "lastModified"
    limit: int = 10
    after: tuple[int, int] | None = None  # ``CollectionPage.last`` of the page before


class CollectionPage(NamedTuple):
    """A page, and the place of its last row: its value of the order, and its number."""

    collections: list[Collection]
    last: tuple[int, int] | None


class Shape(NamedTuple):
    """The properties of a query that change its statement."""

    sort: str
    owners: bool
    items: bool
    text: bool


@lru_cache(maxsize=64)
def listing(shape: Shape) -> Statement[CollectionRow]:
    """Return the statement of one page."""
    order = SORTS[shape.sort]
    query = select_visible()
    if shape.owners:
        query = query.where(any_of(collections.c.owner_pk, "owner_pks"))
    if shape.items:
        # Ids differ between kinds, and papers from them all: the target alone names an item.
        holders = select(items.c.collection_pk).where(any_of(items.c.target, "targets"))
        query = query.where(collections.c.pk.in_(holders))
    if shape.text:
        query = query.where(
            collections.c.title_key.like(bindparam("pattern", type_=Text()), escape=_ESCAPE)
        )
    last = tuple_(
        bindparam("after", type_=collections.c.modified_ms.type),
        bindparam("after_pk", type_=collections.c.pk.type),
    )
    return scan(
        query.where(tuple_(order, collections.c.pk) < last)
        .order_by(order.desc(), collections.c.pk.desc())
        .limit(bindparam("rows", type_=collections.c.pk.type)),
        CollectionRow,
    )


async def list_collections(db: Reader, actor: Actor, query: CollectionQuery) -> CollectionPage:
    """Return a page of the collections that match ``query`` and that ``actor`` may see.

    An owner or item that does not exist, or is hidden from the caller, matches no collection.

    Raises:
        InvalidInput: an unknown order, an item of another form, or too many filters.
    """
    if query.sort not in SORTS:
        raise InvalidInput(reason=f'"sort" must be one of [{", ".join(SORTS)}]')
    if max(len(query.owners), len(query.items)) > MAX_FILTERS:
        raise InvalidInput(reason=f"at most {MAX_FILTERS} owners and items at once")
    after, after_pk = query.after or (2**62, 2**62)
    values: dict[str, object] = {"after": after, "after_pk": after_pk, "rows": query.limit}
    if query.owners:
        values["owner_pks"] = await _owner_pks(db, query.owners)
    if query.items:
        values["targets"] = [
            target for name in query.items if (target := await _target(db, actor, name))
        ]
    if query.text is not None:
        values["pattern"] = _pattern(query.text)
    shape = Shape(query.sort, bool(query.owners), bool(query.items), query.text is not None)
    rows = await db.all(listing(shape), actor_pk=actor.pk, **values)
    last = None
    if len(rows) >= query.limit:
        of_last = rows[-1]
        key = of_last.modified_ms if query.sort == "lastModified" else of_last.upvotes
        last = (key, of_last.pk)
    return CollectionPage([collection_from_row(row, actor) for row in rows], last)


async def _owner_pks(db: Reader, names: Iterable[str]) -> list[int]:
    pks = []
    for name in names:
        try:
            pks.append((await find_account(db, name, follow=True)).pk)
        except AccountNotFound:
            continue
    return pks


async def _target(db: Reader, actor: Actor, name: str) -> str | None:
    kind, _, rest = name.partition("/")
    singular = _SINGULARS.get(kind)
    if singular is None or not rest:
        raise InvalidInput(reason='"item" must be like models/owner/name, with a kind before it')
    if singular == PAPER:
        return rest.replace("\0", "")
    if singular == COLLECTION:
        collection = await find_collection(db, actor, rest)
        return collection.id if collection else None
    try:
        return (await open_repo(db, actor, RepoId.parse(Kind(singular), rest))).id
    except RepoMoved as moved:
        return await _target(db, actor, f"{kind}/{moved.target}")
    except (RepoNotFound, RepoDisabled, InvalidInput):
        return None


def _pattern(text: str) -> str:
    word = text.casefold().strip().replace("\0", "")
    for special in (_ESCAPE, "%", "_"):
        word = word.replace(special, _ESCAPE + special)
    return f"%{word}%"


_BEFORE = scan(
    select(func.count().label("n"))
    .outerjoin_from(collections, members, membership_of(collections.c.owner_pk))
    .where(collections.c.owner_pk == bindparam("owner_pk"))
    .where(shown_to_caller(collections.c.private, collections.c.owner_pk))
    .where(
        or_(
            collections.c.position < bindparam("position"),
            and_(
                collections.c.position == bindparam("position"),
                collections.c.pk < bindparam("own_pk"),
            ),
        )
    ),
    int,
)
_VISIBLE = scan(select_visible().where(any_of(collections.c.pk, "pks")), CollectionRow)
_EVERY = scan(
    select(*COLUMNS)
    .join_from(collections, accounts, collections.c.owner_pk == accounts.c.pk)
    .outerjoin(members, membership_of(collections.c.owner_pk))
    .where(collections.c.pk > bindparam("after_pk"))
    .order_by(collections.c.pk)
    .limit(_BATCH),
    CollectionRow,
)


async def position_of(db: Reader, actor: Actor, collection: Collection) -> int:
    """Return the place of a collection among those of its owner that ``actor`` may see, from 0."""
    return await db.single(
        _BEFORE,
        actor_pk=actor.pk,
        owner_pk=collection.owner_pk,
        position=collection.position,
        own_pk=collection.pk,
    )


async def visible_collections(
    db: Reader, actor: Actor, pks: Iterable[int]
) -> dict[int, Collection]:
    """Return those of the collections that ``actor`` may see, by pk."""
    rows = await db.all(_VISIBLE, pks=sorted(set(pks)), actor_pk=actor.pk)
    return {row.pk: collection_from_row(row, actor) for row in rows}


async def every_collection(db: Reader) -> AsyncIterator[Collection]:
    """Yield every collection, private ones too, oldest first, for the operator of the hub."""
    after = 0
    while rows := await db.all(_EVERY, after_pk=after, actor_pk=0):
        for row in rows:
            yield collection_from_row(row, ANONYMOUS)
        after = rows[-1].pk
