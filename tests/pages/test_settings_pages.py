"""The pages that change one's own account, and that make repositories and organizations."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

import httpx2
import pytest

from hubstead.accounts import create_org
from hubstead.accounts.actor import Actor
from hubstead.errors import Forbidden
from hubstead.pages.routes import ROUTES
from hubstead.wire import Access
from tests.support.hub import ThreadHub
from tests.support.person import Person

PASSWORD = "correct horse battery"
EVIL = '"><script>alert(1)</script>'
OWN = {"sec-fetch-site": "same-origin", "accept": "text/html"}
FOR_USERS = [
    route for route in ROUTES if route.access is Access.SIGNED_IN and route.method == "GET"
]


@pytest.fixture(scope="module")
def anna(live_hub: ThreadHub) -> Person:
    return live_hub.user("anna", password=PASSWORD)


@pytest.fixture
def browser(live_hub: ThreadHub, anna: Person) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=live_hub.url, headers=OWN) as client:
        sign_in(client, anna)
        yield client


def sign_in(client: httpx2.Client, person: Person, password: str = PASSWORD) -> int:
    form = {"name": person.name, "password": password}
    return client.post("/login", data=form).status_code


@pytest.mark.parametrize("route", FOR_USERS, ids=lambda route: route.pattern)
def test_pages_of_users_ask_strangers_to_sign_in(
    live_hub: ThreadHub, browser: httpx2.Client, route: object
) -> None:
    path = route.pattern  # type: ignore[attr-defined]
    stranger = httpx2.get(live_hub.url + path, headers=OWN)
    assert stranger.status_code == 401
    assert f'name="next" value="{path}"' in stranger.text
    shown = browser.get(path, follow_redirects=True)
    assert shown.status_code == 200
    assert shown.text.count("<h1") == 1
    assert 'style="' not in shown.text


def test_a_token_is_shown_once_works_and_is_revoked(
    browser: httpx2.Client, live_hub: ThreadHub, anna: Person
) -> None:
    form = {"name": "laptop", "role": "read", "days": "30"}
    made = browser.post("/settings/tokens/new", data=form)
    assert made.headers["cache-control"] == "no-store"
    assert "content-encoding" not in made.headers
    secret = re.search(r"hf_[0-9a-f]{40}", made.text)
    assert secret
    bearer = {"authorization": f"Bearer {secret[0]}"}
    assert httpx2.get(f"{live_hub.url}/api/whoami-v2", headers=bearer).json()["name"] == anna.name
    listed = browser.get("/settings/tokens").text
    assert "laptop" in listed
    assert secret[0] not in listed
    token_id = re.search(r'name="id" value="([0-9a-f]{24})"', listed)
    assert token_id
    other = live_hub.user("olaf", password=PASSWORD)
    with httpx2.Client(base_url=live_hub.url, headers=OWN) as thief:
        sign_in(thief, other)
        assert thief.post("/settings/tokens/revoke", data={"id": token_id[1]}).status_code == 404
    assert browser.post("/settings/tokens/revoke", data={"id": token_id[1]}).status_code == 303
    assert httpx2.get(f"{live_hub.url}/api/whoami-v2", headers=bearer).status_code == 401


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"name": "", "role": "read"}, "name"),
        ({"name": "x" * 101, "role": "read"}, "name"),
        ({"name": EVIL, "role": "admin"}, "role"),
        ({"name": EVIL, "role": "read", "days": "9999999"}, "days"),
    ],
)
def test_a_form_of_a_token_shows_what_is_wrong_beside_its_field(
    browser: httpx2.Client, form: dict[str, str], field: str
) -> None:
    refused = browser.post("/settings/tokens/new", data=form)
    assert refused.status_code == 422
    assert f'id="e-{field}"' in refused.text
    assert "<script" not in refused.text


@pytest.mark.parametrize("path", ["tokens/new", "profile", "tokens/revoke"])
def test_a_token_manages_no_account(live_hub: ThreadHub, path: str) -> None:
    user = live_hub.user("tina")
    headers = {"authorization": f"Bearer {user.token}"}
    form = {"name": "more", "role": "write", "id": "0" * 24}
    url = f"{live_hub.url}/settings/{path}"
    assert httpx2.post(url, data=form, headers=headers).status_code == 403


def test_a_new_password_ends_the_other_sessions(live_hub: ThreadHub) -> None:
    user = live_hub.user("paul", password=PASSWORD)
    here = httpx2.Client(base_url=live_hub.url, headers=OWN)
    there = httpx2.Client(base_url=live_hub.url, headers=OWN)
    with here, there:
        sign_in(here, user)
        sign_in(there, user)
        wrong = {"old": "wrong", "new": "n3w", "again": "n3w"}
        refused = here.post("/settings/account", data=wrong)
        assert (refused.status_code, 'id="e-old"' in refused.text) == (422, True)
        assert "n3w" not in refused.text
        differ = {"old": PASSWORD, "new": "n3w", "again": "n4w"}
        assert here.post("/settings/account", data=differ).status_code == 422
        right = {"old": PASSWORD, "new": "n3w", "again": "n3w"}
        assert here.post("/settings/account", data=right).status_code == 303
        assert here.get("/settings/account").status_code == 200
        assert there.get("/settings/account").status_code == 401
        assert sign_in(there, user) == 422
        assert sign_in(there, user, "n3w") == 303


def test_sessions_are_listed_and_ended(live_hub: ThreadHub) -> None:
    user = live_hub.user("rita", password=PASSWORD)
    here = httpx2.Client(base_url=live_hub.url, headers=OWN | {"user-agent": f"Here {EVIL}"})
    there = httpx2.Client(base_url=live_hub.url, headers=OWN | {"user-agent": "There"})
    with here, there:
        sign_in(here, user)
        sign_in(there, user)
        shown = here.get("/settings/authentication").text
        assert "There" in shown
        assert "<script" not in shown
        ids = re.findall(r'name="id" value="([0-9a-f]{24})"', shown)
        assert len(ids) == 2
        assert here.post("/settings/authentication", data={"others": "1"}).status_code == 303
        assert there.get("/settings").status_code == 401
        own = next(i for i in ids if i in here.get("/settings/authentication").text)
        here.post("/settings/authentication", data={"id": own})
        assert here.get("/settings").status_code == 401


def test_a_profile_is_text(browser: httpx2.Client, anna: Person) -> None:
    form = {"fullname": f"Anna {EVIL}", "details": f"Hello {EVIL}"}
    assert browser.post("/settings/profile", data=form).status_code == 303
    shown = browser.get(f"/{anna.name}").text
    assert "Hello &#34;&gt;&lt;script&gt;" in shown
    assert "<script" not in shown
    too_long = browser.post("/settings/profile", data={"details": "x" * 100_000})
    assert too_long.status_code == 422


def test_the_theme_stays_in_this_browser(live_hub: ThreadHub) -> None:
    with httpx2.Client(base_url=live_hub.url, headers=OWN) as client:
        client.post("/settings/appearance", data={"theme": "dark"})
        assert 'data-theme="dark"' in client.get("/models").text
        client.post("/settings/appearance", data={"theme": ""})
        assert "data-theme" not in client.get("/models").text


@pytest.mark.parametrize(
    ("path", "prefix"), [("/new", ""), ("/new-dataset", "datasets/"), ("/new-space", "spaces/")]
)
def test_a_repository_is_made_by_a_form(
    browser: httpx2.Client, anna: Person, path: str, prefix: str
) -> None:
    more = {"sdk": "static"} if path == "/new-space" else {}
    name = f"made-{secrets.token_hex(3)}"
    form = {"owner": anna.name, "name": name, "license": "mit", "visibility": "private", **more}
    made = browser.post(path, data=form)
    assert made.status_code == 303
    assert made.headers["location"] == f"/{prefix}{anna.name}/{name}"
    assert browser.get(made.headers["location"]).status_code == 200
    assert httpx2.get(f"{anna.hub.url}{made.headers['location']}").status_code == 401
    again = browser.post(path, data=form)
    assert again.status_code == 409
    assert 'id="e-name"' in again.text
    assert f'value="{name}"' in again.text  # what was typed stays


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"name": EVIL}, 422, "name"),
        ({"name": ""}, 422, "name"),
        ({"name": "a/b"}, 422, "name"),
        ({"license": EVIL}, 422, "license"),
        ({"owner": "no-such-owner"}, 403, "owner"),
        ({"owner": EVIL}, 403, "owner"),
    ],
)
def test_a_form_of_a_repository_shows_what_is_wrong(
    browser: httpx2.Client, anna: Person, change: dict[str, str], status: int, field: str
) -> None:
    form = {"owner": anna.name, "name": "fine", "license": "", "visibility": "public"} | change
    refused = browser.post("/new", data=form)
    assert (refused.status_code, f'id="e-{field}"' in refused.text) == (status, True)
    assert "<script" not in refused.text


def test_an_organization_is_made_by_a_form(browser: httpx2.Client, anna: Person) -> None:
    name = f"org-{secrets.token_hex(3)}"
    form = {"name": name, "fullname": "The Org"}
    made = browser.post("/organizations/new", data=form)
    assert (made.status_code, made.headers["location"]) == (303, f"/{name}")
    assert anna.name in browser.get(f"/{name}").text
    assert browser.post("/organizations/new", data=form).status_code == 409
    for bad in ("", "a b", "settings", EVIL, "a_b"):
        refused = browser.post("/organizations/new", data={"name": bad})
        assert (refused.status_code, 'id="e-name"' in refused.text) == (422, True)


def test_a_hub_may_reserve_organizations_for_its_administrators(live_hub: ThreadHub) -> None:
    user = live_hub.user("lars")
    actor = Actor(pk=user.pk, name=user.name, may_write=True)
    with pytest.raises(Forbidden):
        live_hub.write(create_org, actor, "reserved-org", only_admins=True)


def test_a_repository_is_renamed_hidden_and_deleted_by_forms(
    browser: httpx2.Client, anna: Person
) -> None:
    first, second = (f"{anna.name}/set-{secrets.token_hex(3)}" for _ in range(2))
    anna.hub.api(anna.token).create_repo(first)
    assert "/settings/delete" in browser.get(f"/{first}/settings").text
    for bad in (EVIL, f"{anna.name}/..", ""):
        refused = browser.post(f"/{first}/settings/rename", data={"to": bad})
        assert refused.status_code in (403, 422)
        assert "<script" not in refused.text
    moved = browser.post(f"/{first}/settings/rename", data={"to": second})
    assert (moved.status_code, moved.headers["location"]) == (303, f"/{second}/settings")
    hidden = browser.post(f"/{second}/settings/visibility", data={"visibility": "private"})
    assert hidden.status_code == 303
    assert httpx2.get(f"{anna.hub.url}/{second}").status_code == 401
    refused = browser.post(f"/{second}/settings/delete", data={"confirm": first})
    assert (refused.status_code, 'id="e-confirm"' in refused.text) == (422, True)
    deleted = browser.post(f"/{second}/settings/delete", data={"confirm": second})
    assert (deleted.status_code, deleted.headers["location"]) == (303, f"/{anna.name}")
    assert browser.get(f"/{second}").status_code == 404
