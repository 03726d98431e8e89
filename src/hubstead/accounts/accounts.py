"""Accounts of either kind: users and organizations share one table and one space of names."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, delete, select, update

from hubstead.accounts.tables import account_aliases, accounts
from hubstead.db import Reader, Tx, indexed, insert_into, scan
from hubstead.errors import AccountMoved, AccountNotFound, NameTaken
from hubstead.ids import account_key, check_account_name, new_object_id, now_ms


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
_MOVED_TO = indexed(
    select(accounts.c.name)
    .join_from(account_aliases, accounts, account_aliases.c.account_pk == accounts.c.pk)
    .where(account_aliases.c.name_key == bindparam("key")),
    str,
)
_ADD_ALIAS = indexed(
    insert_into(account_aliases, "name_key", "account_pk").on_conflict_do_update(
        index_elements=["name_key"], set_={"account_pk": bindparam("account_pk")}
    )
)
_TAKE_ALIAS = indexed(
    delete(account_aliases).where(account_aliases.c.name_key == bindparam("which_key"))
)
_RENAME = indexed(
    update(accounts)
    .values(name=bindparam("new_name"), name_key=bindparam("new_key"))
    .where(accounts.c.pk == bindparam("which_pk"))
)
_LOCK = indexed(
    select(accounts.c.pk).where(accounts.c.pk == bindparam("account_pk")).with_for_update(), int
)
_DELETE = indexed(delete(accounts).where(accounts.c.pk == bindparam("account_pk")))


async def find_account(
    db: Reader, name: str, kind: str | None = None, *, follow: bool = False
) -> Account:
    """Return the account called ``name``, in any case; with ``follow`` also by a past name.

    Raises:
        AccountMoved: it is a past name of an account (of that kind).
        AccountNotFound: there is no such account (of that kind).
    """
    account = await db.one(_BY_NAME, key=account_key(name))
    if account is None and (target := await moved_to(db, name)):
        account = await db.one(_BY_NAME, key=account_key(target))
        if account and account.kind == (kind or account.kind) and not follow:
            raise AccountMoved(name=name, target=target)
    if account is None or (kind and account.kind != kind):
        raise AccountNotFound(name=name)
    return account


async def moved_to(db: Reader, name: str) -> str | None:
    """Return the present name of the account whose past name is ``name``, or None."""
    return await db.one(_MOVED_TO, key=account_key(name))


async def set_account_name(tx: Tx, account: Account, name: str, *, by_admin: bool) -> None:
    """Give an account another name; the old one redirects until another account takes it.

    ``repos.rename_account`` does this and renames what the account owns.

    Raises:
        InvalidName: the name breaks a rule.
        NameTaken: another account has the name, in any case.
    """
    check_account_name(name, by_admin=by_admin)
    old, new = account_key(account.name), account_key(name)
    if new != old:
        if await tx.one(_BY_NAME, key=new):
            raise NameTaken(name=name)
        await tx.run(_TAKE_ALIAS, which_key=new)
    await tx.run(_RENAME, which_pk=account.pk, new_name=name, new_key=new)
    if new != old:
        await tx.run(_ADD_ALIAS, name_key=old, account_pk=account.pk)


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
    await tx.run(_TAKE_ALIAS, which_key=account_key(name))
    return pk


async def lock_account(tx: Tx, account_pk: int) -> None:
    """Keep other transactions from referring to an account anew, until the end of this one."""
    await tx.one(_LOCK, account_pk=account_pk)


async def delete_row(tx: Tx, account_pk: int) -> None:
    """Delete the row of an account, with its tokens and memberships.

    Raises:
        Conflict: the account owns repositories.
    """
    await tx.run(_DELETE, account_pk=account_pk)
