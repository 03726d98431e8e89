"""Queries on the rows of repositories."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypedDict

from sqlalchemy import bindparam, select

from hubstead.accounts import ANONYMOUS, Actor
from hubstead.accounts.tables import accounts
from hubstead.db import Reader, any_of, indexed, scan
from hubstead.ids import Kind, RepoId
from hubstead.repos.access import (
    COLUMNS_FOR_NO_CALLER,
    REPO_COLUMNS,
    Repo,
    RepoRow,
    repo_from_row,
    visible_repos,
)
from hubstead.repos.tables import repos

#: Repositories per statement of ``every_repo``.
_BATCH = 500


class RepoDetails(NamedTuple):
    """Columns of a repository that repository info shows beyond ``Repo``; JSON stays encoded."""

    card: str | None
    config: str | None
    pipeline_tag: str | None
    library_name: str | None
    tags: str
    settings: str
    used_bytes: int
    downloads: int
    downloads_all_time: int
    likes: int
    trending: float


_DETAILS = indexed(
    select(*(repos.c[name] for name in RepoDetails._fields)).where(
        repos.c.pk == bindparam("repo_pk")
    ),
    RepoDetails,
)


@dataclass(frozen=True, slots=True)
class _StoredRow:
    repo: RepoRow
    details: RepoDetails

    _fields: ClassVar = (*RepoRow._fields, *RepoDetails._fields)

    @classmethod
    def _make(cls, values: Sequence[Any]) -> _StoredRow:
        ends = len(RepoRow._fields)
        return cls(RepoRow._make(values[:ends]), RepoDetails._make(values[ends:]))


_EVERY = scan(
    select(*COLUMNS_FOR_NO_CALLER, *(repos.c[name] for name in RepoDetails._fields))
    .join_from(repos, accounts, repos.c.owner_pk == accounts.c.pk)
    .where(repos.c.pk > bindparam("after_pk"))
    .order_by(repos.c.pk)
    .limit(_BATCH),
    _StoredRow,
)


async def every_repo(db: Reader) -> AsyncIterator[tuple[Repo, RepoDetails]]:
    """Yield every repository with its details, oldest first, repo for no caller (role none)."""
    after = 0
    while rows := await db.all(_EVERY, after_pk=after):
        for row in rows:
            yield repo_from_row(row.repo, ANONYMOUS), row.details
        after = rows[-1].repo.pk


_VISIBLE = scan(
    visible_repos(
        select(*REPO_COLUMNS, *(repos.c[name] for name in RepoDetails._fields)).join_from(
            repos, accounts, repos.c.owner_pk == accounts.c.pk
        )
    ).where(any_of(repos.c.pk, "pks")),
    _StoredRow,
)


async def visible_details(
    db: Reader, actor: Actor, pks: Iterable[int]
) -> dict[int, tuple[Repo, RepoDetails]]:
    """Return those of the repositories that ``actor`` may see, with details, by pk."""
    unique = sorted(set(pks))
    shown: dict[int, tuple[Repo, RepoDetails]] = {}
    for start in range(0, len(unique), _BATCH):
        batch = unique[start : start + _BATCH]
        for row in await db.all(_VISIBLE, pks=batch, actor_pk=actor.pk):
            shown[row.repo.pk] = (repo_from_row(row.repo, actor), row.details)
    return shown


_BY_ID = indexed(
    select(*COLUMNS_FOR_NO_CALLER)
    .join_from(repos, accounts, repos.c.owner_pk == accounts.c.pk)
    .where(repos.c.id == bindparam("repo_id")),
    RepoRow,
)


async def find_repo(db: Reader, repo_id: str) -> Repo | None:
    """Return the repository with this immutable id, for no caller (role none), or None."""
    row = await db.one(_BY_ID, repo_id=repo_id)
    return repo_from_row(row, ANONYMOUS) if row is not None else None


class _RepoName(NamedTuple):
    pk: int
    kind: str
    owner: str
    name: str


_NAMES = scan(
    select(repos.c.pk, repos.c.kind, accounts.c.name.label("owner"), repos.c.name)
    .join_from(repos, accounts, repos.c.owner_pk == accounts.c.pk)
    .where(any_of(repos.c.pk, "pks")),
    _RepoName,
)


async def repo_ids(db: Reader, pks: Iterable[int]) -> dict[int, RepoId]:
    """Return the names of those of the repositories that exist, by pk."""
    unique = sorted(set(pks))
    names: dict[int, RepoId] = {}
    for start in range(0, len(unique), _BATCH):
        for row in await db.all(_NAMES, pks=unique[start : start + _BATCH]):
            names[row.pk] = RepoId(Kind(row.kind), row.owner, row.name)
    return names


async def load_details(db: Reader, repo: Repo) -> RepoDetails:
    """Return the details of a repository."""
    return await db.single(_DETAILS, repo_pk=repo.pk)


class EventFacts(TypedDict):
    """The fields that every ``RepoEvent`` has."""

    kind: str
    name: str
    private: bool


def event_facts(repo: Repo) -> EventFacts:
    """Return the fields of a ``RepoEvent`` about this repository as it is now."""
    return {"kind": repo.kind.value, "name": repo.full_name, "private": repo.private}
