"""Users and organizations: made, listed, changed, removed."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, select, update

from hubstead.accounts.tables import access_tokens, accounts, members
from hubstead.db import Conflict, Database, Reader, Tx, indexed, insert_into, scan
from hubstead.errors import AccountNotFound, InvalidInput, NameTaken
from hubstead.ids import account_key, check_account_name, new_object_id, now_ms

#: What a member may do, weakest first (hub-docs "organizations-security").
ORG_ROLES = ("read", "contributor", "write", "admin")

_COLUMNS = (
    accounts.c.pk,
    accounts.c.id,
    accounts.c.kind,
    accounts.c.name,
    accounts.c.fullname,
    accounts.c.email,
    accounts.c.is_admin,
    accounts.c.disabled,
    accounts.c.created_ms,
)


class Account(NamedTuple):
    """A user or an organization."""

    pk: int
    id: str
    kind: str
    name: str
    fullname: str
    email: str | None
    is_admin: int
    disabled: int
    created_ms: int


_FIND = indexed(select(*_COLUMNS).where(accounts.c.name_key == bindparam("key")), Account)
_BY_PK = indexed(select(*_COLUMNS).where(accounts.c.pk == bindparam("account_pk")), Account)


class UserPassword(NamedTuple):
    """What a sign-in by password is checked against."""

    pk: int
    name: str
    email: str | None
    password_hash: str | None
    disabled: int


_SECRETS = indexed(
    select(
        accounts.c.pk,
        accounts.c.name,
        accounts.c.email,
        accounts.c.password_hash,
        accounts.c.disabled,
    ).where(accounts.c.name_key == bindparam("key"), accounts.c.kind == "user"),
    UserPassword,
)
_LIST = scan(
    select(*_COLUMNS).where(accounts.c.kind == bindparam("kind")).order_by(accounts.c.pk), Account
)
_ADMINS = indexed(
    select(func.count().label("n")).select_from(accounts).where(accounts.c.is_admin == 1), int
)
_ADD = indexed(
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
_DISABLE = indexed(
    update(accounts)
    .values(disabled=bindparam("flag"))
    .where(accounts.c.name_key == bindparam("key"), accounts.c.kind == "user")
)
_SET_PASSWORD = indexed(
    update(accounts)
    .values(password_hash=bindparam("hashed"))
    .where(accounts.c.name_key == bindparam("key"), accounts.c.kind == "user")
)
_END_SESSIONS = indexed(
    delete(access_tokens).where(
        access_tokens.c.kind == "session",
        access_tokens.c.user_pk.in_(
            select(accounts.c.pk).where(accounts.c.name_key == bindparam("key"))
        ),
    )
)
_DELETE = indexed(delete(accounts).where(accounts.c.pk == bindparam("account_pk")))
_JOIN = indexed(
    insert_into(members, "org_pk", "user_pk", "role", "created_ms").on_conflict_do_update(
        index_elements=["org_pk", "user_pk"], set_={"role": bindparam("role")}
    )
)
_LEAVE = indexed(
    delete(members).where(
        members.c.org_pk == bindparam("org_pk"), members.c.user_pk == bindparam("user_pk")
    )
)
_ROLE = indexed(
    select(members.c.role).where(
        members.c.org_pk == bindparam("org_pk"), members.c.user_pk == bindparam("user_pk")
    ),
    str,
)


class Membership(NamedTuple):
    """An organization of a user, or a user of an organization, with the user's role."""

    pk: int
    id: str
    name: str
    fullname: str
    role: str


_ORGS_OF = indexed(
    select(accounts.c.pk, accounts.c.id, accounts.c.name, accounts.c.fullname, members.c.role)
    .join_from(members, accounts, members.c.org_pk == accounts.c.pk)
    .where(members.c.user_pk == bindparam("user_pk"))
    .order_by(accounts.c.name_key),
    Membership,
)
_MEMBERS = scan(
    select(accounts.c.pk, accounts.c.id, accounts.c.name, accounts.c.fullname, members.c.role)
    .join_from(members, accounts, members.c.user_pk == accounts.c.pk)
    .where(members.c.org_pk == bindparam("org_pk"))
    .order_by(accounts.c.name_key),
    Membership,
)


_COUNT_MEMBERS = indexed(
    select(func.count().label("n"))
    .select_from(members)
    .where(members.c.org_pk == bindparam("org_pk")),
    int,
)


async def find_account(db: Reader, name: str, kind: str | None = None) -> Account:
    """Return the account called ``name``, in any case.

    Raises:
        AccountNotFound: if there is none (of that kind).
    """
    account = await db.one(_FIND, key=account_key(name))
    if account is None or (kind and account.kind != kind):
        raise AccountNotFound(name=name)
    return account


async def load_account(db: Reader, pk: int) -> Account:
    """Return the account with this number, which must exist."""
    account = await db.one(_BY_PK, account_pk=pk)
    if account is None:
        raise AccountNotFound(name=str(pk))
    return account


