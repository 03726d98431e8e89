"""Buckets with their sizes: one, and those of an account, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import bindparam, func, select

from hubstead.accounts import Actor
from hubstead.accounts.tables import accounts
from hubstead.buckets.tables import buckets
from hubstead.db import Reader, indexed, scan
from hubstead.ids import Kind
from hubstead.repos import REPO_COLUMNS, Repo, RepoRow, repo_from_row, visible_repos
from hubstead.repos.tables import repos


class BucketSize(NamedTuple):
    """The counters of a bucket."""

    objects: int
    bytes: int


_SIZE = indexed(
    select(buckets.c.objects, buckets.c.bytes).where(buckets.c.repo_pk == bindparam("which_pk")),
    BucketSize,
)


@dataclass(frozen=True, slots=True)
class _ListedRow:
    repo: RepoRow
    size: BucketSize

    _fields: ClassVar = (*RepoRow._fields, *BucketSize._fields)

    @classmethod
    def _make(cls, values: Sequence[Any]) -> _ListedRow:
        ends = len(RepoRow._fields)
        return cls(RepoRow._make(values[:ends]), BucketSize._make(values[ends:]))


_LIST = scan(
    visible_repos(
        select(*REPO_COLUMNS, buckets.c.objects, buckets.c.bytes)
        .join_from(repos, accounts, repos.c.owner_pk == accounts.c.pk)
        .join(buckets, buckets.c.repo_pk == repos.c.pk)
    )
    .where(
        repos.c.owner_pk == bindparam("owner_pk"),
        repos.c.kind == Kind.BUCKET.value,
        repos.c.pk < bindparam("before_pk"),
        func.lower(repos.c.name).like(bindparam("pattern"), escape="\\"),
    )
    .order_by(repos.c.pk.desc())
    .limit(bindparam("most")),
    _ListedRow,
)


class BucketQuery(NamedTuple):
    """The buckets of one account, the newest first."""

    owner_pk: int
    search: str = ""  # in any case, anywhere in the name
    before_pk: int = 2**62
    limit: int = 100


class BucketPage(NamedTuple):
    """A page of a list of buckets."""

    items: list[tuple[Repo, BucketSize]]
    next_before: int | None  # for the query of the next page


async def load_bucket(db: Reader, repo: Repo) -> BucketSize:
    """Return the size of an opened bucket."""
    return await db.single(_SIZE, which_pk=repo.pk)


async def list_buckets(db: Reader, actor: Actor, query: BucketQuery) -> BucketPage:
    """Return a page of the buckets of an account that ``actor`` may see."""
    # No name has a backslash or a NUL.
    escaped = (
        query.search.lower()
        .replace("\\", "")
        .replace("\0", "")
        .replace("_", "\\_")
        .replace("%", "\\%")
    )
    rows = await db.all(
        _LIST,
        actor_pk=actor.pk,
        owner_pk=query.owner_pk,
        pattern=f"%{escaped}%",
        before_pk=query.before_pk,
        most=query.limit + 1,
    )
    shown = rows[: query.limit]
    items = [(repo_from_row(row.repo, actor), row.size) for row in shown]
    return BucketPage(items, shown[-1].repo.pk if len(rows) > len(shown) else None)
