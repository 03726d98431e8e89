"""Former targets of refs, of the grace period."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, func, select

from hubstead.db import Reader, Statement, scan
from hubstead.outbox.tables import events
from hubstead.repos import RefsMoved

_BATCH = 1000
#: PostgreSQL assigns numbers before a commit, so up to this many events may become visible after an
#: event with a higher number.
_OUT_OF_ORDER = 1000


class _Moves(NamedTuple):
    pk: int
    repo_pk: int
    payload: str


_MOVES = scan(
    select(events.c.pk, events.c.repo_pk, events.c.payload)
    .where(
        events.c.pk > bindparam("after_pk"),
        events.c.type == RefsMoved.__name__,
        events.c.created_ms >= bindparam("since_ms"),
    )
    .order_by(events.c.pk)
    .limit(_BATCH),
    _Moves,
)
_MOVES_OF_ONE = scan(
    select(events.c.payload).where(
        events.c.pk > bindparam("after_pk"),
        events.c.repo_pk == bindparam("which_pk"),
        events.c.type == RefsMoved.__name__,
        events.c.created_ms >= bindparam("since_ms"),
    ),
    str,
)
_LAST: Statement[int | None] = scan(select(func.max(events.c.pk).label("pk")), int)


class PastTips:
    """Former targets of refs since a time, from the events in the outbox (stored for 30 days)."""

    def __init__(self, since_ms: int, tips: dict[int, set[str]], read_to: int) -> None:
        self._since_ms = since_ms
        self._tips = tips
        self._read_to = read_to

    @classmethod
    async def since(cls, db: Reader, since_ms: int) -> PastTips:
        """Read the ref updates of all repositories since ``since_ms``."""
        tips: dict[int, set[str]] = defaultdict(set)
        last = await db.single(_LAST)
        after = 0
        while rows := await db.all(_MOVES, after_pk=after, since_ms=since_ms):
            for row in rows:
                tips[row.repo_pk].update(_old_oids(row.payload))
            after = rows[-1].pk
        return cls(since_ms, tips, last or 0)

    async def of(self, db: Reader, repo_pk: int) -> set[str]:
        """Return the former targets of a repository's refs, read again up to now."""
        after = max(0, self._read_to - _OUT_OF_ORDER)
        which = {"which_pk": repo_pk, "since_ms": self._since_ms}
        for payload in await db.all(_MOVES_OF_ONE, after_pk=after, **which):
            self._tips[repo_pk].update(_old_oids(payload))
        return self._tips[repo_pk]


def _old_oids(payload: str) -> list[str]:
    moved = msgspec.json.decode(payload, type=RefsMoved)
    return [old for _, old, _ in moved.moves if old is not None]
