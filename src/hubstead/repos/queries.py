"""Reading what is kept of a repository beside its git objects."""

from __future__ import annotations

from typing import NamedTuple, TypedDict

from sqlalchemy import bindparam, select

from hubstead.db import Reader, point
from hubstead.repos.access import Repo
from hubstead.repos.tables import repos


class Details(NamedTuple):
    """What the info answer says beyond what opening tells; JSON is left as it is stored."""

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


_DETAILS = point(
    select(*(repos.c[name] for name in Details._fields)).where(repos.c.pk == bindparam("repo_pk")),
    Details,
)


async def details(db: Reader, opened: Repo) -> Details:
    """Return the details of an opened repository."""
    return await db.single(_DETAILS, repo_pk=opened.pk)


class EventFacts(TypedDict):
    """What every ``RepoEvent`` says of its repository."""

    kind: str
    name: str
    private: bool


def event_facts(opened: Repo) -> EventFacts:
    """Return the facts of a ``RepoEvent`` about this repository as it is now."""
    return {"kind": opened.kind.value, "name": opened.full_name, "private": opened.private}
