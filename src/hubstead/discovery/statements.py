"""Statements of lists: one per shape of query, built once.

A *walk* follows the index of the sort order and filters rows until the page is full, which suits
conditions that many rows meet. A *collection* fetches the rows of the most selective condition and
sorts them, which suits conditions that few rows meet. ``search`` counts, then chooses. SQLite has
no statistics to choose by itself: a collection hides its order from the index (``column + 0``), and
joins that only add columns are outer joins, which SQLite does not reorder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    tuple_,
)

from hubstead.accounts.tables import accounts
from hubstead.db import Statement, any_of, scan
from hubstead.discovery.query import SORTS
from hubstead.repos import REPO_COLUMNS, RepoDetails, RepoRow, visible_repos
from hubstead.repos.tables import repo_names, repo_tags, repos

#: The number of rows from which a list is walked instead of collected. Measured on SQLite, a page
#: of 30 out of 700,000 models takes 4 ms to walk and 13 ms to collect at this number; with ten
#: times as many models the walk is slower.
MANY_TAGGED = 5_000
#: The same for names, fewer because their numbers travel to the program and back.
MANY_NAMED = 2_000

_ESCAPE = "!"


class Shape(NamedTuple):
    """The properties of a query that change its statement."""

    sort: str
    ascending: bool
    after: bool  # not the first page
    tags: int
    words: int
    author: bool
    gated: bool | None
    linked: bool
    with_card: bool
    with_config: bool
    drive: str  # walk; or collect by tag (the first one), author, names


@dataclass(frozen=True, slots=True)
class ListedRow:
    """A row of a list: a repository, its details, and its value of the sort order."""

    repo: RepoRow
    details: RepoDetails
    sorted_by: str | int | float

    _fields: ClassVar = (*RepoRow._fields, *RepoDetails._fields, "sorted_by")

    @classmethod
    def _make(cls, values: Sequence[Any]) -> ListedRow:
        ends = len(RepoRow._fields)
        return cls(RepoRow._make(values[:ends]), RepoDetails._make(values[ends:-1]), values[-1])


@lru_cache(maxsize=1024)
def listing(shape: Shape) -> Statement[ListedRow]:
    """Return the statement of one page; ``search`` lists its parameters."""
    order = _order(shape)
    query = visible_repos(_source(shape, select(*_columns(shape), order.label("sorted_by"))))
    for condition in _conditions(shape):
        query = query.where(condition)
    if shape.after:
        query = query.where(_after(shape, order))
    ends = (order.asc(), repos.c.pk.asc()) if shape.ascending else (order.desc(), repos.c.pk.desc())
    return scan(query.order_by(*ends).limit(bindparam("rows", type_=repos.c.packs.type)), ListedRow)


def _columns(shape: Shape) -> list[ColumnElement[Any]]:
    left_out = {"card": not shape.with_card, "config": not shape.with_config}
    details = (
        null().label(name) if left_out.get(name) else repos.c[name] for name in RepoDetails._fields
    )
    return [*REPO_COLUMNS, *details]


def _order(shape: Shape) -> ColumnElement[Any]:
    column: ColumnElement[Any] = SORTS[shape.sort]
    if shape.drive == "walk":
        return column
    return column.op("||")(literal("", Text)) if isinstance(column.type, Text) else column + 0


def _after(shape: Shape, order: ColumnElement[Any]) -> ColumnElement[bool]:
    last = tuple_(
        bindparam("after", type_=SORTS[shape.sort].type),
        bindparam("after_pk", type_=repos.c.pk.type),
    )
    row = tuple_(order, repos.c.pk)
    return row > last if shape.ascending else row < last


def _source(shape: Shape, query: Select[Any]) -> Select[Any]:
    if shape.sort == "id":
        query = query.join_from(
            repo_names, repos, and_(repo_names.c.repo_pk == repos.c.pk, repo_names.c.is_alias == 0)
        )
    else:
        query = query.select_from(repos)
    return query.outerjoin(accounts, repos.c.owner_pk == accounts.c.pk)


def _conditions(shape: Shape) -> list[ColumnElement[bool]]:
    conditions = [_driving(shape)]
    conditions += [_tagged(f"tag_{n}") for n in range(shape.drive == "tag", shape.tags)]
    if shape.words:
        has_name = exists().where(repo_names.c.repo_pk == repos.c.pk, named(shape.words))
        conditions.append(has_name.correlate(repos))
    if shape.author and shape.drive != "author":
        conditions.append(repos.c.owner_pk == bindparam("owner_pk"))
    if shape.gated is not None:
        conditions.append(repos.c.gated != "" if shape.gated else repos.c.gated == "")
    if shape.linked:
        conditions.append(_linked())
    return conditions


def _driving(shape: Shape) -> ColumnElement[bool]:
    """Return the condition that rows are fetched by, which includes their kind."""
    if shape.drive == "names":
        return any_of(repos.c.pk, "pks")
    if shape.drive == "tag":
        return repos.c.pk.in_(select(repo_tags.c.repo_pk).where(has_tag("tag_0")))
    of_kind = repo_names.c.kind if shape.sort == "id" and shape.drive == "walk" else repos.c.kind
    if shape.drive == "author":
        return and_(repos.c.owner_pk == bindparam("owner_pk"), of_kind == bindparam("kind"))
    return of_kind == bindparam("kind")


def has_tag(name: str) -> ColumnElement[bool]:
    """Return the condition that a row of ``repo_tags`` has the tag in the parameter ``name``."""
    return and_(repo_tags.c.kind == bindparam("kind"), repo_tags.c.tag == bindparam(name))


def _tagged(name: str) -> ColumnElement[bool]:
    return exists().where(has_tag(name), repo_tags.c.repo_pk == repos.c.pk)


def _linked() -> ColumnElement[bool]:
    return exists().where(
        repo_tags.c.repo_pk == repos.c.pk,
        or_(repo_tags.c.tag.like("model:%"), repo_tags.c.tag.like("dataset:%")),
    )


def named(words: int) -> ColumnElement[bool]:
    """Return the condition that a present name contains all of ``word_0``, ``word_1`` …"""
    likes = (
        repo_names.c.name_key.like(bindparam(f"word_{n}", type_=Text()), escape=_ESCAPE)
        for n in range(words)
    )
    return and_(repo_names.c.is_alias == 0, *likes)


def like_pattern(word: str) -> str:
    """Return the LIKE pattern for names that contain ``word``."""
    for special in (_ESCAPE, "%", "_"):
        word = word.replace(special, _ESCAPE + special)
    return f"%{word}%"


def _count_up_to(most: int, rows: Select[Any]) -> Statement[int]:
    return scan(select(func.count().label("n")).select_from(rows.limit(most).subquery()), int)


#: The number of repositories with ``tag_0``, counted up to ``MANY_TAGGED``.
COUNT_TAGGED = _count_up_to(MANY_TAGGED, select(repo_tags.c.repo_pk).where(has_tag("tag_0")))
#: The number of repositories of ``owner_pk``, counted up to ``MANY_TAGGED``.
COUNT_OWNED = _count_up_to(
    MANY_TAGGED,
    select(repos.c.pk).where(
        repos.c.owner_pk == bindparam("owner_pk"), repos.c.kind == bindparam("kind")
    ),
)


@lru_cache(maxsize=64)
def names_with(words: int) -> Statement[int]:
    """Return the statement for the ``repo_pk`` of names that contain all the words."""
    return scan(
        select(repo_names.c.repo_pk)
        .where(repo_names.c.kind == bindparam("kind"), named(words))
        .limit(MANY_NAMED),
        int,
    )


NAMES_AMONG = scan(
    select(repo_names.c.repo_pk).where(
        repo_names.c.kind == bindparam("kind"),
        repo_names.c.is_alias == 0,
        any_of(repo_names.c.name_key, "name_keys"),
    ),
    int,
)
