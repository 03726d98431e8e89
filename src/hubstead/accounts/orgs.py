"""Organizations and their members."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, select

from hubstead.accounts.access import (
    Organization,
    OrgRight,
    open_org_as_operator,
    require_writable,
)
from hubstead.accounts.accounts import insert_account, load_account
from hubstead.accounts.actor import Actor
from hubstead.accounts.tables import accounts, members
from hubstead.db import Reader, Tx, indexed, insert_into, scan
from hubstead.errors import Forbidden, InvalidInput, LastAdministrator
from hubstead.ids import check_account_name, now_ms

#: The roles of members, weakest first (hub-docs "organizations-security").
ORG_ROLES = ("read", "contributor", "write", "admin")

_FULLNAME_CHARS = 200


class Membership(NamedTuple):
    """An organization that a user belongs to, and the user's role in it."""

    pk: int
    id: str
    name: str
    fullname: str
    role: str


class Member(NamedTuple):
    """A user who belongs to an organization."""

    pk: int
    id: str
    name: str
    fullname: str
    role: str | None  # None: only administrators of the organization see roles


class _Administered(NamedTuple):
    pk: int
    name: str


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
_WITH_ROLE = (accounts.c.pk, accounts.c.id, accounts.c.name, accounts.c.fullname, members.c.role)
_ORGS_OF = indexed(
    select(*_WITH_ROLE)
    .join_from(members, accounts, members.c.org_pk == accounts.c.pk)
    .where(members.c.user_pk == bindparam("user_pk"))
    .order_by(accounts.c.name_key),
    Membership,
)
_MEMBERS = scan(
    select(*_WITH_ROLE)
    .join_from(members, accounts, members.c.user_pk == accounts.c.pk)
    .where(members.c.org_pk == bindparam("org_pk"))
    .order_by(accounts.c.name_key),
    Member,
)
#: Locks the row of an organization, so that changes of its administrators come one by one.
_LOCK = indexed(
    select(accounts.c.pk).where(accounts.c.pk == bindparam("org_pk")).with_for_update(), int
)
_ADMINISTERED = scan(
    select(accounts.c.pk, accounts.c.name)
    .join_from(members, accounts, members.c.org_pk == accounts.c.pk)
    .where(members.c.user_pk == bindparam("user_pk"), members.c.role == "admin")
    .order_by(accounts.c.pk),
    _Administered,
)
_ANOTHER_ADMIN = indexed(
    select(members.c.user_pk)
    .join_from(members, accounts, members.c.user_pk == accounts.c.pk)
    .where(
        members.c.org_pk == bindparam("org_pk"),
        members.c.role == "admin",
        members.c.user_pk != bindparam("user_pk"),
        accounts.c.disabled == 0,
    )
    .limit(1),
    int,
)
_COUNT_MEMBERS = indexed(
    select(func.count().label("n"))
    .select_from(members)
    .where(members.c.org_pk == bindparam("org_pk")),
    int,
)


async def add_org(tx: Tx, name: str, owner_pk: int, *, fullname: str = "") -> Organization:
    """Create an organization, with one administrator, and return it opened for administration.

    Raises:
        InvalidName: the name breaks a rule.
        NameTaken: a user or organization has the name, in any case.
    """
    check_account_name(name, by_admin=True)
    await insert_account(
        tx,
        kind="org",
        name=name,
        fullname=fullname,
        email=None,
        password_hash=None,
        is_admin=0,
    )
    org = await open_org_as_operator(tx, name)
    await set_member(tx, org, owner_pk, "admin")
    return org


async def create_org(
    tx: Tx, actor: Actor, name: str, *, fullname: str = "", only_admins: bool = False
) -> Organization:
    """Create an organization that ``actor`` administers, and return it.

    Args:
        tx: The transaction that creates it.
        actor: The caller.
        name: Its name, by the rules of sign-up.
        fullname: Its name for people.
        only_admins: Whether only administrators of the hub may do so.

    Raises:
        LoginRequired, Forbidden: the caller may not.
        InvalidName: the name breaks a rule.
        InvalidInput: the name for people is too long.
        NameTaken: a user or organization has the name, in any case.
    """
    require_writable(actor)
    if only_admins and not actor.is_admin:
        raise Forbidden(reason="Only administrators of this hub create organizations")
    check_account_name(name)
    if len(fullname) > _FULLNAME_CHARS:
        raise InvalidInput(reason=f"a full name has at most {_FULLNAME_CHARS} characters")
    return await add_org(tx, name, actor.pk, fullname=fullname)


async def set_member(tx: Tx, org: Organization, user_pk: int, role: str) -> None:
    """Give a user a role in an organization that was opened with ``OrgRight.ADMIN``.

    The user becomes a member unless they are one.

    Raises:
        InvalidInput: an unknown role.
        Forbidden: the organization was opened with less than ``OrgRight.ADMIN``.
        LastAdministrator: the user is its last administrator and would lose that role.
    """
    if role not in ORG_ROLES:
        raise InvalidInput(reason=f"a role is one of {', '.join(ORG_ROLES)}")
    _require_opened_for_admin(org)
    if role != "admin":
        await require_other_admins(tx, user_pk, org=org)
    await tx.run(_JOIN, org_pk=org.pk, user_pk=user_pk, role=role, created_ms=now_ms())


async def remove_member(tx: Tx, org: Organization, user_pk: int) -> bool:
    """Remove a user from an organization that was opened with ``OrgRight.ADMIN``.

    Returns:
        Whether the user was a member.

    Raises:
        Forbidden: the organization was opened with less than ``OrgRight.ADMIN``.
        LastAdministrator: the user is its last administrator.
    """
    _require_opened_for_admin(org)
    await require_other_admins(tx, user_pk, org=org)
    return bool(await tx.run(_LEAVE, org_pk=org.pk, user_pk=user_pk))


async def require_other_admins(tx: Tx, user_pk: int, *, org: Organization | None = None) -> None:
    """Require that each organization that a user administers has another administrator.

    Administrators who are disabled do not count. The rows of the organizations stay locked until
    the end of the transaction, so that two administrators cannot leave at once.

    Args:
        tx: The transaction that takes the user's role away.
        user_pk: The user.
        org: Only this organization.

    Raises:
        LastAdministrator: an organization has no other.
    """
    for row in await tx.all(_ADMINISTERED, user_pk=user_pk):
        if org is not None and row.pk != org.pk:
            continue
        await tx.one(_LOCK, org_pk=row.pk)
        if await tx.one(_ANOTHER_ADMIN, org_pk=row.pk, user_pk=user_pk) is None:
            user = await load_account(tx, user_pk)
            raise LastAdministrator(user=user.name, org=row.name)


def _require_opened_for_admin(org: Organization) -> None:
    if org.right < OrgRight.ADMIN:
        raise Forbidden(reason=f"Members of {org.name} are for its administrators to change")


async def list_orgs_of(db: Reader, user_pk: int) -> list[Membership]:
    """Return the organizations of a user with the user's roles, by name."""
    return await db.all(_ORGS_OF, user_pk=user_pk)


async def list_members(db: Reader, org: Organization) -> list[Member]:
    """Return the members of an organization by name; with roles for its administrators only."""
    rows = await db.all(_MEMBERS, org_pk=org.pk)
    return rows if org.role == "admin" else [row._replace(role=None) for row in rows]


async def count_members(db: Reader, org: Organization) -> int:
    """Return how many members an organization has."""
    return await db.single(_COUNT_MEMBERS, org_pk=org.pk)
