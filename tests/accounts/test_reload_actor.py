"""The actor of a signed address, with the rights at the time of its use."""

from __future__ import annotations

import pytest

from hubstead.accounts import (
    ANONYMOUS,
    add_token,
    authenticate_token,
    disable_user,
    list_tokens,
    reload_actor,
    revoke_token,
)
from hubstead.db import Database
from hubstead.errors import InvalidCredentials
from hubstead.ids import now_ms
from tests.support.factories import a_user, an_org


async def test_number_zero_is_anonymous(db: Database) -> None:
    assert await reload_actor(db, 0) is ANONYMOUS


async def test_a_token_has_the_rights_of_its_first_use(db: Database) -> None:
    anna = await a_user(db)
    secret = await db.write(lambda tx: add_token(tx, anna.pk, name="ci", role="read"))
    sent = await authenticate_token(db, secret)
    assert await reload_actor(db, anna.pk, sent.token_pk) == sent
    assert not sent.may_write


async def test_an_expired_token_or_one_of_another_user_is_refused(db: Database) -> None:
    anna, bo = await a_user(db), await a_user(db, "bo")
    await db.write(lambda tx: add_token(tx, anna.pk, name="over", expires_ms=now_ms() - 1))
    await db.write(lambda tx: add_token(tx, anna.pk, name="good"))
    over, good = await list_tokens(db, "anna")
    for user, token in ((anna.pk, over.pk), (bo.pk, good.pk)):
        with pytest.raises(InvalidCredentials):
            await reload_actor(db, user, token)
    await db.write(lambda tx: revoke_token(tx, good.id))
    with pytest.raises(InvalidCredentials):
        await reload_actor(db, anna.pk, good.pk)


async def test_a_user_signed_in_by_password_is_valid_until_disabled(db: Database) -> None:
    anna = await a_user(db)
    actor = await reload_actor(db, anna.pk)
    assert (actor.name, actor.may_write) == ("anna", True)
    await db.write(lambda tx: disable_user(tx, "anna"))
    with pytest.raises(InvalidCredentials):
        await reload_actor(db, anna.pk)


async def test_an_organization_is_not_an_actor(db: Database) -> None:
    org = await an_org(db, "acme", await a_user(db))
    with pytest.raises(InvalidCredentials):
        await reload_actor(db, org)
