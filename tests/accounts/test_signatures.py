"""The hub's signatures: valid for one purpose, for a limited time."""

from __future__ import annotations

import asyncio
import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubstead.accounts import HubSigner, SigningKey, add_signing_key, rotate_keys, signatures
from hubstead.db import Database, open_db
from hubstead.errors import InvalidCredentials
from hubstead.ids import now_ms


class Grant(msgspec.Struct, frozen=True):
    repo: str
    size: int


GRANT = Grant("acme/bert", 7)


async def test_a_signed_value_is_read_back_and_fits_into_an_address(db: Database) -> None:
    signer = await HubSigner.load(db)
    text = signer.sign(GRANT, purpose="get", seconds=60)
    assert signer.read(text, Grant, purpose="get") == GRANT
    assert set(text) <= set(string.ascii_letters + string.digits + "-_.")


async def test_another_purpose_is_refused(db: Database) -> None:
    signer = await HubSigner.load(db)
    text = signer.sign(GRANT, purpose="get", seconds=60)
    with pytest.raises(InvalidCredentials):
        signer.read(text, Grant, purpose="put")


async def test_an_expired_signature_is_refused(db: Database) -> None:
    signer = await HubSigner.load(db)
    text = signer.sign(GRANT, purpose="get", seconds=-1)
    with pytest.raises(InvalidCredentials):
        signer.read(text, Grant, purpose="get")


SIGNER = HubSigner([SigningKey("11111111", "a secret"), SigningKey("00000000", "an older secret")])
SIGNED = SIGNER.sign(GRANT, purpose="get", seconds=3600)


@given(
    st.integers(0, len(SIGNED) - 1), st.sampled_from(string.ascii_letters + string.digits + "-_.")
)
def test_a_changed_character_is_detected(at: int, char: str) -> None:
    forged = SIGNED[:at] + char + SIGNED[at + 1 :]
    if forged == SIGNED:
        return
    try:
        # The last character of a base64 text has spare bits: the same bytes, so the same signature.
        assert at == len(SIGNED) - 1
        assert SIGNER.read(forged, Grant, purpose="get") == GRANT
    except AssertionError:
        with pytest.raises(InvalidCredentials):
            SIGNER.read(forged, Grant, purpose="get")
    except InvalidCredentials:
        return


@given(st.text(max_size=80) | st.text("01.", max_size=40).map(lambda tail: f"11111111.{tail}"))
def test_any_other_text_is_refused_without_a_fault(text: str) -> None:
    with pytest.raises(InvalidCredentials):
        SIGNER.read(text, Grant, purpose="get")


def test_a_signature_with_another_secret_is_refused() -> None:
    forged = HubSigner([SigningKey("11111111", "a guess")]).sign(GRANT, purpose="get", seconds=60)
    with pytest.raises(InvalidCredentials):
        SIGNER.read(forged, Grant, purpose="get")


def test_a_value_of_another_type_is_refused() -> None:
    class Other(msgspec.Struct):
        number: int

    with pytest.raises(InvalidCredentials):
        SIGNER.read(SIGNED, Other, purpose="get")


async def test_a_new_key_signs_only_after_every_node_has_read_it(db: Database) -> None:
    ahead_ms = [0]
    node = await HubSigner.load(db, now_ms=lambda: now_ms() + ahead_ms[0])
    other = await HubSigner.load(db)
    old = node.sign(GRANT, purpose="get", seconds=60)
    key_id = await add_signing_key(db)
    await node.reload(db)
    assert not node.sign(GRANT, purpose="get", seconds=60).startswith(f"{key_id}.")
    ahead_ms[0] = signatures.RIPE_MS + 1
    await node.reload(db)
    new = node.sign(GRANT, purpose="get", seconds=60)
    assert new.startswith(f"{key_id}.")
    assert node.read(old, Grant, purpose="get") == GRANT
    with pytest.raises(InvalidCredentials):
        other.read(new, Grant, purpose="get")
    await other.reload(db)
    assert other.read(new, Grant, purpose="get") == GRANT


async def test_keys_are_replaced_by_age_and_old_ones_are_deleted(db: Database) -> None:
    first = (await HubSigner.load(db)).sign(GRANT, purpose="get", seconds=10**9)
    await rotate_keys(db)
    assert (await HubSigner.load(db)).read(first, Grant, purpose="get") == GRANT
    for months in (1.1, 2.2, 3.3):
        later = int(now_ms() + months * signatures.ROTATION_MS)
        await rotate_keys(db, now_ms=lambda later=later: later)  # type: ignore[misc]
    with pytest.raises(InvalidCredentials):
        (await HubSigner.load(db)).read(first, Grant, purpose="get")


async def test_nodes_that_start_together_read_the_keys_of_both(database_url: str) -> None:
    nodes = [await open_db(database_url) for _ in range(4)]
    signers = await asyncio.gather(*map(HubSigner.load, nodes))
    for one in signers:
        for other in signers:
            text = one.sign(GRANT, purpose="get", seconds=60)
            assert other.read(text, Grant, purpose="get") == GRANT
    for node in nodes:
        await node.close()
