"""Who may do what with an organization, and whether a caller may write at all.

Opening an organization checks the caller's right to it, as opening a repository does
(``repos/access.py``). What an owner has (repositories, collections) is seen and changed by the
rules of ``shown_to_caller`` and ``role_in_owned``. Organizations are public; what belongs to their
members looks absent to everybody else.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, FromClause, and_, bindparam, or_, select

from hubstead.accounts.accounts import find_account
from hubstead.accounts.actor import Actor
from hubstead.accounts.tables import accounts, members
from hubstead.db import Reader, indexed
from hubstead.errors import AccountNotFound, Forbidden, LoginRequired
from hubstead.ids import account_key


class OrgRight(IntEnum):
    """A right to an organization; a right includes those before it."""

    VIEW = 1  # see its name and who its members are
    MEMBER = 2  # see what the organization keeps for its members
    ADMIN = 3  # change its members and their roles


class Organization(msgspec.Struct, frozen=True):
    """An opened organization: proof that the caller has ``right`` to it."""

    pk: int
    id: str  # 24 hex
    name: str
    fullname: str
    created_ms: int
    role: str  # of the caller: none, read, contributor, write, admin
    right: OrgRight  # that it was opened with


class _OrgRow(NamedTuple):
    pk: int
    id: str
    name: str
    fullname: str
    created_ms: int
    role: str | None


_OPEN = indexed(
    select(
        accounts.c.pk,
        accounts.c.id,
        accounts.c.name,
        accounts.c.fullname,
        accounts.c.created_ms,
        members.c.role,
    )
    .outerjoin_from(
        accounts,
        members,
        and_(members.c.org_pk == accounts.c.pk, members.c.user_pk == bindparam("actor_pk")),
    )
    .where(accounts.c.name_key == bindparam("key"), accounts.c.kind == "org"),
    _OrgRow,
)


async def open_org(
    db: Reader, actor: Actor, name: str, right: OrgRight = OrgRight.VIEW
) -> Organization:
    """Return the organization called ``name``, in any case, if ``actor`` has ``right`` to it.

    Raises:
        AccountMoved: it is a past name of an organization.
        AccountNotFound: there is no such organization, or the right is for members and the
            caller is none.
        LoginRequired: the right needs a caller who is signed in.
        Forbidden: the caller is a member without the right, or their token is read-only.
    """
    if right > OrgRight.VIEW and not actor.signed_in:
        raise LoginRequired()
    row = await db.one(_OPEN, key=account_key(name), actor_pk=actor.pk)
    if row is None:
        await find_account(db, name, "org")  # raises
    if row is None or (right > OrgRight.VIEW and row.role is None):
        raise AccountNotFound(name=name)
    if right is OrgRight.ADMIN:
        if row.role != "admin":
            raise Forbidden(reason=f"You are not an administrator of the organization {row.name}")
        require_writable(actor)
    return _organization(row, row.role or "none", right)


async def open_org_as_operator(db: Reader, name: str) -> Organization:
    """Return the organization called ``name`` with every right, without asking for membership.

    For the operator of the hub, who runs commands on its machine; never for a request.

    Raises:
        AccountNotFound: there is no such organization.
    """
    row = await db.one(_OPEN, key=account_key(name), actor_pk=0)
    if row is None:
        await find_account(db, name, "org")  # raises
        raise AccountNotFound(name=name)
    return _organization(row, "admin", OrgRight.ADMIN)


async def owner_as_operator(db: Reader, name: str) -> Actor:
    """Return the user or organization called ``name`` as an actor with every right of an owner.

    For the operator of the hub, who runs commands on its machine; never for a request.

    Raises:
        AccountNotFound: there is no such account.
    """
    owner = await find_account(db, name, follow=True)
    return Actor(pk=owner.pk, name=owner.name, may_write=True)


def _organization(row: _OrgRow, role: str, right: OrgRight) -> Organization:
    return Organization(row.pk, row.id, row.name, row.fullname, row.created_ms, role, right)


def membership_of(owner_pk: ColumnElement[int], of: FromClause = members) -> ColumnElement[bool]:
    """Return the condition that a row of ``of`` makes ``actor_pk`` a member of an owner.

    Args:
        owner_pk: The column of the owner.
        of: The table of members, or an alias of it, to join by this condition.
    """
    return and_(of.c.org_pk == owner_pk, of.c.user_pk == bindparam("actor_pk"))


def shown_to_caller(
    private: ColumnElement[int], owner_pk: ColumnElement[int], of: FromClause = members
) -> ColumnElement[bool]:
    """Return the condition that ``actor_pk`` may see what an owner has, private or not.

    Needs ``of`` joined by ``membership_of``, as an outer join.
    """
    return or_(private == 0, owner_pk == bindparam("actor_pk"), of.c.user_pk.is_not(None))


def role_in_owned(
    actor: Actor, *, owner_pk: int, creator_pk: int | None, member_role: str | None
) -> str:
    """Return the role of a caller in what an owner has: none, read, write, admin.

    Args:
        actor: The caller.
        owner_pk: The owner, a user or an organization.
        creator_pk: Who created the thing; None: the account is gone.
        member_role: The caller's role in the owner, if that is an organization of theirs.
    """
    if not actor.signed_in:
        return "none"
    if owner_pk == actor.pk:
        return "admin"
    if member_role == "contributor":
        return "admin" if creator_pk == actor.pk else "read"
    return member_role or "none"


def require_writable(actor: Actor) -> None:
    """Raise unless the credentials of ``actor`` may write anywhere at all.

    Raises:
        LoginRequired: the caller is not signed in.
        Forbidden: the caller's token is read-only.
    """
    if not actor.signed_in:
        raise LoginRequired()
    if not actor.may_write:
        raise Forbidden(
            reason=f"The token {actor.token_name!r} has the role {actor.token_role}: "
            "this needs one with the role write"
        )


def require_personal(actor: Actor) -> None:
    """Raise unless the caller signed in with their password: a token manages no account.

    Raises:
        LoginRequired: the caller is not signed in.
        Forbidden: the caller uses a token.
    """
    if not actor.signed_in:
        raise LoginRequired()
    if actor.token_kind not in ("browser", "password"):
        raise Forbidden(reason="Sign in with your password: a token cannot manage its account")
