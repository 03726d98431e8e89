"""Tokens for the Xet wire: the access that they give, and what ends it."""

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
from hubstead.repos.xet_tokens import PURPOSE, XetToken
from tests.support.factories import a_repo, a_user, an_org


class Other(msgspec.Struct, frozen=True):
    repo_id: str


def xet_token(
    signer: HubSigner, actor: Actor, repo: Repo, *, write: bool = True, **how: object
) -> str:
    seconds = how.pop("seconds", 60)
    text, _ = issue_xet_token(signer, actor, repo, write=write, epoch="e1", seconds=seconds, **how)  # type: ignore[arg-type]
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


async def test_a_xet_token_opens_its_repository_as_its_user_until_it_expires(db: Database) -> None:
    signer, anna = await HubSigner.load(db), await a_user(db)
    bert = await a_repo(db, anna, private=True)
    before = int(time.time())
    text, until = issue_xet_token(signer, anna, bert, write=True, epoch="e1", seconds=100)
    assert before + 100 <= until <= time.time() + 100
    actor, repo, token = await open_xet_token(db, signer, text, Right.WRITE)
    assert (actor.pk, repo.pk, token.epoch) == (anna.pk, bert.pk, "e1")
    assert (await open_xet_token(db, signer, text, Right.READ))[1].pk == bert.pk


async def test_a_read_xet_token_cannot_write_even_for_the_owner(db: Database) -> None:
    signer, anna = await HubSigner.load(db), await a_user(db)
    text = xet_token(signer, anna, await a_repo(db, anna), write=False)
    await open_xet_token(db, signer, text, Right.READ)
    with pytest.raises(Forbidden):
        await open_xet_token(db, signer, text, Right.WRITE)


async def test_a_forged_expired_or_foreign_signature_is_no_xet_token(db: Database) -> None:
    signer, anna = await HubSigner.load(db), await a_user(db)
    bert = await a_repo(db, anna)
    good = xet_token(signer, anna, bert)
    middle = len(good) // 2
    flipped = good[:middle] + ("A" if good[middle] != "A" else "B") + good[middle + 1 :]
    expired = xet_token(signer, anna, bert, seconds=-5)
    other = signer.sign(Other(bert.id), purpose="lfs upload", seconds=60)
    for text in ("", "hf_x", flipped, expired, other, good + "x", good[:-1]):
        with pytest.raises(InvalidCredentials):
            await open_xet_token(db, signer, text, Right.READ)


async def test_rights_are_checked_again_on_every_use(db: Database) -> None:
    signer, anna, bo = await HubSigner.load(db), await a_user(db), await a_user(db, "bo")
    await an_org(db, "acme", anna, {"write": bo})
    bert = await a_repo(db, anna, "acme/bert", private=True)
    text = xet_token(signer, bo, bert)
    await open_xet_token(db, signer, text, Right.WRITE)

    async def leave(tx: Tx) -> None:
        await remove_member(tx, await open_org_as_operator(tx, "acme"), bo.pk)

    await db.write(leave)
    for right in (Right.READ, Right.WRITE):
        with pytest.raises(RepoNotFound):
            await open_xet_token(db, signer, text, right)


async def test_an_anonymous_xet_token_reads_public_repositories_only(db: Database) -> None:
    signer, anna = await HubSigner.load(db), await a_user(db)
    bert = await a_repo(db, anna)
    reading = xet_token(signer, ANONYMOUS, bert, write=False)
    writing = xet_token(signer, ANONYMOUS, bert, write=True)
    assert not (await open_xet_token(db, signer, reading, Right.READ))[0].signed_in
    with pytest.raises(LoginRequired):
        await open_xet_token(db, signer, writing, Right.WRITE)
    await change(db, bert, gated="auto")
    with pytest.raises(Gated):
        await open_xet_token(db, signer, reading, Right.READ)
    await change(db, bert, private=1)
    with pytest.raises(RepoNotFound):
        await open_xet_token(db, signer, reading, Right.READ)
    await change(db, bert, private=0, gated="", disabled=1)
    with pytest.raises(RepoDisabled):
        await open_xet_token(db, signer, reading, Right.READ)


async def test_a_xet_token_ends_with_the_access_token_behind_it(db: Database) -> None:
    signer, anna = await HubSigner.load(db), await a_user(db)
    bert = await a_repo(db, anna)

    async def add(tx: Tx) -> str:
        return await add_token(tx, anna.pk, name="laptop")

    secret = await db.write(add)
    text = xet_token(signer, await authenticate_token(db, secret), bert)
    await open_xet_token(db, signer, text, Right.WRITE)

    async def revoke(tx: Tx) -> None:
        await revoke_token(tx, secret)

    await db.write(revoke)
    with pytest.raises(InvalidCredentials):
        await open_xet_token(db, signer, text, Right.READ)


async def test_a_read_token_cannot_write_by_a_xet_token(db: Database) -> None:
    signer, anna = await HubSigner.load(db), await a_user(db)
    bert, reader = await a_repo(db, anna), await signed_in(db, anna, "read")
    with pytest.raises(Forbidden):
        await open_xet_token(db, signer, xet_token(signer, reader, bert), Right.WRITE)


async def test_a_token_for_a_pull_request_proposes_and_does_not_write(
    db: Database,
) -> None:
    signer, anna, bo = await HubSigner.load(db), await a_user(db), await a_user(db, "bo")
    bert = await a_repo(db, anna)
    for user in (anna, await signed_in(db, bo, "write")):
        token = XetToken(bert.id, user.pk, user.token_pk, True, "e", proposing=True)
        proposal = signer.sign(token, purpose=PURPOSE, seconds=60)
        with pytest.raises(Forbidden):
            await open_xet_token(db, signer, proposal, Right.WRITE)
        for right in (Right.READ, Right.PROPOSE):
            opened = (await open_xet_token(db, signer, proposal, right))[2]
            assert opened.right is Right.PROPOSE


async def test_a_xet_token_follows_a_repository_to_its_new_name(db: Database) -> None:
    signer, anna = await HubSigner.load(db), await a_user(db)
    bert = await a_repo(db, anna)
    text = xet_token(signer, anna, bert)
    old, new = bert.repo_id, RepoId(Kind.MODEL, "anna", "ernie")
    await move_repo(db, anna, old, new)
    assert (await open_xet_token(db, signer, text, Right.WRITE))[1].name == "ernie"


async def test_a_xet_token_is_for_one_repository(db: Database) -> None:
    signer, anna = await HubSigner.load(db), await a_user(db)
    bert, ernie = await a_repo(db, anna), await a_repo(db, anna, "anna/ernie")
    texts = [xet_token(signer, anna, repo) for repo in (bert, ernie)]
    pks = [(await open_xet_token(db, signer, text, Right.READ))[1].pk for text in texts]
    assert pks == [bert.pk, ernie.pk]
    deleted = xet_token(signer, anna, structs.replace(bert, id="0" * 24))
    with pytest.raises(RepoNotFound):
        await open_xet_token(db, signer, deleted, Right.READ)


def test_the_address_of_the_xet_wire_has_epoch_and_scope() -> None:
    assert cas_url("https://hub.example/p", "e1") == "https://hub.example/p/xet/e1/hub"
