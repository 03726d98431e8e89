"""An organization has an administrator at any time, in whatever way one is about to go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hubstead.accounts import (
    Actor,
    add_org,
    delete_account,
    disable_user,
    list_members,
    open_org_as_operator,
    remove_member,
    set_member,
)
from hubstead.db import Database
from hubstead.errors import LastAdministrator
from tests.support.factories import a_user, an_org

Way = Callable[[Database, Actor], Awaitable[object]]


async def demoted(db: Database, user: Actor) -> None:
    org = await open_org_as_operator(db, "acme")
    await db.write(set_member, org, user.pk, "write")


async def removed(db: Database, user: Actor) -> None:
    org = await open_org_as_operator(db, "acme")
    await db.write(remove_member, org, user.pk)


async def disabled(db: Database, user: Actor) -> None:
    await db.write(disable_user, user.name)


async def deleted(db: Database, user: Actor) -> None:
    await delete_account(db, user.name, "user")


WAYS = [demoted, removed, disabled, deleted]


async def administrators(db: Database) -> set[str]:
    members = await list_members(db, await open_org_as_operator(db, "acme"))
    return {member.name for member in members if member.role == "admin"}


@pytest.mark.parametrize("way", WAYS)
async def test_the_last_administrator_stays_until_there_is_another(db: Database, way: Way) -> None:
    anna, bob = await a_user(db, "anna"), await a_user(db, "bob")
    await an_org(db, "acme", anna, {"write": bob})
    with pytest.raises(LastAdministrator, match="anna is the last administrator of acme"):
        await way(db, anna)
    assert await administrators(db) == {"anna"}
    org = await open_org_as_operator(db, "acme")
    await db.write(set_member, org, bob.pk, "admin")
    await way(db, anna)
    assert "bob" in await administrators(db)
    with pytest.raises(LastAdministrator, match="bob is the last administrator of acme"):
        await removed(db, bob)


async def test_a_disabled_administrator_does_not_count(db: Database) -> None:
    anna, bob = await a_user(db, "anna"), await a_user(db, "bob")
    await an_org(db, "acme", anna, {"admin": bob})
    await disabled(db, bob)
    with pytest.raises(LastAdministrator):
        await removed(db, anna)


@pytest.mark.parametrize("way", WAYS)
async def test_two_administrators_cannot_leave_at_once(db: Database, way: Way) -> None:
    anna, bob = await a_user(db, "anna"), await a_user(db, "bob")
    await an_org(db, "acme", anna, {"admin": bob})
    results = await asyncio.gather(way(db, anna), way(db, bob), return_exceptions=True)
    assert [type(each) for each in results].count(LastAdministrator) == 1, results


async def test_every_organization_of_a_user_is_looked_at(db: Database) -> None:
    anna, bob = await a_user(db, "anna"), await a_user(db, "bob")
    await an_org(db, "first", anna, {"admin": bob})
    await db.write(add_org, "second", anna.pk)
    with pytest.raises(LastAdministrator, match="second"):
        await deleted(db, anna)
