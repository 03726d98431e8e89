"""Our own signatures: only what we signed, for that purpose, for that long."""

from __future__ import annotations

import asyncio
import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubstead.accounts import Seal, add_key
from hubstead.db import Database, open_db
from hubstead.errors import InvalidCredentials


class Grant(msgspec.Struct, frozen=True):
    repo: str
    size: int


GRANT = Grant("acme/bert", 7)


async def test_what_was_signed_can_be_read_and_is_fit_for_an_address(db: Database) -> None:
    seal = await Seal.load(db)
    text = seal.sign(GRANT, purpose="get", seconds=60)
    assert seal.read(text, Grant, purpose="get") == GRANT
    assert set(text) <= set(string.ascii_letters + string.digits + "-_.")


async def test_another_purpose_is_refused(db: Database) -> None:
    seal = await Seal.load(db)
    text = seal.sign(GRANT, purpose="get", seconds=60)
    with pytest.raises(InvalidCredentials):
        seal.read(text, Grant, purpose="put")


async def test_what_is_over_is_refused(db: Database) -> None:
    seal = await Seal.load(db)
    text = seal.sign(GRANT, purpose="get", seconds=-1)
    with pytest.raises(InvalidCredentials):
        seal.read(text, Grant, purpose="get")


SEAL = Seal({"11111111": "a secret", "00000000": "an older secret"})
SIGNED = SEAL.sign(GRANT, purpose="get", seconds=3600)


@given(
    st.integers(0, len(SIGNED) - 1), st.sampled_from(string.ascii_letters + string.digits + "-_.")
)
def test_a_changed_character_is_noticed(at: int, char: str) -> None:
    forged = SIGNED[:at] + char + SIGNED[at + 1 :]
    if forged == SIGNED:
        return
    try:
        # The last character of a base64 text has spare bits: the same bytes, so the same seal.
        assert at == len(SIGNED) - 1
        assert SEAL.read(forged, Grant, purpose="get") == GRANT
    except AssertionError:
        with pytest.raises(InvalidCredentials):
            SEAL.read(forged, Grant, purpose="get")
    except InvalidCredentials:
        return


@given(st.text(max_size=80) | st.text("01.", max_size=40).map(lambda tail: f"11111111.{tail}"))
def test_any_other_text_is_refused_without_a_fault(text: str) -> None:
    with pytest.raises(InvalidCredentials):
        SEAL.read(text, Grant, purpose="get")


def test_a_seal_made_with_another_secret_is_refused() -> None:
    forged = Seal({"11111111": "a guess"}).sign(GRANT, purpose="get", seconds=60)
    with pytest.raises(InvalidCredentials):
        SEAL.read(forged, Grant, purpose="get")


def test_another_shape_is_refused() -> None:
    class Other(msgspec.Struct):
        number: int

    with pytest.raises(InvalidCredentials):
        SEAL.read(SIGNED, Other, purpose="get")


async def test_a_new_key_takes_over_while_the_old_one_still_reads(db: Database) -> None:
    before = await Seal.load(db)
    old = before.sign(GRANT, purpose="get", seconds=60)
    key_id = await add_key(db)
    after = await Seal.load(db)
    new = after.sign(GRANT, purpose="get", seconds=60)
    assert new.startswith(f"{key_id}.")
    assert not old.startswith(f"{key_id}.")
    assert after.read(old, Grant, purpose="get") == GRANT
    assert after.read(new, Grant, purpose="get") == GRANT
    with pytest.raises(InvalidCredentials):
        before.read(new, Grant, purpose="get")


async def test_nodes_that_start_together_read_each_other(database_url: str) -> None:
    nodes = [await open_db(database_url) for _ in range(4)]
    seals = await asyncio.gather(*map(Seal.load, nodes))
    for one in seals:
        for other in seals:
            text = one.sign(GRANT, purpose="get", seconds=60)
            assert other.read(text, Grant, purpose="get") == GRANT
    for node in nodes:
        await node.close()
