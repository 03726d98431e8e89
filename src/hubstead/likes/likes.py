"""Likes and their lists, newest first."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, select, tuple_

from hubstead.accounts import Actor
from hubstead.accounts.tables import accounts
from hubstead.db import Database, Reader, Tx, indexed, insert_into, scan
from hubstead.ids import now_ms
from hubstead.likes.tables import likes
from hubstead.repos import Repo, Right, count_like, reopen, visible_repos
from hubstead.repos.tables import repos

#: Above every time and every number: the position before the first row.
_MOST = 2**62


class Position(NamedTuple):
    """The place of a row in a list: the next page begins behind it."""

    created_ms: int = _MOST
    pk: int = _MOST


class Liker(NamedTuple):
    """A user who likes a repository."""

    pk: int
    id: str
    name: str
    fullname: str
    created_ms: int


class LikedRepo(NamedTuple):
    """A repository that a user likes."""

    pk: int
    kind: str
    owner: str
    name: str
    created_ms: int  # of the like


class LikeCount(NamedTuple):
    """A repository whose count differs from its likes."""

    repo_id: str
    counted: int
    likes: int


_ADD = indexed(insert_into(likes, "repo_pk", "user_pk", "created_ms").on_conflict_do_nothing())
_REMOVE = indexed(
    delete(likes).where(
        likes.c.repo_pk == bindparam("which_repo"), likes.c.user_pk == bindparam("which_user")
    )
)
_LAST = tuple_(
    bindparam("after_ms", type_=likes.c.created_ms.type),
    bindparam("after_pk", type_=likes.c.user_pk.type),
)
_LIKERS = scan(
    select(accounts.c.pk, accounts.c.id, accounts.c.name, accounts.c.fullname, likes.c.created_ms)
    .join_from(likes, accounts, likes.c.user_pk == accounts.c.pk)
    .where(likes.c.repo_pk == bindparam("repo_pk"))
    .where(tuple_(likes.c.created_ms, likes.c.user_pk) < _LAST)
    .order_by(likes.c.created_ms.desc(), likes.c.user_pk.desc())
    .limit(bindparam("rows", type_=likes.c.user_pk.type)),
    Liker,
)
_LIKED = scan(
    visible_repos(
        select(
            repos.c.pk,
            repos.c.kind,
            accounts.c.name.label("owner"),
            repos.c.name,
            likes.c.created_ms,
        )
        .join_from(likes, repos, likes.c.repo_pk == repos.c.pk)
        .join(accounts, repos.c.owner_pk == accounts.c.pk)
    )
    .where(likes.c.user_pk == bindparam("user_pk"))
    .where(tuple_(likes.c.created_ms, likes.c.repo_pk) < _LAST)
    .order_by(likes.c.created_ms.desc(), likes.c.repo_pk.desc())
    .limit(bindparam("rows", type_=likes.c.user_pk.type)),
    LikedRepo,
)
_COUNT_LIKED = scan(
    visible_repos(
        select(func.count().label("n")).join_from(likes, repos, likes.c.repo_pk == repos.c.pk)
    ).where(likes.c.user_pk == bindparam("user_pk")),
    int,
)
_LIKES_OF = scan(
    select(likes.c.repo_pk)
    .where(likes.c.user_pk == bindparam("user_pk"))
    .order_by(likes.c.repo_pk),
    int,
)
_ROWS = select(func.count()).where(likes.c.repo_pk == repos.c.pk).correlate(repos).scalar_subquery()
_WRONG = scan(
    select(repos.c.id.label("repo_id"), repos.c.likes.label("counted"), _ROWS.label("likes"))
    .where(repos.c.likes != _ROWS)
    .order_by(repos.c.pk),
    LikeCount,
)


async def like_repo(db: Database, actor: Actor, repo: Repo) -> None:
    """Let the caller like a repository; nothing changes if they do.

    Raises:
        RepoNotFound: it was deleted or hidden from the caller meanwhile.
    """
    await db.write(_like, actor, repo)


async def _like(tx: Tx, actor: Actor, repo: Repo) -> None:
    repo = await reopen(tx, actor, repo, Right.VIEW)
    if await tx.run(_ADD, repo_pk=repo.pk, user_pk=actor.pk, created_ms=now_ms()):
        await count_like(tx, repo.pk, 1)


async def unlike_repo(db: Database, actor: Actor, repo: Repo) -> None:
    """Withdraw the caller's like of a repository; nothing changes if there is none.

    Raises:
        RepoNotFound: it was deleted or hidden from the caller meanwhile.
    """
    await db.write(_unlike, actor, repo)


async def _unlike(tx: Tx, actor: Actor, repo: Repo) -> None:
    repo = await reopen(tx, actor, repo, Right.VIEW)
    if await tx.run(_REMOVE, which_repo=repo.pk, which_user=actor.pk):
        await count_like(tx, repo.pk, -1)


async def list_likers(db: Reader, repo: Repo, limit: int, after: Position | None) -> list[Liker]:
    """Return at most ``limit`` users who like a repository, the newest like first."""
    last = after or Position()
    return await db.all(
        _LIKERS, repo_pk=repo.pk, after_ms=last.created_ms, after_pk=last.pk, rows=limit
    )


async def list_liked_repos(
    db: Reader, actor: Actor, user_pk: int, limit: int, after: Position | None
) -> list[LikedRepo]:
    """Return at most ``limit`` repositories that a user likes and ``actor`` may see, newest first.

    Repositories that are hidden from ``actor`` count nowhere: not in the page, not in ``limit``.
    """
    last = after or Position()
    return await db.all(
        _LIKED,
        user_pk=user_pk,
        actor_pk=actor.pk,
        after_ms=last.created_ms,
        after_pk=last.pk,
        rows=limit,
    )


async def count_liked_repos(db: Reader, actor: Actor, user_pk: int) -> int:
    """Return how many repositories a user likes, of those that ``actor`` may see."""
    return await db.single(_COUNT_LIKED, user_pk=user_pk, actor_pk=actor.pk)


async def release_likes(tx: Tx, account_pk: int) -> None:
    """Withdraw all likes of an account that is about to be deleted."""
    for repo_pk in await tx.all(_LIKES_OF, user_pk=account_pk):
        # The count first, as it locks the repository, which the caller's own unlike does as well.
        await count_like(tx, repo_pk, -1)
        if not await tx.run(_REMOVE, which_repo=repo_pk, which_user=account_pk):
            await count_like(tx, repo_pk, 1)


async def wrong_like_counts(db: Reader) -> list[LikeCount]:
    """Return the repositories whose count differs from their likes."""
    return await db.all(_WRONG)
