"""Passes for the Xet store: what they open, and what takes them away."""

from __future__ import annotations

import time

import msgspec
import pytest
from msgspec import structs
from sqlalchemy import bindparam, update

from hubstead.accounts import (
    ANONYMOUS,
    Actor,
    HubSigner,
    add_token,
    open_org_as_operator,
    remove_member,
    revoke_token,
)
from hubstead.accounts.tokens import authenticate_token
from hubstead.db import Database, Tx, indexed
from hubstead.errors import (
    Forbidden,
    Gated,
    InvalidCredentials,
    LoginRequired,
    RepoDisabled,
    RepoNotFound,
)
from hubstead.ids import Kind, RepoId
from hubstead.repos import Repo, Right, cas_url, issue_xet_token, move_repo, open_xet_token
from hubstead.repos.tables import repos
from tests.support.factories import a_repo, a_user, an_org


class Other(msgspec.Struct, frozen=True):
    repo_id: str


def a_pass(seal: HubSigner, actor: Actor, repo: Repo, *, write: bool = True, **how: object) -> str:
    seconds = how.pop("seconds", 60)
    text, _ = issue_xet_token(seal, actor, repo, write=write, epoch="e1", seconds=seconds, **how)  # type: ignore[arg-type]
    return text


async def change(db: Database, repo: Repo, **columns: object) -> None:
    statement = update(repos).where(repos.c.pk == bindparam("which")).values(columns)

    async def write(tx: Tx) -> None:
        assert await tx.run(indexed(statement), which=repo.pk) == 1

    await db.write(write)


async def signed_in(db: Database, user: Actor, role: str) -> Actor:
    async def add(tx: Tx) -> str:
        return await add_token(tx, user.pk, name=role, role=role)

    return await authenticate_token(db, await db.write(add))


async def test_a_pass_opens_its_repository_as_its_user_until_it_ends(db: Database) -> None:
    seal, anna = await HubSigner.load(db), await a_user(db)
    bert = await a_repo(db, anna, private=True)
    text, until = issue_xet_token(seal, anna, bert, write=True, epoch="e1", seconds=100)
    assert abs(until - time.time() - 100) < 5
    actor, repo, shown = await open_xet_token(db, seal, text, Right.WRITE)
    assert (actor.pk, repo.pk, shown.epoch) == (anna.pk, bert.pk, "e1")
    assert (await open_xet_token(db, seal, text, Right.READ))[1].pk == bert.pk


async def test_a_pass_for_reading_does_not_write_even_for_the_owner(db: Database) -> None:
    seal, anna = await HubSigner.load(db), await a_user(db)
    text = a_pass(seal, anna, await a_repo(db, anna), write=False)
    await open_xet_token(db, seal, text, Right.READ)
    with pytest.raises(Forbidden):
        await open_xet_token(db, seal, text, Right.WRITE)


async def test_what_is_forged_over_or_of_another_kind_is_no_pass(db: Database) -> None:
    seal, anna = await HubSigner.load(db), await a_user(db)
    bert = await a_repo(db, anna)
    good = a_pass(seal, anna, bert)
    middle = len(good) // 2
    flipped = good[:middle] + ("A" if good[middle] != "A" else "B") + good[middle + 1 :]
    over = a_pass(seal, anna, bert, seconds=-5)
    other = seal.sign(Other(bert.id), purpose="lfs upload", seconds=60)
    for text in ("", "hf_x", flipped, over, other, good + "x", good[:-1]):
        with pytest.raises(InvalidCredentials):
            await open_xet_token(db, seal, text, Right.READ)


async def test_rights_are_asked_again_each_time(db: Database) -> None:
    seal, anna, bo = await HubSigner.load(db), await a_user(db), await a_user(db, "bo")
    await an_org(db, "acme", anna, {"write": bo})
    bert = await a_repo(db, anna, "acme/bert", private=True)
    text = a_pass(seal, bo, bert)
    await open_xet_token(db, seal, text, Right.WRITE)

    async def leave(tx: Tx) -> None:
        await remove_member(tx, await open_org_as_operator(tx, "acme"), bo.pk)

    await db.write(leave)
    for right in (Right.READ, Right.WRITE):
        with pytest.raises(RepoNotFound):
            await open_xet_token(db, seal, text, right)


