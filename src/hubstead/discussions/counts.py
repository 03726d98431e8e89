"""Counts of discussions per repository, kept by the transactions that change them."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, select

from hubstead.db import Reader, Tx, indexed, insert_into
from hubstead.discussions.tables import discussion_counts


class _Count(NamedTuple):
    is_pull: int
    is_open: int
    number: int


class DiscussionCounts(NamedTuple):
    """The counts of one repository."""

    rows: tuple[_Count, ...]

    def total(self, is_pull: int | None, is_open: int | None) -> int:
        """Return how many match; None matches both."""
        return sum(
            row.number
            for row in self.rows
            if is_pull in (None, row.is_pull) and is_open in (None, row.is_open)
        )


_READ = indexed(
    select(
        discussion_counts.c.is_pull, discussion_counts.c.is_open, discussion_counts.c.number
    ).where(discussion_counts.c.repo_pk == bindparam("repo_pk")),
    _Count,
)
_INSERT = insert_into(discussion_counts, "repo_pk", "is_pull", "is_open", "number")
_ADD = indexed(
    _INSERT.on_conflict_do_update(
        index_elements=["repo_pk", "is_pull", "is_open"],
        set_={"number": discussion_counts.c.number + _INSERT.excluded.number},
    )
)


async def counted(db: Reader, repo_pk: int) -> DiscussionCounts:
    """Return the counts of a repository."""
    return DiscussionCounts(tuple(await db.all(_READ, repo_pk=repo_pk)))


async def add_to_count(tx: Tx, repo_pk: int, *, is_pull: int, is_open: int, by: int) -> None:
    """Change one count; the transaction has locked the repository's row."""
    await tx.run(_ADD, repo_pk=repo_pk, is_pull=is_pull, is_open=is_open, number=by)
