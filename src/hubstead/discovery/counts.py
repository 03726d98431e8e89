"""Counts of the repositories of an account."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from hubstead.accounts import Actor
from hubstead.db import Reader, scan
from hubstead.ids import Kind
from hubstead.repos import visible_repos
from hubstead.repos.tables import repos


class _Count(NamedTuple):
    kind: str
    n: int


_COUNT = scan(
    visible_repos(select(repos.c.kind, func.count().label("n")).select_from(repos))
    .where(repos.c.owner_pk == bindparam("owner_pk"))
    .group_by(repos.c.kind),
    _Count,
)


async def count_by_owner(db: Reader, actor: Actor, owner_pk: int) -> dict[Kind, int]:
    """Return, by kind, how many repositories of an account ``actor`` may see."""
    rows = await db.all(_COUNT, owner_pk=owner_pk, actor_pk=actor.pk)
    return dict.fromkeys(Kind, 0) | {Kind(row.kind): row.n for row in rows}
