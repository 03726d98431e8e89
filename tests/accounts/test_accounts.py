"""Users and organizations: unique names, and the effects of their deletion."""

from __future__ import annotations

import pytest

from hubstead.accounts import (
    add_token,
    add_user,
    authenticate_token,
    delete_account,
    disable_user,
    find_account,
    has_admin,
    list_accounts,
    list_members,
    load_account,
    open_org,
)
from hubstead.db import Database, Tx
from hubstead.errors import (
    AccountNotFound,
    InvalidCredentials,
    InvalidInput,
    InvalidName,
    NameTaken,
)
from tests.support.factories import a_repo, a_user, an_org


async def test_a_name_matches_in_any_case_and_is_stored_as_given(db: Database) -> None:
    anna = await a_user(db, "Anna-B", email="anna@example.com", fullname="Anna B.")
    for spelling in ("Anna-B", "anna-b", "ANNA-B"):
        row = await find_account(db, spelling)
        assert (row.pk, row.name, row.email) == (anna.pk, "Anna-B", "anna@example.com")
    assert (await load_account(db, anna.pk)).fullname == "Anna B."
    assert len(row.id) == 24


@pytest.mark.parametrize("name", ["nobody", "", "a\0b", "\ud800", "\N{KELVIN SIGN}arl", "x" * 5000])
async def test_an_unknown_name_has_no_account(db: Database, name: str) -> None:
    await a_user(db, "karl")
    with pytest.raises(AccountNotFound):
        await find_account(db, name)


async def test_users_and_organizations_share_one_namespace(db: Database) -> None:
    anna = await a_user(db, "anna")
    await an_org(db, "Acme", anna)
    for taken in ("ANNA", "acme", "Acme"):
        with pytest.raises(NameTaken):
            await a_user(db, taken)
        with pytest.raises(NameTaken):
            await an_org(db, taken, anna)
    assert [row.name for row in await list_accounts(db, "user")] == ["anna"]
    assert [row.name for row in await list_accounts(db, "org")] == ["Acme"]
    with pytest.raises(AccountNotFound):
        await find_account(db, "acme", "user")


@pytest.mark.parametrize("name", ["_anna", "anna.b", "a_b", "x" * 60])
async def test_an_administrator_may_use_names_that_sign_up_refuses(db: Database, name: str) -> None:
    async def sign_up(tx: Tx) -> int:
        return await add_user(tx, name, by_admin=False)

    with pytest.raises(InvalidName):
        await db.write(sign_up)
    await a_user(db, name)
    assert (await find_account(db, name)).name == name


@pytest.mark.parametrize(
    "name",
    ["", "a/b", "a b", "..", "a..b", ".anna", "anna.", "anna.git", "api", "Models", "Git", "ü"],
)
async def test_some_names_are_always_refused(db: Database, name: str) -> None:
    anna = await a_user(db, "anna")
    with pytest.raises(InvalidName):
        await a_user(db, name)
    with pytest.raises(InvalidName):
        await an_org(db, name, anna)


async def test_whether_an_administrator_exists(db: Database) -> None:
    await a_user(db, "anna")
    assert not await has_admin(db)
    await a_user(db, "root", is_admin=True)
    assert await has_admin(db)


async def test_an_owner_of_repositories_is_not_deleted(db: Database) -> None:
    anna = await a_user(db, "anna")
    await a_repo(db, anna, "anna/bert")
    with pytest.raises(InvalidInput, match="owns repositories"):
        await delete_account(db, "anna", "user")
    assert (await find_account(db, "anna")).pk == anna.pk


async def test_a_deletion_of_a_user_removes_tokens_and_memberships_and_frees_the_name(
    db: Database,
) -> None:
    anna, bert = await a_user(db, "anna"), await a_user(db, "bert")
    await an_org(db, "acme", anna, {"contributor": bert})
    await a_repo(db, bert, "acme/model")

    async def add(tx: Tx) -> str:
        return await add_token(tx, bert.pk, name="laptop")

    secret = await db.write(add)
    await delete_account(db, "Bert", "user")
    with pytest.raises(InvalidCredentials):
        await authenticate_token(db, secret)
    assert [row.name for row in await list_members(db, await open_org(db, anna, "acme"))] == [
        "anna"
    ]
    again = await a_user(db, "bert")
    assert again.pk != bert.pk, "a number is never given twice"
    with pytest.raises(AccountNotFound):
        await delete_account(db, "acme", "user")


async def test_only_a_user_can_be_disabled(db: Database) -> None:
    anna = await a_user(db, "anna")
    await an_org(db, "acme", anna)
    for name in ("nobody", "acme"):

        async def disable(tx: Tx, name: str = name) -> None:
            await disable_user(tx, name)

        with pytest.raises(AccountNotFound):
            await db.write(disable)
