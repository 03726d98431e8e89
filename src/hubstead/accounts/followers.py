"""Followers: which user follows which user or organization."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, delete, func, select, tuple_

from hubstead.accounts.accounts import Account
from hubstead.accounts.actor import Actor
from hubstead.accounts.tables import accounts, followers
from hubstead.db import Database, Reader, Statement, any_of, indexed, insert_into, scan
from hubstead.errors import InvalidInput
from hubstead.ids import now_ms

_MOST = 2**62


class FollowPosition(NamedTuple):
    """The place of a row in a list, newest first: the next page begins behind it."""

    since_ms: int = _MOST
    pk: int = _MOST


class Follow(NamedTuple):
    """An account that follows another, or that another follows."""

    pk: int
    id: str
    kind: str  # user, org
    name: str
    fullname: str
    since_ms: int


class FollowCounts(NamedTuple):
    """How many follow an account, and how many users and organizations it follows."""

    followers: int
    users: int
    orgs: int


_ADD = indexed(
    insert_into(followers, "followed_pk", "user_pk", "created_ms").on_conflict_do_nothing()
)
_REMOVE = indexed(
    delete(followers).where(
        followers.c.followed_pk == bindparam("which_pk"),
        followers.c.user_pk == bindparam("which_user"),
    )
)


def _list(
    shown: ColumnElement[int], given: ColumnElement[int], *, kind: str | None = None
) -> Statement[Follow]:
    last = tuple_(
        bindparam("after_ms", type_=followers.c.created_ms.type),
        bindparam("after_pk", type_=followers.c.user_pk.type),
    )
    query: Select[tuple[int, str, str, str, str, int]] = (
        select(
            accounts.c.pk,
            accounts.c.id,
            accounts.c.kind,
            accounts.c.name,
            accounts.c.fullname,
            followers.c.created_ms.label("since_ms"),
        )
        .join_from(followers, accounts, shown == accounts.c.pk)
        .where(given == bindparam("account_pk"))
        .where(tuple_(followers.c.created_ms, shown) < last)
        .order_by(followers.c.created_ms.desc(), shown.desc())
        .limit(bindparam("rows", type_=followers.c.user_pk.type))
    )
    if kind is not None:
        query = query.where(accounts.c.kind == kind)
    return scan(query, Follow)


_FOLLOWERS = _list(followers.c.user_pk, followers.c.followed_pk)
_FOLLOWING = _list(followers.c.followed_pk, followers.c.user_pk, kind="user")
_COUNT_FOLLOWERS = scan(
    select(func.count().label("n"))
    .select_from(followers)
    .where(followers.c.followed_pk == bindparam("account_pk")),
    int,
)


class _KindCount(NamedTuple):
    kind: str
    n: int


_COUNT_FOLLOWING = scan(
    select(accounts.c.kind, func.count().label("n"))
    .join_from(followers, accounts, followers.c.followed_pk == accounts.c.pk)
    .where(followers.c.user_pk == bindparam("account_pk"))
    .group_by(accounts.c.kind),
    _KindCount,
)
_FOLLOWED_AMONG = indexed(
    select(followers.c.followed_pk).where(
        followers.c.user_pk == bindparam("actor_pk"), any_of(followers.c.followed_pk, "pks")
    ),
    int,
)


async def follow(db: Database, actor: Actor, account: Account) -> None:
    """Let the caller follow a user or organization; nothing changes if they do.

    Raises:
        InvalidInput: the account is the caller's own.
    """
    if account.pk == actor.pk:
        raise InvalidInput(reason="you cannot follow yourself")
    await db.execute(_ADD, followed_pk=account.pk, user_pk=actor.pk, created_ms=now_ms())


async def unfollow(db: Database, actor: Actor, account: Account) -> None:
    """End that the caller follows a user or organization; nothing changes if they do not."""
    await db.execute(_REMOVE, which_pk=account.pk, which_user=actor.pk)


async def list_followers(
    db: Reader, account_pk: int, limit: int, after: FollowPosition | None
) -> list[Follow]:
    """Return at most ``limit`` users who follow an account, the newest first."""
    return await _page(db, _FOLLOWERS, account_pk, limit, after)


async def list_following(
    db: Reader, user_pk: int, limit: int, after: FollowPosition | None
) -> list[Follow]:
    """Return at most ``limit`` users whom a user follows, the newest first."""
    return await _page(db, _FOLLOWING, user_pk, limit, after)


async def _page(
    db: Reader, statement: Statement[Follow], pk: int, limit: int, after: FollowPosition | None
) -> list[Follow]:
    last = after or FollowPosition()
    return await db.all(
        statement, account_pk=pk, after_ms=last.since_ms, after_pk=last.pk, rows=limit
    )


async def count_follows(db: Reader, account_pk: int) -> FollowCounts:
    """Return how many follow an account, and how many it follows."""
    following = {row.kind: row.n for row in await db.all(_COUNT_FOLLOWING, account_pk=account_pk)}
    return FollowCounts(
        followers=await db.single(_COUNT_FOLLOWERS, account_pk=account_pk),
        users=following.get("user", 0),
        orgs=following.get("org", 0),
    )


async def followed_among(db: Reader, actor: Actor, pks: Iterable[int]) -> set[int]:
    """Return those of the accounts ``pks`` that the caller follows."""
    if not actor.signed_in:
        return set()
    return set(await db.all(_FOLLOWED_AMONG, actor_pk=actor.pk, pks=sorted(set(pks))))
