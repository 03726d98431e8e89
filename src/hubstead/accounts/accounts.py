"""Accounts of either kind: users and organizations share one table and one space of names."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, delete, select

from hubstead.accounts.tables import accounts
from hubstead.db import Conflict, Database, Reader, Tx, indexed, insert_into, scan
from hubstead.errors import AccountNotFound, InvalidInput, NameTaken
from hubstead.ids import account_key, new_object_id, now_ms


class Account(NamedTuple):
    """A user or an organization."""

    pk: int
    id: str
    kind: str  # user, org
    name: str
    fullname: str
    email: str | None
    is_admin: int
    disabled: int
    created_ms: int


_SELECT = select(*(accounts.c[name] for name in Account._fields))
_BY_NAME = indexed(_SELECT.where(accounts.c.name_key == bindparam("key")), Account)
_BY_PK = indexed(_SELECT.where(accounts.c.pk == bindparam("account_pk")), Account)
_BY_KIND = scan(
    _SELECT.where(accounts.c.kind == bindparam("kind")).order_by(accounts.c.pk), Account
)
_INSERT = indexed(
    insert_into(
        accounts,
        "id",
        "kind",
        "name",
        "name_key",
        "fullname",
        "email",
        "password_hash",
        "is_admin",
        "created_ms",
    )
    .on_conflict_do_nothing()
    .returning(accounts.c.pk),
    int,
)
_DELETE = indexed(delete(accounts).where(accounts.c.pk == bindparam("account_pk")))


async def find_account(db: Reader, name: str, kind: str | None = None) -> Account:
    """Return the account called ``name``, in any case.

    Raises:
        AccountNotFound: there is no such account (of that kind).
    """
    account = await db.one(_BY_NAME, key=account_key(name))
    if account is None or (kind and account.kind != kind):
        raise AccountNotFound(name=name)
    return account


async def load_account(db: Reader, pk: int) -> Account:
    """Return the account with this number.

    Raises:
        AccountNotFound: there is no such account.
    """
    account = await db.one(_BY_PK, account_pk=pk)
    if account is None:
        raise AccountNotFound(name=str(pk))
    return account


async def list_accounts(db: Reader, kind: str) -> list[Account]:
    """Return all accounts of a kind, ``user`` or ``org``, oldest first."""
    return await db.all(_BY_KIND, kind=kind)


async def insert_account(tx: Tx, *, name: str, **values: object) -> int:
    """Insert an account whose name was checked, and return its number.

    Raises:
        NameTaken: a user or organization has the name, in any case.
    """
    pk = await tx.one(
        _INSERT,
        id=new_object_id(),
        name=name,
        name_key=account_key(name),
        created_ms=now_ms(),
        **values,
    )
    if pk is None:
        raise NameTaken(name=name)
    return pk


async def delete_account(db: Database, name: str, kind: str) -> None:
    """Delete a user or organization for good, with its tokens and memberships.

    Raises:
        AccountNotFound: there is no such account.
        InvalidInput: the account owns repositories.
    """
    account = await find_account(db, name, kind)
    try:
        await db.write(_delete, account.pk)
    except Conflict:
        raise InvalidInput(
            reason=f"{account.name} owns repositories: delete or move them first"
        ) from None


async def _delete(tx: Tx, account_pk: int) -> None:
    await tx.run(_DELETE, account_pk=account_pk)
