"""Pages of a repository's discussions, each sort read along an index."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Select, bindparam, func, select

from hubstead.accounts import find_account
from hubstead.db import Reader, Statement, scan
from hubstead.discussions.counts import counted
from hubstead.discussions.discussion import DiscussionRow, select_discussions
from hubstead.discussions.tables import discussions
from hubstead.errors import AccountNotFound, InvalidInput

PAGE = 50
TYPES = ("all", "discussion", "pull_request")
STATUSES = ("all", "open", "closed")
SORTS = ("recently-created", "trending", "reactions")
MAX_SEARCH_CHARS = 200


class DiscussionQuery(msgspec.Struct, frozen=True):
    """What a list shows: filters, order and page."""

    type: str = "all"
    status: str = "all"
    author: str | None = None
    search: str | None = None
    sort: str = "recently-created"  # trending: the latest activity first
    page: int = 0


class DiscussionPage(msgspec.Struct, frozen=True):
    """One page; ``count`` is of all pages, ``closed`` of the closed ones of the type."""

    items: tuple[DiscussionRow, ...]
    count: int
    start: int
    closed: int


class _Filters(NamedTuple):
    pull: bool
    status: bool
    author: bool
    search: bool


def _where(query: Select[Any], filters: _Filters) -> Select[Any]:
    query = query.where(
        discussions.c.repo_pk == bindparam("repo_pk"), discussions.c.status != "deleted"
    )
    if filters.pull:
        query = query.where(discussions.c.is_pull == bindparam("is_pull"))
    if filters.status:
        query = query.where(discussions.c.is_open == bindparam("is_open"))
    if filters.author:
        query = query.where(discussions.c.author_pk == bindparam("author_pk"))
    if filters.search:
        title = func.lower(discussions.c.title)
        query = query.where(title.like(bindparam("pattern"), escape="\\"))
    return query


@cache
def page_statement(filters: _Filters, sort: str) -> Statement[DiscussionRow]:
    """Return the statement of one page under these filters."""
    query = _where(select_discussions(), filters)
    if sort == "trending":
        query = query.order_by(discussions.c.active_ms.desc(), discussions.c.num.desc())
    else:
        query = query.order_by(discussions.c.num.desc())
    return scan(query.limit(PAGE).offset(bindparam("start")), DiscussionRow)


@cache
def count_statement(filters: _Filters) -> Statement[int]:
    """Return the statement that counts what an author or a search matches."""
    count = func.count().label("n")
    return scan(_where(select(count).select_from(discussions), filters), int)


async def list_discussions(db: Reader, repo_pk: int, query: DiscussionQuery) -> DiscussionPage:
    """Return a page of a repository's discussions, newest first.

    Args:
        db: The database.
        repo_pk: A repository that the caller may see.
        query: Filters, order and page.

    Raises:
        InvalidInput: an unknown type, status or sort, or a search that is too long.
    """
    _check(query)
    filters = _Filters(
        query.type != "all", query.status != "all", query.author is not None, bool(query.search)
    )
    counts = await counted(db, repo_pk)
    is_pull = None if query.type == "all" else int(query.type == "pull_request")
    is_open = None if query.status == "all" else int(query.status == "open")
    start = query.page * PAGE
    closed = counts.total(is_pull, 0)
    values: dict[str, object] = {"repo_pk": repo_pk}
    if is_pull is not None:
        values["is_pull"] = is_pull
    if is_open is not None:
        values["is_open"] = is_open
    if query.author is not None:
        try:
            values["author_pk"] = (await find_account(db, query.author, "user")).pk
        except AccountNotFound:
            return DiscussionPage((), 0, start, closed)
    if query.search:
        values["pattern"] = _pattern(query.search)
    if filters.author or filters.search:
        count = await db.single(count_statement(filters), **values)
    else:
        count = counts.total(is_pull, is_open)
    rows: list[DiscussionRow] = []
    if start < count:
        rows = await db.all(page_statement(filters, query.sort), start=start, **values)
    return DiscussionPage(tuple(rows), count, start, closed)


def _check(query: DiscussionQuery) -> None:
    for name, value, allowed in (
        ("type", query.type, TYPES),
        ("status", query.status, STATUSES),
        ("sort", query.sort, SORTS),
    ):
        if value not in allowed:
            raise InvalidInput(reason=f'"{name}" must be one of [{", ".join(allowed)}]')
    if query.search and (len(query.search) > MAX_SEARCH_CHARS or "\0" in query.search):
        raise InvalidInput(reason=f'"search" must have at most {MAX_SEARCH_CHARS} characters')


def _pattern(search: str) -> str:
    text = search.lower()
    for character in "\\%_":
        text = text.replace(character, f"\\{character}")
    return f"%{text}%"