async def password_of(db: Reader, name: str) -> UserPassword | None:
    """Return what the user ``name`` signs in with, or None if there is no such user."""
    return await db.one(_SECRETS, key=account_key(name))


async def list_accounts(db: Reader, kind: str) -> list[Account]:
    """Return every ``user`` or every ``org``, oldest first."""
    return await db.all(_LIST, kind=kind)


async def has_admin(db: Reader) -> bool:
    """Tell whether there is an administrator."""
    return await db.single(_ADMINS) > 0


async def add_user(
    tx: Tx,
    name: str,
    *,
    password_hash: str | None = None,
    email: str | None = None,
    fullname: str = "",
    is_admin: bool = False,
    by_admin: bool = True,
) -> int:
    """Make a user and return its number.

    Raises:
        InvalidName: the name breaks a rule (fewer rules hold ``by_admin``).
        NameTaken: a user or organization has it, in whatever case.
    """
    check_account_name(name, by_admin=by_admin)
    return await _add(
        tx,
        kind="user",
        name=name,
        fullname=fullname,
        email=email,
        password_hash=password_hash,
        is_admin=int(is_admin),
    )


async def add_org(tx: Tx, name: str, owner_pk: int, *, fullname: str = "") -> int:
    """Make an organization with one administrator and return its number.

    Raises:
        InvalidName: the name breaks a rule.
        NameTaken: a user or organization has it, in whatever case.
    """
    check_account_name(name, by_admin=True)
    pk = await _add(
        tx,
        kind="org",
        name=name,
        fullname=fullname,
        email=None,
        password_hash=None,
        is_admin=0,
    )
    await set_member(tx, pk, owner_pk, "admin")
    return pk


async def _add(tx: Tx, *, name: str, **values: object) -> int:
    pk = await tx.one(
        _ADD,
        id=new_object_id(),
        name=name,
        name_key=account_key(name),
        created_ms=now_ms(),
        **values,
    )
    if pk is None:
        raise NameTaken(name=name)
    return pk


async def set_member(tx: Tx, org_pk: int, user_pk: int, role: str) -> None:
    """Give a user a role in an organization, joining them if need be.

    Raises:
        InvalidInput: for a role there is not.
    """
    if role not in ORG_ROLES:
        raise InvalidInput(reason=f"a role is one of {', '.join(ORG_ROLES)}")
    await tx.run(_JOIN, org_pk=org_pk, user_pk=user_pk, role=role, created_ms=now_ms())


async def remove_member(tx: Tx, org_pk: int, user_pk: int) -> bool:
    """Take a user out of an organization; tell whether they were in it."""
    return bool(await tx.run(_LEAVE, org_pk=org_pk, user_pk=user_pk))


async def role_in(db: Reader, org_pk: int, user_pk: int) -> str | None:
    """Return the user's role in the organization, or None."""
    return await db.one(_ROLE, org_pk=org_pk, user_pk=user_pk)


async def list_orgs_of(db: Reader, user_pk: int) -> list[Membership]:
    """Return the organizations of a user, each with the user's role."""
    return await db.all(_ORGS_OF, user_pk=user_pk)


async def list_members(db: Reader, org_pk: int) -> list[Membership]:
    """Return the members of an organization, each with the role."""
    return await db.all(_MEMBERS, org_pk=org_pk)


async def count_members(db: Reader, org_pk: int) -> int:
    """Return how many members an organization has."""
    return await db.single(_COUNT_MEMBERS, org_pk=org_pk)


async def disable_user(tx: Tx, name: str, *, disabled: bool = True) -> None:
    """Shut a user out (or let them in again): no token and no password works meanwhile.

    Raises:
        AccountNotFound: if there is no such user.
    """
    if not await tx.run(_DISABLE, key=account_key(name), flag=int(disabled)):
        raise AccountNotFound(name=name)


async def set_password(tx: Tx, name: str, password_hash: str) -> None:
    """Change a user's password; sessions made with the old one end.

    Raises:
        AccountNotFound: if there is no such user.
    """
    if not await tx.run(_SET_PASSWORD, key=account_key(name), hashed=password_hash):
        raise AccountNotFound(name=name)
    await tx.run(_END_SESSIONS, key=account_key(name))


async def delete_account(db: Database, name: str, kind: str) -> None:
    """Remove a user or organization for good, with its tokens and memberships.

    Raises:
        AccountNotFound: if there is none.
        InvalidInput: while it owns repositories.
    """
    account = await find_account(db, name, kind)

    async def remove(tx: Tx) -> None:
        await tx.run(_DELETE, account_pk=account.pk)

    try:
        await db.write(remove)
    except Conflict:
        raise InvalidInput(
            reason=f"{account.name} owns repositories: delete or move them first"
        ) from None
