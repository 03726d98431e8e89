"""Renames of accounts: their repositories follow, and old names redirect."""

from __future__ import annotations

import asyncio

import pytest

from hubstead.accounts import ANONYMOUS, add_user, find_account, moved_to, open_org
from hubstead.db import Database
from hubstead.errors import (
    AccountMoved,
    AccountNotFound,
    Forbidden,
    InvalidName,
    LoginRequired,
    NameTaken,
)
from hubstead.ids import Kind, RepoId
from hubstead.repos import (
    RepoMoved,
    open_namespace,
    open_repo,
    rename_account,
    rename_account_as_operator,
)
from tests.support.factories import a_repo, a_user, an_org


def model(name: str) -> RepoId:
    return RepoId.parse(Kind.MODEL, name)


async def test_repositories_follow_their_owner_and_old_names_redirect(db: Database) -> None:
    anna = await a_user(db, "anna")
    repo = await a_repo(db, anna, "anna/Bert")
    await a_repo(db, anna, "anna/Bert", kind=Kind.DATASET)
    await rename_account(db, anna, "anna", "user", "Ada")
    for kind in (Kind.MODEL, Kind.DATASET):
        found = await open_repo(db, anna, RepoId.parse(kind, "ada/bert"))
        assert found.full_name == "Ada/Bert"
        with pytest.raises(RepoMoved) as moved:
            await open_repo(db, anna, RepoId.parse(kind, "anna/bert"))
        assert moved.value.target == found.repo_id
    assert (await open_repo(db, anna, model("ada/bert"))).id == repo.id
    with pytest.raises(AccountMoved) as gone:
        await find_account(db, "ANNA", "user")
    assert gone.value.target == "Ada"
    assert (await find_account(db, "anna", follow=True)).name == "Ada"


async def test_old_names_lead_on_over_two_renames_and_back(db: Database) -> None:
    anna = await a_user(db, "anna")
    await a_repo(db, anna, "anna/bert")
    await rename_account(db, anna, "anna", "user", "ada")
    await rename_account(db, anna, "ada", "user", "eve")
    for old in ("anna", "ada"):
        with pytest.raises(RepoMoved) as moved:
            await open_repo(db, anna, model(f"{old}/bert"))
        assert str(moved.value.target) == "eve/bert"
    await rename_account(db, anna, "eve", "user", "anna")
    assert (await open_repo(db, anna, model("anna/bert"))).full_name == "anna/bert"
    assert await moved_to(db, "anna") is None
    assert await moved_to(db, "ada") == "anna"


async def test_another_account_may_take_an_old_name(db: Database) -> None:
    anna = await a_user(db, "anna")
    await rename_account(db, anna, "anna", "user", "ada")
    await db.write(add_user, "Anna")
    assert (await find_account(db, "anna")).name == "Anna"
    assert await moved_to(db, "anna") is None


async def test_a_name_changes_its_case_alone(db: Database) -> None:
    anna = await a_user(db, "anna")
    await a_repo(db, anna, "anna/bert")
    await rename_account(db, anna, "anna", "user", "Anna")
    assert (await open_repo(db, anna, model("anna/bert"))).full_name == "Anna/bert"
    assert await moved_to(db, "anna") is None


async def test_a_name_that_is_taken_or_reserved_is_refused(db: Database) -> None:
    anna, _ = await a_user(db, "anna"), await a_user(db, "bob")
    with pytest.raises(NameTaken):
        await rename_account(db, anna, "anna", "user", "BOB")
    for name in ("git", "admin", "notifications", ".a", "a.", ""):
        with pytest.raises(InvalidName):
            await rename_account_as_operator(db, "anna", "user", name)
    assert (await find_account(db, "anna")).name == "anna"


async def test_only_oneself_and_administrators_of_an_organization_may(db: Database) -> None:
    anna, bob = await a_user(db, "anna"), await a_user(db, "bob")
    await an_org(db, "acme", anna, {"write": bob})
    with pytest.raises(Forbidden):
        await rename_account(db, bob, "anna", "user", "newer")
    with pytest.raises(Forbidden):
        await rename_account(db, bob, "acme", "org", "newer")
    with pytest.raises(LoginRequired):
        await rename_account(db, ANONYMOUS, "acme", "org", "newer")
    with pytest.raises(AccountNotFound):
        await rename_account(db, anna, "acme", "user", "newer")
    await rename_account(db, anna, "acme", "org", "newer")
    with pytest.raises(AccountMoved):
        await open_org(db, anna, "acme")


async def test_repositories_are_created_below_a_past_name_as_below_the_present_one(
    db: Database,
) -> None:
    anna = await a_user(db, "anna")
    await rename_account(db, anna, "anna", "user", "ada")
    assert (await open_namespace(db, anna, "anna")).name == "ada"


async def test_a_repository_moved_during_a_rename_has_the_name_of_its_owner(db: Database) -> None:
    from hubstead.repos import move_repo

    anna = await a_user(db, "anna")
    await an_org(db, "acme", anna)
    names = [f"m{number}" for number in range(5)]
    for name in names:
        await a_repo(db, anna, f"anna/{name}")
    await asyncio.gather(
        *(move_repo(db, anna, model(f"anna/{name}"), model(f"acme/{name}")) for name in names),
        rename_account(db, anna, "acme", "org", "newer"),
    )
    for name in names:
        assert (await open_repo(db, anna, model(f"newer/{name}"))).full_name == f"newer/{name}"
