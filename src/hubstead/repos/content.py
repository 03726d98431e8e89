"""What writes to the content of a repository, and likes, change in its row."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, update

from hubstead.db import Tx, indexed
from hubstead.repos.tables import repos


class ContentCounters(NamedTuple):
    """The counters of a repository after a write, with its id."""

    id: str
    packs: int


_COUNT = indexed(
    update(repos)
    .values(
        packs=repos.c.packs + bindparam("more_packs"),
        used_bytes=repos.c.used_bytes + bindparam("more_bytes"),
    )
    .where(repos.c.pk == bindparam("which_pk"))
    .returning(repos.c.id, repos.c.packs),
    ContentCounters,
)
_SET_HEAD = indexed(
    update(repos)
    .values(head=bindparam("tip"), modified_ms=bindparam("at_ms"))
    .where(repos.c.pk == bindparam("which_pk"))
)
_COUNT_LIKE = indexed(
    update(repos)
    .values(likes=repos.c.likes + bindparam("more_likes"))
    .where(repos.c.pk == bindparam("which_pk"))
)


async def count_content(
    tx: Tx, repo_pk: int, *, packs: int, used_bytes: int
) -> ContentCounters | None:
    """Add packs and bytes to the counters of a repository; None if it is gone."""
    return await tx.one(_COUNT, which_pk=repo_pk, more_packs=packs, more_bytes=used_bytes)


async def set_head(tx: Tx, repo_pk: int, tip: str | None, *, at_ms: int) -> None:
    """Set the commit of the default branch, and the time of the last change."""
    await tx.run(_SET_HEAD, which_pk=repo_pk, tip=tip, at_ms=at_ms)


async def count_like(tx: Tx, repo_pk: int, by: int) -> None:
    """Add ``by`` to the number of likes that a repository shows; ``likes`` owns what it counts."""
    await tx.run(_COUNT_LIKE, which_pk=repo_pk, more_likes=by)
