"""The actor that a signed address names, with their rights at the time of its use."""

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


async def test_a_token_gives_what_it_gave_when_it_was_sent(db: Database) -> None:
    anna = await a_user(db)
    secret = await db.write(lambda tx: add_token(tx, anna.pk, name="ci", role="read"))
    sent = await authenticate_token(db, secret)
    assert await reload_actor(db, anna.pk, sent.token_pk) == sent
    assert not sent.may_write


async def test_a_token_that_ended_or_is_anothers_is_refused(db: Database) -> None:
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


async def test_a_user_who_signed_in_by_password_counts_until_disabled(db: Database) -> None:
    anna = await a_user(db)
    actor = await reload_actor(db, anna.pk)
    assert (actor.name, actor.may_write) == ("anna", True)
    await db.write(lambda tx: disable_user(tx, "anna"))
    with pytest.raises(InvalidCredentials):
        await reload_actor(db, anna.pk)


async def test_an_organization_is_no_actor(db: Database) -> None:
    org = await an_org(db, "acme", await a_user(db))
    with pytest.raises(InvalidCredentials):
        await reload_actor(db, org)
