"""Creation, renames and settings of repositories: names are unique, old names redirect."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from sqlalchemy import select

from hubstead.accounts import Actor
from hubstead.db import Database, Tx
from hubstead.errors import (
    Forbidden,
    HubError,
    InvalidInput,
    InvalidName,
    LoginRequired,
    RepoNotFound,
)
from hubstead.ids import Kind, RepoId
from hubstead.outbox.tables import events as events_table
from hubstead.repos import (
    Repo,
    RepoExists,
    RepoMetadata,
    RepoMoved,
    Right,
    SettingsChange,
    change_settings,
    load_details,
    move_repo,
    open_repo,
    remove_repo,
    set_metadata,
)
from tests.support.factories import a_repo, a_user, an_org
from tests.support.rows import reading

EVENTS = reading(
    select(events_table.c.type, events_table.c.payload, events_table.c.repo_pk).order_by(
        events_table.c.pk
    )
)


def model(name: str) -> RepoId:
    return RepoId.parse(Kind.MODEL, name)


async def move(db: Database, actor: Actor, source: str, target: str) -> Repo:
    return await move_repo(db, actor, model(source), model(target))


async def target_of(db: Database, actor: Actor, name: str) -> object:
    with pytest.raises(RepoMoved) as moved:
        await open_repo(db, actor, model(name))
    return str(moved.value.target)


async def events(db: Database) -> list[tuple[str, dict[str, object]]]:
    return [(row.type, msgspec.json.decode(row.payload)) for row in await db.all(EVENTS)]


async def remove(db: Database, repo: Repo) -> None:
    async def write(tx: Tx) -> None:
        await remove_repo(tx, repo)

    await db.write(write)


async def test_a_name_is_unique_in_any_case(db: Database) -> None:
    anna = await a_user(db, "anna")
    repo = await a_repo(db, anna, "anna/Bert")
    for again in ("anna/Bert", "anna/bert", "ANNA/BERT"):
        with pytest.raises(RepoExists) as exists:
            await a_repo(db, anna, again)
        assert exists.value.repo_id.key == model(again).key
    assert (await open_repo(db, anna, model("anna/bErT"))).full_name == "anna/Bert"
    assert (await open_repo(db, anna, model("anna/bert"))).id == repo.id


@pytest.mark.shape_matters
async def test_of_concurrent_creations_of_one_name_exactly_one_succeeds(db: Database) -> None:
    anna = await a_user(db, "anna")
    tries = [a_repo(db, anna, f"anna/{name}") for name in ("bert", "Bert", "BERT", "bERT")]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Repo"] + ["RepoExists"] * 3


@pytest.mark.parametrize("name", ["x.git", "-x", "x--y", "x..y", "x.ipynb", "x" * 97, "é", "a\0b"])
async def test_invalid_names_are_refused(db: Database, name: str) -> None:
    anna = await a_user(db, "anna")
    await a_repo(db, anna, "anna/bert")
    with pytest.raises(InvalidName):
        await move_repo(db, anna, model("anna/bert"), RepoId(Kind.MODEL, "anna", name))
    assert (await open_repo(db, anna, model("anna/bert"))).name == "bert"
    assert await events(db) == []


async def test_a_renamed_repository_has_its_new_name_and_the_old_one_redirects(
    db: Database,
) -> None:
    anna = await a_user(db, "anna")
    repo = await a_repo(db, anna, "anna/one")
    assert (await move(db, anna, "anna/one", "anna/two")).id == repo.id
    await move(db, anna, "anna/two", "anna/three")
    assert (await open_repo(db, anna, model("anna/three"))).id == repo.id
    assert await target_of(db, anna, "anna/one") == "anna/three"
    assert await target_of(db, anna, "ANNA/Two") == "anna/three"
    assert [(kind, facts["old_name"], facts["name"]) for kind, facts in await events(db)] == [
        ("RepoRenamed", "anna/one", "anna/two"),
        ("RepoRenamed", "anna/two", "anna/three"),
    ]


async def test_a_repository_may_take_its_old_name_back(db: Database) -> None:
    anna = await a_user(db, "anna")
    repo = await a_repo(db, anna, "anna/one")
    await move(db, anna, "anna/one", "anna/two")
    await move(db, anna, "anna/two", "anna/one")
    assert (await open_repo(db, anna, model("anna/one"))).id == repo.id
    assert await target_of(db, anna, "anna/two") == "anna/one"


async def test_a_new_repository_at_an_old_name_ends_the_redirect(db: Database) -> None:
    anna = await a_user(db, "anna")
    await a_repo(db, anna, "anna/one")
    moved = await move(db, anna, "anna/one", "anna/two")
    fresh = await a_repo(db, anna, "anna/One")
    assert (await open_repo(db, anna, model("anna/one"))).id == fresh.id
    assert (await open_repo(db, anna, model("anna/two"))).id == moved.id
    await remove(db, fresh)
    with pytest.raises(RepoNotFound):
        await open_repo(db, anna, model("anna/one"))


async def test_a_rename_may_take_the_old_name_of_another(db: Database) -> None:
    anna = await a_user(db, "anna")
    first, second = await a_repo(db, anna, "anna/one"), await a_repo(db, anna, "anna/other")
    await move(db, anna, "anna/one", "anna/two")
    await move(db, anna, "anna/other", "anna/one")
    assert (await open_repo(db, anna, model("anna/one"))).id == second.id
    assert (await open_repo(db, anna, model("anna/two"))).id == first.id
    assert await target_of(db, anna, "anna/other") == "anna/one"


async def test_a_rename_to_a_name_in_use_is_refused_and_changes_nothing(db: Database) -> None:
    anna = await a_user(db, "anna")
    await a_repo(db, anna, "anna/one")
    await a_repo(db, anna, "anna/two")
    with pytest.raises(RepoExists):
        await move(db, anna, "anna/one", "anna/TWO")
    assert (await open_repo(db, anna, model("anna/one"))).name == "one"
    assert await events(db) == []


async def test_a_change_of_case_is_a_rename_without_an_old_name(db: Database) -> None:
    anna = await a_user(db, "anna")
    await a_repo(db, anna, "anna/bert")
    assert (await move(db, anna, "anna/bert", "anna/BERT")).full_name == "anna/BERT"
    assert (await open_repo(db, anna, model("anna/bert"))).name == "BERT"
    assert len(await events(db)) == 1
    await move(db, anna, "anna/BERT", "anna/BERT")
    assert len(await events(db)) == 1, "no change, no event"


@pytest.mark.shape_matters
async def test_of_two_concurrent_renames_to_one_name_one_succeeds(db: Database) -> None:
    anna = await a_user(db, "anna")
    for name in ("one", "two", "three"):
        await a_repo(db, anna, f"anna/{name}")
    outcomes = await asyncio.gather(
        *(move(db, anna, f"anna/{name}", "anna/same") for name in ("one", "two", "three")),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Repo) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, RepoExists) for outcome in outcomes) == 2


async def test_repositories_move_between_a_user_and_their_organizations(db: Database) -> None:
    anna = await a_user(db, "anna")
    await an_org(db, "acme", anna)
    await an_org(db, "umbrella", anna)
    repo = await a_repo(db, anna, "anna/bert", private=True)
    for source, target in (
        ("anna/bert", "acme/bert"),
        ("acme/bert", "umbrella/bert2"),
        ("umbrella/bert2", "anna/bert"),
    ):
        moved = await move(db, anna, source, target)
        assert (moved.id, moved.full_name, moved.private) == (repo.id, target, True)


@pytest.mark.parametrize(
    ("role", "expected"),
    [("read", Forbidden), ("contributor", "moved"), ("write", "moved"), ("admin", "moved")],
)
async def test_a_move_into_an_organization_needs_the_right_to_create_there(
    db: Database, role: str, expected: object
) -> None:
    owner, anna = await a_user(db, "owner"), await a_user(db, "anna")
    await an_org(db, "acme", owner, {role: anna})
    await a_repo(db, anna, "anna/bert", private=True)
    if expected == "moved":
        assert (await move(db, anna, "anna/bert", "acme/bert")).full_name == "acme/bert"
    else:
        with pytest.raises(Forbidden):
            await move(db, anna, "anna/bert", "acme/bert")


@pytest.mark.parametrize(
    ("role", "refusal"), [("read", Forbidden), ("contributor", Forbidden), ("write", Forbidden)]
)
async def test_only_administrators_move_a_repository(
    db: Database, role: str, refusal: type[HubError]
) -> None:
    owner, anna = await a_user(db, "owner"), await a_user(db, "anna")
    await an_org(db, "acme", owner, {role: anna})
    await a_repo(db, owner, "acme/bert")
    with pytest.raises(refusal):
        await move(db, anna, "acme/bert", "acme/mine")
    with pytest.raises(refusal):
        await move(db, anna, "acme/bert", "anna/mine")


async def test_a_repository_cannot_be_given_to_another_user(db: Database) -> None:
    anna, bert = await a_user(db, "anna"), await a_user(db, "bert")
    await a_repo(db, anna, "anna/gift")
    for target in ("bert/gift", "nobody/gift"):
        with pytest.raises(Forbidden):
            await move(db, anna, "anna/gift", target)
    with pytest.raises(Forbidden):
        await move(db, bert, "anna/gift", "bert/gift")
    with pytest.raises(LoginRequired):
        await move(db, Actor(), "anna/gift", "anna/gone")


async def test_a_new_repository_at_a_deleted_name_inherits_nothing(db: Database) -> None:
    anna = await a_user(db, "anna")
    first = await a_repo(db, anna, "anna/bert", downloads=7)

    async def derive(tx: Tx) -> None:
        await set_metadata(tx, first.pk, Kind.MODEL, "a" * 40, RepoMetadata(tags=("x", "y", "x")))

    await db.write(derive)
    assert (await open_repo(db, anna, model("anna/bert"))).head == "a" * 40
    await move(db, anna, "anna/bert", "anna/bart")
    await remove(db, first)
    for name in ("anna/bert", "anna/bart"):
        with pytest.raises(RepoNotFound):
            await open_repo(db, anna, model(name))
    second = await a_repo(db, anna, "anna/bert")
    assert second.pk != first.pk
    assert second.id != first.id
    assert second.head is None
    assert (await load_details(db, second)).tags == "[]"
    assert (await load_details(db, second)).downloads == 0


async def test_only_the_named_settings_change(db: Database) -> None:
    anna = await a_user(db, "anna")
    await a_repo(db, anna, "anna/bert")
    changed = await change_settings(
        db, anna, model("anna/bert"), SettingsChange(private=True, others={"a": 1, "b": [2]})
    )
    assert (changed.private, changed.gated) == (True, "")
    changed = await change_settings(
        db, anna, model("anna/bert"), SettingsChange(gated="auto", others={"a": 3})
    )
    assert (changed.private, changed.gated) == (True, "auto")
    assert msgspec.json.decode((await load_details(db, changed)).settings) == {"a": 3, "b": [2]}
    changes = [
        (facts["was_private"], facts["private"], facts["changed"]) for _, facts in await events(db)
    ]
    assert changes == [(False, True, ["private", "a", "b"]), (True, True, ["gated", "a"])]


async def test_only_administrators_change_settings(db: Database) -> None:
    owner, writer = await a_user(db, "owner"), await a_user(db, "writer")
    await an_org(db, "acme", owner, {"write": writer})
    await a_repo(db, owner, "acme/bert")
    with pytest.raises(Forbidden):
        await change_settings(db, writer, model("acme/bert"), SettingsChange(private=True))
    with pytest.raises(InvalidInput, match="gated"):
        await change_settings(db, owner, model("acme/bert"), SettingsChange(gated="maybe"))
    assert not (await open_repo(db, writer, model("acme/bert"), Right.WRITE)).private
    assert await events(db) == []
