"""Search of users and organizations by their names."""

from __future__ import annotations

from sqlalchemy import Text, bindparam, func, or_, select

from hubstead.accounts.accounts import Account
from hubstead.accounts.tables import accounts
from hubstead.db import Reader, scan

_ESCAPE = "!"
_PATTERN = bindparam("pattern", type_=Text())
_SEARCH = scan(
    select(*(accounts.c[name] for name in Account._fields))
    .where(accounts.c.kind == bindparam("kind"), accounts.c.disabled == 0)
    .where(
        or_(
            accounts.c.name_key.like(_PATTERN, escape=_ESCAPE),
            func.lower(accounts.c.fullname).like(_PATTERN, escape=_ESCAPE),
        )
    )
    # Short names first: the one that was typed in full is the first of those that contain it.
    .order_by(func.length(accounts.c.name_key), accounts.c.name_key)
    .limit(bindparam("rows", type_=accounts.c.pk.type)),
    Account,
)


async def search_accounts(db: Reader, text: str, kind: str, limit: int) -> list[Account]:
    """Return at most ``limit`` accounts of a kind whose name or full name contains ``text``."""
    word = text.casefold().strip()
    if not word or "\0" in word:
        return []
    for special in (_ESCAPE, "%", "_"):
        word = word.replace(special, _ESCAPE + special)
    return await db.all(_SEARCH, kind=kind, pattern=f"%{word}%", rows=limit)
