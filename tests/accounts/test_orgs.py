"""Organizations: the rights of every role, and their members."""

from __future__ import annotations

import msgspec
import pytest

from hubstead.accounts import (
    ANONYMOUS,
    Actor,
    Organization,
    OrgRight,
    add_org,
    count_members,
    find_account,
    list_members,
    list_orgs_of,
    open_org,
    open_org_as_operator,
    remove_member,
    set_member,
)
from hubstead.db import Conflict, Database, Tx
from hubstead.errors import AccountNotFound, Forbidden, HubError, InvalidInput, LoginRequired
from tests.support.factories import a_user, an_org

RIGHTS = (OrgRight.VIEW, OrgRight.MEMBER, OrgRight.ADMIN)
OK, LOG_IN, ABSENT, NO = "ok", LoginRequired, AccountNotFound, Forbidden
#: The outcome per role for all of ``RIGHTS``.
EXPECTED: dict[str, tuple[object, ...]] = {
    "anonymous": (OK, LOG_IN, LOG_IN),
    "stranger": (OK, ABSENT, ABSENT),
    "site admin": (OK, ABSENT, ABSENT),
    "read": (OK, OK, NO),
    "contributor": (OK, OK, NO),
    "write": (OK, OK, NO),
    "admin": (OK, OK, OK),
}


async def one_of_each_role(db: Database) -> dict[str, Actor]:
    """Create the organization ``acme`` and one user per key of ``EXPECTED``."""
    names = ("read", "contributor", "write", "admin-1", "stranger")
    users = {name.removesuffix("-1"): await a_user(db, name) for name in names}
    roles = {role: users[role] for role in ("read", "contributor", "write")}
    await an_org(db, "acme", users["admin"], roles)
    root = await a_user(db, "root", is_admin=True)
    return {**users, "site admin": root, "anonymous": ANONYMOUS}


async def outcome(db: Database, actor: Actor, right: OrgRight, name: str = "ACME") -> object:
    try:
        org = await open_org(db, actor, name, right)
    except HubError as error:
        return type(error)
    assert (org.name, org.right) == ("acme", right)
    return OK


async def test_every_role_has_its_rights_to_an_organization(db: Database) -> None:
    users = await one_of_each_role(db)
    outcomes = {
        name: tuple([await outcome(db, users[name], right) for right in RIGHTS])
        for name in EXPECTED
    }
    assert outcomes == EXPECTED


async def test_a_read_token_loses_only_administration(db: Database) -> None:
    admin = (await one_of_each_role(db))["admin"]
    reader = msgspec.structs.replace(admin, may_write=False, token_role="read")
    assert [await outcome(db, reader, right) for right in RIGHTS] == [OK, OK, Forbidden]


@pytest.mark.parametrize("right", RIGHTS)
@pytest.mark.parametrize("name", ["stranger", "absent", "a\0b", "\ud800", ""])
async def test_only_organizations_can_be_opened(db: Database, name: str, right: OrgRight) -> None:
    users = await one_of_each_role(db)
    with pytest.raises(AccountNotFound):
        await open_org(db, users["admin"], name, right)
    with pytest.raises(AccountNotFound):
        await open_org_as_operator(db, name)


@pytest.mark.parametrize("right", [OrgRight.VIEW, OrgRight.MEMBER])
async def test_members_change_only_under_the_right_to_administrate(
    db: Database, right: OrgRight
) -> None:
    users = await one_of_each_role(db)
    org = await open_org(db, users["admin"], "acme", right)
    with pytest.raises(Forbidden):
        await db.write(lambda tx: set_member(tx, org, users["stranger"].pk, "admin"))
    with pytest.raises(Forbidden):
        await db.write(lambda tx: remove_member(tx, org, users["read"].pk))
    assert await count_members(db, org) == 4


async def test_the_operator_of_the_hub_has_every_right(db: Database) -> None:
    users = await one_of_each_role(db)
    org = await open_org_as_operator(db, "Acme")
    await db.write(lambda tx: set_member(tx, org, users["stranger"].pk, "admin"))
    assert await outcome(db, users["stranger"], OrgRight.ADMIN) == OK


async def test_only_administrators_of_an_organization_see_roles(db: Database) -> None:
    users = await one_of_each_role(db)
    for name, actor in users.items():
        members = await list_members(db, await open_org(db, actor, "acme"))
        assert len(members) == 4
        assert all((member.role is not None) == (name == "admin") for member in members), name


async def test_a_member_has_one_role_which_may_change(db: Database) -> None:
    anna, bert = await a_user(db, "anna"), await a_user(db, "bert")
    await an_org(db, "acme", anna, {"read": bert})
    assert (await open_org(db, anna, "acme")).role == "admin"
    assert (await open_org(db, bert, "acme")).role == "read"

    acme = await open_org(db, anna, "ACME", OrgRight.ADMIN)

    async def promote(tx: Tx) -> None:
        await set_member(tx, acme, bert.pk, "write")

    await db.write(promote)
    assert [(row.name, row.role) for row in await list_members(db, acme)] == [
        ("anna", "admin"),
        ("bert", "write"),
    ]
    assert [(row.name, row.role) for row in await list_orgs_of(db, bert.pk)] == [("acme", "write")]


async def test_a_member_leaves_once_and_an_unknown_role_is_refused(db: Database) -> None:
    anna, bert = await a_user(db, "anna"), await a_user(db, "bert")
    await an_org(db, "acme", anna, {"write": bert})

    acme = await open_org(db, anna, "acme", OrgRight.ADMIN)

    async def leave(tx: Tx) -> tuple[bool, bool]:
        return await remove_member(tx, acme, bert.pk), await remove_member(tx, acme, bert.pk)

    assert await db.write(leave) == (True, False)
    assert (await open_org(db, bert, "acme")).role == "none"

    async def crown(tx: Tx) -> None:
        await set_member(tx, acme, bert.pk, "king")

    with pytest.raises(InvalidInput, match="read, contributor, write, admin"):
        await db.write(crown)


async def test_an_organization_needs_an_existing_owner(db: Database) -> None:
    async def add(tx: Tx) -> Organization:
        return await add_org(tx, "acme", 12345)

    with pytest.raises(Conflict):
        await db.write(add)
    with pytest.raises(AccountNotFound):
        await find_account(db, "acme")
