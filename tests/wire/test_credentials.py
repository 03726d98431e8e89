"""Credentials: every way in which clients, git and users authenticate."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from tests.support.http import Response
from tests.support.hub import ThreadHub
from tests.support.person import Person

from hubstead.accounts import disable_user, list_tokens, revoke_token
from hubstead.db import Tx

INVALID = "Invalid credentials in Authorization header"


@pytest.fixture(scope="module")
def anna(live_hub: ThreadHub) -> Person:
    return live_hub.user("anna", password="correct horse")


def ask(hub: ThreadHub, authorization: str, path: str = "/api/whoami-v2") -> Response:
    return hub.call("GET", path, Authorization=authorization)


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "form",
    [
        lambda anna: f"Bearer {anna.token}",
        lambda anna: f"bearer   {anna.token} ",
        lambda anna: basic("hf_user", anna.token),
        lambda anna: basic("access_token", anna.token),
        lambda anna: basic(anna.name, anna.token),
        lambda anna: basic("", anna.token),
        lambda anna: basic(anna.token, ""),
        lambda anna: basic(anna.token, "x-oauth-basic"),
        lambda anna: basic(anna.name, "correct horse"),
        lambda anna: basic(anna.name.upper(), "correct horse"),
    ],
)
def test_every_way_to_authenticate_is_accepted(
    live_hub: ThreadHub, anna: Person, form: Callable[[Person], str]
) -> None:
    response = ask(live_hub, form(anna))
    assert response.status == 200, response.body
    assert response.json["name"] == anna.name


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer hf_nobody",
        "Bearer",
        "Bearer ",
        "Token abc",
        "hf_nobody",
        "Digest username=x",
        "Basic",
        "Basic !!!",
        "Basic Og==",
        "Basic /w==",
        basic("nobody", "wrong"),
        basic("nobody", ""),
        basic("hf_nobody", "x-oauth-basic"),
        basic("", "x-oauth-basic"),
        "Bearer a\tb",
        "Bearer " + "x" * 5000,
        "Bearer \xe4",
    ],
)
@pytest.mark.parametrize("path", ["/api/whoami-v2", "/api/models", "/a/b/resolve/main/c", "/"])
def test_invalid_credentials_are_refused_even_for_public_content(
    live_hub: ThreadHub, authorization: str, path: str
) -> None:
    response = ask(live_hub, authorization, path)
    assert (response.status, response.code, response.message) == (401, None, INVALID)


def test_two_credentials_are_refused(live_hub: ThreadHub, anna: Person) -> None:
    both = f"Bearer {anna.token}, Bearer {anna.token}"
    assert ask(live_hub, both).message == INVALID


def test_a_wrong_password_is_refused_and_many_of_them_are_limited(
    own_hub: Callable[..., ThreadHub],
) -> None:
    hub = own_hub(sign_in_attempts=3)
    anna = hub.user("anna", password="correct horse")
    statuses: list[int] = [ask(hub, basic(anna.name, f"wrong {n}")).status for n in range(6)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert ask(hub, basic(anna.name, "correct horse")).status == 429
    assert ask(hub, f"Bearer {anna.token}").status == 200


def test_a_revoked_token_and_a_disabled_user_are_anonymous(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna", password="correct horse")
    other = anna.with_token("write")

    async def revoke(tx: Tx) -> None:
        await revoke_token(tx, anna.token)

    live_hub.write(revoke)
    assert ask(live_hub, f"Bearer {anna.token}").message == INVALID
    assert ask(live_hub, f"Bearer {other.token}").status == 200

    async def disable(tx: Tx) -> None:
        await disable_user(tx, anna.name)

    live_hub.write(disable)
    assert ask(live_hub, f"Bearer {other.token}").message == INVALID
    assert ask(live_hub, basic(anna.name, "correct horse")).message == INVALID


def test_the_last_use_of_a_token_is_recorded(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    (before,) = live_hub.run(list_tokens(live_hub.db, anna.name))
    assert before.last_used_ms is None
    assert ask(live_hub, f"Bearer {anna.token}").status == 200
    live_hub.run(live_hub.hub.last_use.flush(live_hub.db))
    (after,) = live_hub.run(list_tokens(live_hub.db, anna.name))
    assert after.last_used_ms
