"""Passwords: slow to verify, failures counted, successes cached for a minute."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select

from hubstead.accounts import (
    Passwords,
    SignIn,
    disable_user,
    expire_attempts,
    reload_actor,
    set_password,
)
from hubstead.accounts.tables import sign_in_attempts
from hubstead.admission import Admission, Lane, LaneRules, Work, install_admission, slot
from hubstead.db import Database, Tx, scan
from hubstead.errors import InvalidInput, Overloaded, RateLimited, SignInFailed
from tests.support.factories import a_user, an_org

HERE = "10.0.0.1"
ATTEMPTS = scan(select(func.count()).select_from(sign_in_attempts), int)


def quick_passwords() -> Passwords:
    """The real hasher with parameters that are cheap enough for tests."""
    return Passwords(hasher=PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))


async def add_anna(db: Database, passwords: Passwords, password: str = "right") -> None:
    await a_user(db, "anna", password_hash=await passwords.hash(password))


async def fails(sign_in: SignIn, name: str, password: str, address: str = HERE) -> None:
    with pytest.raises(SignInFailed):
        await sign_in.check(name, password, address)


async def test_only_the_right_password_signs_in(db: Database) -> None:
    passwords = quick_passwords()
    await add_anna(db, passwords)
    sign_in = SignIn(db, passwords, attempts=100)
    actor = await sign_in.check("ANNA", "right", HERE)
    assert (actor.name, actor.may_write, actor.token_kind) == ("anna", True, "password")
    for wrong in ("wrong", "", "Right", "right\0", "right ", "x" * 2000, "\ud800"):
        await fails(sign_in, "anna", wrong)


@pytest.mark.parametrize("is_admin", [False, True])
async def test_sign_in_by_password_returns_the_actor_of_a_reload(
    db: Database, is_admin: bool
) -> None:
    passwords = quick_passwords()
    hashed = await passwords.hash("right")
    anna = await a_user(db, "anna", password_hash=hashed, email="a@b.c", is_admin=is_admin)
    actor = await SignIn(db, passwords).check("anna", "right", HERE)
    assert actor.is_admin is is_admin
    assert actor == await reload_actor(db, anna.pk)


@pytest.mark.parametrize("name", ["nobody", "acme", "carl", "a\0b", "\ud800", ""])
async def test_a_user_without_a_password_cannot_sign_in(db: Database, name: str) -> None:
    anna = await a_user(db, "anna")
    await an_org(db, "acme", anna)
    await a_user(db, "carl")  # a user without a password
    sign_in = SignIn(db, quick_passwords())
    await fails(sign_in, name, "")
    await fails(sign_in, name, "nobody has this password")


async def test_a_disabled_user_cannot_sign_in_even_if_cached(db: Database) -> None:
    passwords = quick_passwords()
    await add_anna(db, passwords)
    sign_in = SignIn(db, passwords)
    await sign_in.check("anna", "right", HERE)

    async def disable(tx: Tx) -> None:
        await disable_user(tx, "anna")

    await db.write(disable)
    await fails(sign_in, "anna", "right")


async def test_a_changed_password_takes_effect_at_once(db: Database) -> None:
    passwords = quick_passwords()
    await add_anna(db, passwords)
    sign_in = SignIn(db, passwords)
    await sign_in.check("anna", "right", HERE)
    hashed = await passwords.hash("newer")

    async def change(tx: Tx) -> None:
        await set_password(tx, "anna", hashed)

    await db.write(change)
    await fails(sign_in, "anna", "right")
    assert (await sign_in.check("anna", "newer", HERE)).name == "anna"


async def test_after_so_many_attempts_not_even_the_right_password_is_looked_at(
    db: Database,
) -> None:
    passwords = quick_passwords()
    await add_anna(db, passwords)
    sign_in = SignIn(db, passwords, attempts=3, window_s=60)
    for n in range(3):
        await fails(sign_in, "anna", f"guess {n}")
    with pytest.raises(RateLimited) as limited:
        await sign_in.check("Anna", "right", HERE)
    assert 1 <= limited.value.retry_after_s <= 61


async def test_a_stranger_cannot_lock_a_user_out(db: Database) -> None:
    passwords = quick_passwords()
    await add_anna(db, passwords)
    sign_in = SignIn(db, passwords, attempts=3, window_s=60)
    for n in range(9):
        await fails(sign_in, "anna", f"guess {n}", f"10.0.0.{n % 3}")
    with pytest.raises(RateLimited):
        await sign_in.check("anna", "guess", "10.0.0.1")
    assert (await sign_in.check("anna", "right", "10.9.9.9")).name == "anna"


async def test_an_address_has_ten_times_the_attempts_of_a_name(db: Database) -> None:
    passwords = quick_passwords()
    await add_anna(db, passwords)
    sign_in = SignIn(db, passwords, attempts=2, window_s=60)
    for n in range(20):
        await fails(sign_in, f"user{n}", "guess")
    with pytest.raises(RateLimited):
        await sign_in.check("anna", "right", HERE)
    assert (await sign_in.check("anna", "right", "10.9.9.9")).name == "anna"


async def test_addresses_of_one_ipv6_network_count_together(db: Database) -> None:
    sign_in = SignIn(db, quick_passwords(), attempts=2, window_s=60)
    for n in range(2):
        await fails(sign_in, "anna", "guess", f"2001:db8::{n}")
    with pytest.raises(RateLimited):
        await sign_in.check("anna", "guess", "2001:db8::9")


async def test_the_right_password_forgives_the_wrong_ones(db: Database) -> None:
    passwords = quick_passwords()
    await add_anna(db, passwords)
    sign_in = SignIn(db, passwords, attempts=3, window_s=60)
    for n in range(6):
        await fails(sign_in, "anna", f"guess {n}")
        if n % 2:
            await SignIn(db, passwords, attempts=3, window_s=60).check("anna", "right", HERE)


@pytest.mark.shape_matters
async def test_all_nodes_count_together(db: Database) -> None:
    nodes = [SignIn(db, quick_passwords(), attempts=4, window_s=60) for _ in range(2)]
    for n in range(4):
        await fails(nodes[n % 2], "anna", "guess")
    for node in nodes:
        with pytest.raises(RateLimited):
            await node.check("anna", "guess", HERE)


@pytest.mark.shape_matters
async def test_parallel_guesses_get_no_more_checks(db: Database) -> None:
    passwords = quick_passwords()
    await add_anna(db, passwords)
    sign_in = SignIn(db, passwords, attempts=3, window_s=60)
    guesses = [sign_in.check("anna", f"guess {n}", HERE) for n in range(9)]
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(isinstance(outcome, SignInFailed) for outcome in outcomes) == 3
    assert sum(isinstance(outcome, RateLimited) for outcome in outcomes) == 6


async def test_a_check_that_finds_no_place_does_not_count(db: Database) -> None:
    install_admission(Admission({Lane.PASSWORDS: LaneRules(1, 1, queue=0, queue_share=0)}))
    passwords = quick_passwords()
    await add_anna(db, passwords)
    sign_in = SignIn(db, passwords, attempts=1, window_s=60)
    with Work(HERE).current():
        async with slot(Lane.PASSWORDS):
            for _ in range(3):
                with pytest.raises(Overloaded):
                    await sign_in.check("anna", "right", HERE)
        assert (await sign_in.check("anna", "right", HERE)).name == "anna"


async def test_windows_that_are_over_are_deleted(db: Database) -> None:
    await fails(SignIn(db, quick_passwords(), window_s=0), "anna", "guess")
    await fails(SignIn(db, quick_passwords(), window_s=60), "anna", "guess", "10.9.9.9")
    await expire_attempts(db)
    assert await db.single(ATTEMPTS) == 2


async def test_a_window_that_is_over_forgives(db: Database) -> None:
    passwords = quick_passwords()
    await add_anna(db, passwords)
    sign_in = SignIn(db, passwords, attempts=1, window_s=1)
    await fails(sign_in, "anna", "wrong")
    with pytest.raises(RateLimited):
        await sign_in.check("anna", "right", HERE)
    await asyncio.sleep(1.1)
    assert (await sign_in.check("anna", "right", HERE)).name == "anna"


class _Counting(PasswordHasher):
    """A hasher that counts its checks."""

    checks = 0

    def verify(self, *given: Any) -> Any:
        self.checks += 1
        return super().verify(*given)


async def test_a_repeated_password_needs_no_further_check(db: Database) -> None:
    hasher = _Counting(time_cost=1, memory_cost=64, parallelism=1)
    passwords = Passwords(hasher=hasher)
    await add_anna(db, passwords)
    sign_in = SignIn(db, passwords)
    for _ in range(10):
        await sign_in.check("anna", "right", HERE)
    assert hasher.checks == 1


async def test_a_password_has_a_length_limit() -> None:
    for bad in ("", "x" * 1025):
        with pytest.raises(InvalidInput, match="1 to 1024"):
            await quick_passwords().hash(bad)
    with pytest.raises(InvalidInput, match="Unicode"):
        await quick_passwords().hash("\ud800")
    password_hash = await quick_passwords().hash("x" * 1024)
    assert "x" * 10 not in password_hash
    assert await quick_passwords().check("x" * 1024, password_hash)
    assert not await quick_passwords().check("x" * 1023, password_hash)
    assert not await quick_passwords().check("anything", "not a hash")
    assert not await quick_passwords().check("nobody has this password", None)
