"""The repositories as garbage is looked for in them: every one, whoever may see it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sqlalchemy import bindparam, select

from hubstead.accounts import ANONYMOUS
from hubstead.accounts.tables import accounts
from hubstead.db import Reader, scan
from hubstead.repos import Repo
from hubstead.repos.access import shape
from hubstead.repos.tables import repos

_BATCH = 500
_EVERY = scan(
    select(repos, accounts.c.name.label("owner"), accounts.c.kind.label("owner_kind"))
    .join_from(repos, accounts, repos.c.owner_pk == accounts.c.pk)
    .where(repos.c.pk > bindparam("after_pk"))
    .order_by(repos.c.pk)
    .limit(_BATCH)
)


async def every_repository(db: Reader) -> AsyncIterator[Repo]:
    """Yield every repository, oldest first."""
    after = 0
    while rows := await db.all(_EVERY, after_pk=after):
        for row in rows:
            yield shape(row, ANONYMOUS)
        after = rows[-1].pk


def name_of(found: Repo) -> str:
    """Return what people are told: ``models/acme/bert``."""
    return f"{found.kind.plural}/{found.full_name}"
