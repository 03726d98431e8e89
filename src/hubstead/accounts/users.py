"""Users: creating them, their passwords, disabling them."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, select, update

from hubstead.accounts.accounts import find_account, insert_account
from hubstead.accounts.actor import ANONYMOUS, Actor
from hubstead.accounts.browser_sessions import end_browser_sessions
from hubstead.accounts.orgs import require_other_admins
from hubstead.accounts.tables import access_tokens, accounts
from hubstead.db import Reader, Tx, indexed, scan
from hubstead.errors import AccountNotFound
from hubstead.ids import FIRST_USER, account_key, check_account_name


class UserPassword(NamedTuple):
    """A user with the hash that a sign-in by password is checked against."""

    pk: int
    name: str
    email: str | None
    is_admin: int
    password_hash: str | None  # None: the user cannot sign in by password
    disabled: int


_IS_USER = (accounts.c.name_key == bindparam("key"), accounts.c.kind == "user")
_PASSWORD = indexed(
    select(*(accounts.c[name] for name in UserPassword._fields)).where(*_IS_USER), UserPassword
)
_COUNT_ADMINS = scan(
    select(func.count().label("n")).select_from(accounts).where(accounts.c.is_admin == 1), int
)
_DISABLE = indexed(update(accounts).values(disabled=bindparam("flag")).where(*_IS_USER))
_SET_PASSWORD = indexed(update(accounts).values(password_hash=bindparam("hashed")).where(*_IS_USER))
_END_SESSIONS = indexed(
    delete(access_tokens).where(
        access_tokens.c.kind == "session",
        access_tokens.c.user_pk.in_(
            select(accounts.c.pk).where(accounts.c.name_key == bindparam("key"))
        ),
    )
)


async def password_of(db: Reader, name: str) -> UserPassword | None:
    """Return the user ``name`` with their password hash, or None if there is no such user."""
    return await db.one(_PASSWORD, key=account_key(name))


async def has_admin(db: Reader) -> bool:
    """Return whether any user is an administrator of the hub."""
    return await db.single(_COUNT_ADMINS) > 0


async def first_user_waits(db: Reader) -> bool:
    """Return whether the administrator of the first start has no password yet."""
    user = await password_of(db, FIRST_USER)
    return user is not None and bool(user.is_admin) and user.password_hash is None


async def add_user(
    tx: Tx,
    name: str,
    *,
    password_hash: str | None = None,
    email: str | None = None,
    fullname: str = "",
    is_admin: bool = False,
    by_admin: bool = True,
    is_first: bool = False,
) -> int:
    """Create a user and return its number.

    Args:
        tx: The transaction that creates the user.
        name: The user's name.
        password_hash: The hash of their password; None for no sign-in by password.
        email: Their address.
        fullname: Their name for people.
        is_admin: Whether they administer the hub.
        by_admin: Whether an administrator chose the name, to which fewer rules apply.
        is_first: Whether it is the first administrator, who has a reserved name.

    Raises:
        InvalidName: the name breaks a rule.
        NameTaken: a user or organization has the name, in any case.
    """
    if not is_first:
        check_account_name(name, by_admin=by_admin)
    return await insert_account(
        tx,
        kind="user",
        name=name,
        fullname=fullname,
        email=email,
        password_hash=password_hash,
        is_admin=int(is_admin),
    )


async def disable_user(tx: Tx, name: str, *, disabled: bool = True) -> None:
    """Disable a user, whose tokens and password then stop working, or enable them again.

    Raises:
        AccountNotFound: there is no such user.
        LastAdministrator: the user to disable is the last administrator of an organization.
    """
    user = await find_account(tx, name, "user")
    if disabled:
        await require_other_admins(tx, user.pk)
    await tx.run(_DISABLE, key=account_key(name), flag=int(disabled))


async def set_password(tx: Tx, name: str, password_hash: str, *, by: Actor = ANONYMOUS) -> None:
    """Change a user's password and end their sessions, but the browser's that ``by`` uses.

    Raises:
        AccountNotFound: there is no such user.
    """
    if not await tx.run(_SET_PASSWORD, key=account_key(name), hashed=password_hash):
        raise AccountNotFound(name=name)
    await tx.run(_END_SESSIONS, key=account_key(name))
    user = await find_account(tx, name, "user")
    await end_browser_sessions(tx, user.pk, but=by.session_pk)