async def test_a_pass_of_nobody_reads_what_is_public_and_only_that(db: Database) -> None:
    seal, anna = await HubSigner.load(db), await a_user(db)
    bert = await a_repo(db, anna)
    reading = a_pass(seal, ANONYMOUS, bert, write=False)
    writing = a_pass(seal, ANONYMOUS, bert, write=True)
    assert not (await open_xet_token(db, seal, reading, Right.READ))[0].signed_in
    with pytest.raises(LoginRequired):
        await open_xet_token(db, seal, writing, Right.WRITE)
    await change(db, bert, gated="auto")
    with pytest.raises(Gated):
        await open_xet_token(db, seal, reading, Right.READ)
    await change(db, bert, private=1)
    with pytest.raises(RepoNotFound):
        await open_xet_token(db, seal, reading, Right.READ)
    await change(db, bert, private=0, gated="", disabled=1)
    with pytest.raises(RepoDisabled):
        await open_xet_token(db, seal, reading, Right.READ)


async def test_a_pass_ends_with_the_token_it_was_asked_with(db: Database) -> None:
    seal, anna = await HubSigner.load(db), await a_user(db)
    bert = await a_repo(db, anna)

    async def add(tx: Tx) -> str:
        return await add_token(tx, anna.pk, name="laptop")

    secret = await db.write(add)
    text = a_pass(seal, await authenticate_token(db, secret), bert)
    await open_xet_token(db, seal, text, Right.WRITE)

    async def revoke(tx: Tx) -> None:
        await revoke_token(tx, secret)

    await db.write(revoke)
    with pytest.raises(InvalidCredentials):
        await open_xet_token(db, seal, text, Right.READ)


async def test_a_token_that_only_reads_cannot_write_by_a_pass(db: Database) -> None:
    seal, anna = await HubSigner.load(db), await a_user(db)
    bert, reader = await a_repo(db, anna), await signed_in(db, anna, "read")
    for proposing in (False, True):
        text = a_pass(seal, reader, bert, proposing=proposing)
        with pytest.raises(Forbidden):
            await open_xet_token(db, seal, text, Right.WRITE)


async def test_readers_upload_for_a_pull_request_and_nobody_else_does(db: Database) -> None:
    seal, anna, bo = await HubSigner.load(db), await a_user(db), await a_user(db, "bo")
    bert = await a_repo(db, anna)
    stranger = await signed_in(db, bo, "write")
    with pytest.raises(Forbidden):
        await open_xet_token(db, seal, a_pass(seal, stranger, bert), Right.WRITE)
    proposal = a_pass(seal, stranger, bert, proposing=True)
    assert (await open_xet_token(db, seal, proposal, Right.WRITE))[1].pk == bert.pk
    with pytest.raises(LoginRequired):
        await open_xet_token(db, seal, a_pass(seal, ANONYMOUS, bert, proposing=True), Right.WRITE)
    await change(db, bert, private=1)
    with pytest.raises(RepoNotFound):
        await open_xet_token(db, seal, proposal, Right.WRITE)


async def test_a_pass_follows_a_repository_to_its_new_name(db: Database) -> None:
    seal, anna = await HubSigner.load(db), await a_user(db)
    bert = await a_repo(db, anna)
    text = a_pass(seal, anna, bert)
    old, new = bert.repo_id, RepoId(Kind.MODEL, "anna", "ernie")
    await move_repo(db, anna, old, new)
    assert (await open_xet_token(db, seal, text, Right.WRITE))[1].name == "ernie"


async def test_a_pass_is_for_one_repository(db: Database) -> None:
    seal, anna = await HubSigner.load(db), await a_user(db)
    bert, ernie = await a_repo(db, anna), await a_repo(db, anna, "anna/ernie")
    texts = [a_pass(seal, anna, each) for each in (bert, ernie)]
    found = [(await open_xet_token(db, seal, text, Right.READ))[1].pk for text in texts]
    assert found == [bert.pk, ernie.pk]
    gone = a_pass(seal, anna, structs.replace(bert, id="0" * 24))
    with pytest.raises(RepoNotFound):
        await open_xet_token(db, seal, gone, Right.READ)


def test_the_address_of_the_store_says_epoch_and_scope() -> None:
    assert cas_url("https://hub.example/p", "e1") == "https://hub.example/p/xet/e1/hub"
