"""Pages of repositories that match a query, by the cheapest of several statements."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec

from hubstead.accounts import Actor, find_account
from hubstead.db import Reader
from hubstead.discovery import statements
from hubstead.discovery.query import (
    MAX_LIMIT,
    RepoQuery,
    decode_cursor,
    encode_cursor,
    is_storable,
    sort_name,
    tags_of,
    words_of,
)
from hubstead.discovery.statements import MANY_NAMED, MANY_TAGGED, Shape
from hubstead.errors import AccountNotFound, InvalidInput
from hubstead.repos import Repo, RepoDetails, repo_from_row


class ResultItem(msgspec.Struct, frozen=True):
    """One repository of a list, opened for the caller."""

    repo: Repo
    details: RepoDetails


class ResultPage(msgspec.Struct, frozen=True):
    """One page of a list, and the cursor of the next."""

    items: tuple[ResultItem, ...] = ()
    next_cursor: str | None = None  # None: this is the last page


class CollectLimits(NamedTuple):
    """The numbers of rows below which a list is collected and sorted, instead of walked in order.

    At most `MANY_TAGGED` and `MANY_NAMED`, up to which rows are counted.
    """

    tagged: int = MANY_TAGGED  # of a tag, or of an owner
    named: int = MANY_NAMED


COLLECT_LIMITS = CollectLimits()


class _SearchPlan(msgspec.Struct):
    """The parameters of the statement, and the condition that it starts from."""

    values: dict[str, Any]
    limits: CollectLimits
    drive: str = "walk"
    rows: int | None = None  # that meet the driving condition; None: all of a kind

    def offer(self, drive: str, rows: int) -> None:
        """Choose ``drive`` if fewer rows meet it than the conditions offered before."""
        if self.rows is None or rows < self.rows:
            self.drive, self.rows = drive, rows


async def search_repos(
    db: Reader, actor: Actor, query: RepoQuery, *, limits: CollectLimits = COLLECT_LIMITS
) -> ResultPage:
    """Return a page of the repositories that match ``query`` and that ``actor`` may see.

    A cursor carries the values of the last row, so a list may change between pages: a repository
    that stays appears once.

    Raises:
        InvalidInput: an unknown sort, an invalid direction, limit or cursor, or too many terms.
    """
    sort, ascending = sort_name(query.sort), _is_ascending(query.direction)
    if not 1 <= query.limit <= MAX_LIMIT:
        raise InvalidInput(reason=f"limit must be 1 to {MAX_LIMIT}")
    values: dict[str, Any] = {}
    if query.cursor:
        values["after"], values["after_pk"] = decode_cursor(query.cursor, sort, ascending)
    tags, words = tags_of(query), words_of(query)
    if not all(map(is_storable, (*tags, *words, *query.ids, query.author or ""))):
        return ResultPage()
    plan = _SearchPlan(values, limits)
    if not await _narrow(db, query, tags, words, plan):
        return ResultPage()
    shape = Shape(
        sort=sort,
        ascending=ascending,
        after=bool(query.cursor),
        tags=len(tags),
        words=len(words),
        author=query.author is not None,
        gated=query.gated,
        linked=query.linked,
        with_card=query.with_card,
        with_config=query.with_config,
        drive=plan.drive,
    )
    return await _page(db, actor, query, shape, plan)


async def search_all_repos(db: Reader, actor: Actor, query: RepoQuery) -> AsyncIterator[ResultItem]:
    """Yield the repositories of all pages of ``search_repos``; raises as it does."""
    while True:
        page = await search_repos(db, actor, query)
        for item in page.items:
            yield item
        if page.next_cursor is None:
            return
        query = msgspec.structs.replace(query, cursor=page.next_cursor)


def _is_ascending(direction: int) -> bool:
    if direction not in (1, -1):
        raise InvalidInput(reason="direction must be 1 or -1")
    return direction == 1


async def _narrow(
    db: Reader, query: RepoQuery, tags: tuple[str, ...], words: tuple[str, ...], plan: _SearchPlan
) -> bool:
    """Choose the condition that the fewest rows meet; return False when no row meets one."""
    return (
        await _narrow_by_author(db, query, plan)
        and await _narrow_by_tags(db, query, tags, plan)
        and await _narrow_by_words(db, query, words, plan)
        and await _narrow_by_ids(db, query, plan)
    )


async def _narrow_by_author(db: Reader, query: RepoQuery, plan: _SearchPlan) -> bool:
    if query.author is None:
        return True
    try:
        owner = await find_account(db, query.author, follow=True)
    except AccountNotFound:
        return False
    plan.values["owner_pk"] = owner.pk
    count = await db.single(statements.COUNT_OWNED, owner_pk=owner.pk, kind=query.kind.value)
    if count < plan.limits.tagged:
        plan.offer("author", count)
    return count > 0


async def _narrow_by_tags(
    db: Reader, query: RepoQuery, tags: tuple[str, ...], plan: _SearchPlan
) -> bool:
    counts: list[tuple[int, str]] = []
    for tag in tags:
        count = await db.single(statements.COUNT_TAGGED, tag_0=tag, kind=query.kind.value)
        if count == 0:
            return False
        counts.append((count, tag))
    # Rarest first: a collection starts from it, and a walk drops the most rows by it.
    counts.sort()
    plan.values |= {f"tag_{number}": tag for number, (_, tag) in enumerate(counts)}
    if counts and counts[0][0] < plan.limits.tagged:
        plan.offer("tag", counts[0][0])
    return True


async def _narrow_by_words(
    db: Reader, query: RepoQuery, words: tuple[str, ...], plan: _SearchPlan
) -> bool:
    if not words:
        return True
    patterns = {f"word_{n}": statements.like_pattern(word) for n, word in enumerate(words)}
    plan.values |= patterns
    pks = await db.all(statements.names_with(len(words)), kind=query.kind.value, **patterns)
    if len(pks) < plan.limits.named:
        _offer_names(pks, plan)
    return bool(pks)


async def _narrow_by_ids(db: Reader, query: RepoQuery, plan: _SearchPlan) -> bool:
    if not query.ids:
        return True
    if len(query.ids) > MANY_NAMED:
        raise InvalidInput(reason=f"at most {MANY_NAMED} ids at once")
    keys = [name.casefold() for name in query.ids]
    pks = await db.all(statements.NAMES_AMONG, kind=query.kind.value, name_keys=keys)
    if plan.drive == "names":  # of the words
        allowed = set(pks)
        plan.values["pks"] = [pk for pk in plan.values["pks"] if pk in allowed]
    else:
        plan.rows = None  # only the driving condition checks ids
        _offer_names(pks, plan)
    return bool(plan.values["pks"])


def _offer_names(pks: list[int], plan: _SearchPlan) -> None:
    plan.offer("names", len(pks))
    if plan.drive == "names":
        plan.values["pks"] = pks


async def _page(
    db: Reader, actor: Actor, query: RepoQuery, shape: Shape, plan: _SearchPlan
) -> ResultPage:
    statement = statements.listing(shape)
    values = plan.values | {"actor_pk": actor.pk, "rows": query.limit + 1}
    if shape.drive != "names" or shape.tags:
        values["kind"] = query.kind.value
    rows = await db.all(statement, **values)
    shown = rows[: query.limit]
    next_cursor = None
    if len(rows) > len(shown):
        last = shown[-1]
        next_cursor = encode_cursor(shape.sort, shape.ascending, last.sorted_by, last.repo.pk)
    items = tuple(ResultItem(repo_from_row(row.repo, actor), row.details) for row in shown)
    return ResultPage(items, next_cursor)
