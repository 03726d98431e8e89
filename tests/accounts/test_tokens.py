"""Access tokens and sessions: their users, roles and expiry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select

from hubstead.accounts import (
    Actor,
    LastUse,
    Passwords,
    SignIn,
    add_token,
    authenticate_token,
    disable_user,
    end_session,
    list_tokens,
    revoke_token,
    set_password,
)
from hubstead.accounts.tables import access_tokens
from hubstead.db import Database, Tx
from hubstead.errors import InvalidCredentials, InvalidInput, LimitReached, NotFound
from hubstead.ids import now_ms
from tests.support.factories import a_user
from tests.support.rows import reading


async def write(
    db: Database, change: Callable[..., Awaitable[Any]], *args: Any, **more: Any
) -> Any:
    async def run(tx: Tx) -> Any:
        return await change(tx, *args, **more)

    return await db.write(run)


async def a_token(db: Database, user: Actor, **more: Any) -> str:
    token: str = await write(db, add_token, user.pk, **({"name": "laptop"} | more))
    return token


async def test_a_token_identifies_its_user(db: Database) -> None:
    anna = await a_user(db, "anna", is_admin=True)
    secret = await a_token(db, anna)
    assert secret.startswith("hf_")
    actor = await authenticate_token(db, secret)
    assert (actor.pk, actor.name, actor.is_admin, actor.may_write) == (anna.pk, "anna", True, True)
    assert (actor.token_name, actor.token_role, actor.token_kind) == ("laptop", "write", "access")
    assert actor.signed_in


async def test_a_read_token_cannot_write(db: Database) -> None:
    secret = await a_token(db, await a_user(db), role="read")
    assert not (await authenticate_token(db, secret)).may_write


async def test_an_unknown_role_is_refused(db: Database) -> None:
    anna = await a_user(db)
    with pytest.raises(InvalidInput, match="read, write"):
        await a_token(db, anna, role="god")


@pytest.mark.parametrize("secret", ["", "hf_unknown", "a\0b", "\ud800", "x" * 100_000])
async def test_an_unknown_token_is_anonymous(db: Database, secret: str) -> None:
    await a_token(db, await a_user(db))
    with pytest.raises(InvalidCredentials):
        await authenticate_token(db, secret)


async def test_an_expired_token_is_anonymous(db: Database) -> None:
    anna = await a_user(db)
    over = await a_token(db, anna, expires_ms=now_ms() - 1)
    good = await a_token(db, anna, expires_ms=now_ms() + 60_000)
    assert (await authenticate_token(db, good)).pk == anna.pk
    with pytest.raises(InvalidCredentials):
        await authenticate_token(db, over)


async def test_a_disabled_user_is_locked_out_until_enabled(db: Database) -> None:
    anna = await a_user(db)
    secret = await a_token(db, anna)
    await write(db, disable_user, "ANNA")
    with pytest.raises(InvalidCredentials):
        await authenticate_token(db, secret)
    await write(db, disable_user, "anna", disabled=False)
    assert (await authenticate_token(db, secret)).pk == anna.pk


async def test_a_token_is_revoked_by_its_id_or_its_secret(db: Database) -> None:
    anna = await a_user(db)
    first, second, third = [await a_token(db, anna, name=name) for name in "abc"]
    await write(db, revoke_token, (await list_tokens(db))[0].id)
    await write(db, revoke_token, second)
    for ended in (first, second):
        with pytest.raises(InvalidCredentials):
            await authenticate_token(db, ended)
    assert (await authenticate_token(db, third)).pk == anna.pk
    with pytest.raises(NotFound):
        await write(db, revoke_token, second)


@pytest.mark.parametrize(
    "value",
    ["api_org_" + "x" * 34, "hf_" + "A" * 34, "short", "ey.JX-_~+/=" * 50, "d5b8f5a8-7a4f-4a3c"],
)
async def test_an_existing_token_of_any_format_can_be_imported(db: Database, value: str) -> None:
    anna = await a_user(db)
    assert await a_token(db, anna, value=value) == value
    assert (await authenticate_token(db, value)).pk == anna.pk


@pytest.mark.parametrize("value", ["", "two words", "line\nbreak", "nul\0", "x" * 4097])
async def test_a_token_must_fit_into_a_header(db: Database, value: str) -> None:
    anna = await a_user(db)
    with pytest.raises(InvalidInput, match="printable"):
        await a_token(db, anna, value=value)


async def test_two_tokens_cannot_share_a_value(db: Database) -> None:
    anna, bert = await a_user(db, "anna"), await a_user(db, "bert")
    await a_token(db, anna, value="shared-secret-value")
    with pytest.raises(InvalidInput, match="in use"):
        await a_token(db, bert, value="shared-secret-value")
    assert (await authenticate_token(db, "shared-secret-value")).pk == anna.pk


async def test_no_secret_is_stored_or_listed(db: Database) -> None:
    secret = await a_token(db, await a_user(db, "anna"))
    await a_token(db, await a_user(db, "bert"), value="tiny")
    rows = await db.all(reading(select(access_tokens)))
    assert secret not in repr(rows)
    mine, tiny = await list_tokens(db)
    assert (mine.user, mine.hint) == ("anna", secret[-4:])
    assert tiny.hint == "", "four characters of a short secret would be too much"
    assert [row.user for row in await list_tokens(db, "BERT")] == ["bert"]


async def test_last_use_is_recorded_at_intervals(db: Database) -> None:
    secret = await a_token(db, await a_user(db))
    used = LastUse()
    used.note(await authenticate_token(db, secret))
    assert (await list_tokens(db))[0].last_used_ms is None
    await used.flush(db)
    first = (await list_tokens(db))[0].last_used_ms
    assert first is not None
    assert abs(first - now_ms()) < 60_000
    await used.flush(db)
    assert (await list_tokens(db))[0].last_used_ms == first


async def a_session(db: Database, user: Actor) -> str:
    session: str = await write(
        db, add_token, user.pk, name="session", kind="session", expires_ms=now_ms() + 60_000
    )
    return session


async def test_a_logout_ends_this_session_only(db: Database) -> None:
    anna = await a_user(db)
    first, second, token = await a_session(db, anna), await a_session(db, anna), ""
    token = await a_token(db, anna)
    await end_session(db, await authenticate_token(db, first))
    with pytest.raises(InvalidCredentials):
        await authenticate_token(db, first)
    for secret in (second, token):
        assert (await authenticate_token(db, secret)).pk == anna.pk


async def test_an_access_token_cannot_be_logged_out(db: Database) -> None:
    secret = await a_token(db, await a_user(db))
    actor = await authenticate_token(db, secret)
    with pytest.raises(InvalidInput, match="cannot be logged out"):
        await end_session(db, actor)
    assert (await authenticate_token(db, secret)).pk == actor.pk


async def test_a_new_password_ends_sessions_but_not_access_tokens(db: Database) -> None:
    anna, bert = await a_user(db, "anna"), await a_user(db, "bert")
    session, token, other = (
        await a_session(db, anna),
        await a_token(db, anna),
        await a_session(db, bert),
    )
    await write(db, set_password, "anna", "a new hash")
    with pytest.raises(InvalidCredentials):
        await authenticate_token(db, session)
    for secret in (token, other):
        assert (await authenticate_token(db, secret)).signed_in


async def test_the_right_password_creates_a_session(db: Database) -> None:
    passwords = Passwords()
    await a_user(db, "anna", password_hash=await passwords.hash("correct horse"))
    secret = await SignIn(db, passwords).open_session("Anna", "correct horse", "10.0.0.1")
    actor = await authenticate_token(db, secret)
    assert (actor.name, actor.token_kind, actor.may_write) == ("anna", "session", True)


async def test_a_user_has_so_many_access_tokens_and_no_more(db: Database) -> None:
    anna = await a_user(db, "anna")
    for n in range(2):
        await db.write(add_token, anna.pk, name=f"t{n}", limit=3)
    await db.write(add_token, anna.pk, name="over", expires_ms=1, limit=3)
    await db.write(add_token, anna.pk, name="third", limit=3)
    with pytest.raises(LimitReached, match="max_tokens_per_user"):
        await db.write(add_token, anna.pk, name="fourth", limit=3)


async def test_a_further_session_ends_the_oldest(db: Database) -> None:
    anna = await a_user(db, "anna")
    one, two, three = [
        await db.write(add_token, anna.pk, name="s", kind="session", limit=2) for _ in range(3)
    ]
    with pytest.raises(InvalidCredentials):
        await authenticate_token(db, one)
    for secret in (two, three):
        assert (await authenticate_token(db, secret)).name == "anna"
