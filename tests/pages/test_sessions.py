"""Signing in and out in a browser, and what a session may do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import httpx2
import pytest

from hubstead.accounts import (
    SessionLimits,
    authenticate_browser_session,
    end_browser_sessions,
    expire_browser_sessions,
    list_browser_sessions,
    open_browser_session,
    set_password,
)
from hubstead.pages.forms import local_path
from tests.support.hub import ThreadHub
from tests.support.person import Person

PASSWORD = "correct horse battery"
OWN = {"sec-fetch-site": "same-origin", "accept": "text/html"}
FOREIGN = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": "https://evil.example"},
    {"origin": "null"},  # a sandboxed frame
    {"sec-fetch-site": "cross-site", "origin": "null"},
    {},  # neither header
]


@pytest.fixture(scope="module")
def anna(live_hub: ThreadHub) -> Person:
    return live_hub.user("anna", password=PASSWORD)


@pytest.fixture
def browser(live_hub: ThreadHub) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=live_hub.url, headers=OWN) as client:
        yield client


def sign_in(
    client: httpx2.Client, person: Person, password: str = PASSWORD, **fields: str
) -> httpx2.Response:
    form = {"name": person.name, "password": password, **fields}
    return client.post("/login", data=form)


def whoami(client: httpx2.Client, **headers: str) -> str | None:
    response = client.get("/api/whoami-v2", headers=headers)
    return str(response.json()["name"]) if response.status_code == 200 else None


def test_a_sign_in_leads_to_the_page_that_was_asked_for(
    browser: httpx2.Client, anna: Person
) -> None:
    shown = browser.get("/login?next=/models%3Fsort%3Dlikes")
    assert 'name="next" value="/models?sort=likes"' in shown.text
    response = sign_in(browser, anna, next="/models?sort=likes")
    assert response.status_code == 303
    assert response.headers["location"] == "/models?sort=likes"
    assert response.headers["cache-control"] == "no-store"
    assert whoami(browser) == anna.name
    assert anna.name in browser.get("/").text
    assert browser.get("/login").status_code == 303


def test_the_cookie_is_for_this_host_and_no_script(browser: httpx2.Client, anna: Person) -> None:
    cookie = sign_in(browser, anna).headers["set-cookie"]
    assert re.fullmatch(r"session=[\w-]{43}; Path=/; HttpOnly; SameSite=Lax", cookie)
    kept = sign_in(browser, anna, stay="1").headers["set-cookie"]
    assert "Max-Age=7776000" in kept


def test_a_sign_in_makes_a_new_id_whatever_the_browser_sent(
    browser: httpx2.Client, anna: Person
) -> None:
    sent = {"cookie": f"session={'a' * 43}"}
    form = {"name": anna.name, "password": PASSWORD}
    new = [browser.post("/login", data=form, headers=sent).headers["set-cookie"] for _ in range(2)]
    assert new[0] != new[1]
    assert not any(sent["cookie"] in cookie for cookie in new)


def test_unknown_name_and_wrong_password_look_the_same(
    browser: httpx2.Client, live_hub: ThreadHub
) -> None:
    bert = live_hub.user("bert", password=PASSWORD)
    nobody = Person(live_hub, bert.name[::-1], 0, "")
    answers = [sign_in(browser, bert, "wrong"), sign_in(browser, nobody, "wrong")]
    assert [answer.status_code for answer in answers] == [422, 422]
    shown = [
        answer.text.replace(person.name, "NAME")
        for answer, person in zip(answers, (bert, nobody), strict=True)
    ]
    assert shown[0] == shown[1]
    assert "NAME" in shown[0]  # what was typed stays
    assert "wrong" not in shown[0]
    assert "set-cookie" not in answers[0].headers


def test_attempts_are_counted_as_for_clients(browser: httpx2.Client, live_hub: ThreadHub) -> None:
    carla = live_hub.user("carla", password=PASSWORD)
    most = live_hub.settings.accounts.sign_in_attempts
    statuses = [sign_in(browser, carla, "wrong").status_code for _ in range(most + 1)]
    assert statuses == [422] * most + [429]
    assert sign_in(browser, carla).status_code == 429
    basic = httpx2.get(f"{live_hub.url}/api/whoami-v2", auth=(carla.name, PASSWORD))
    assert basic.status_code == 429


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_foreign_page_cannot_act_in_a_session(
    browser: httpx2.Client, anna: Person, headers: dict[str, str]
) -> None:
    sign_in(browser, anna)
    del browser.headers["sec-fetch-site"]
    body = {"name": "stolen", "organization": None}
    assert browser.post("/api/repos/create", json=body, headers=headers).status_code == 403
    assert browser.post("/logout", headers=headers).status_code == 403
    assert whoami(browser) == anna.name


@pytest.mark.parametrize("headers", FOREIGN[:5])
def test_a_foreign_page_cannot_sign_its_visitor_in(
    live_hub: ThreadHub, anna: Person, headers: dict[str, str]
) -> None:
    form = {"name": anna.name, "password": PASSWORD}
    if headers == {"sec-fetch-site": "same-site"}:
        headers = headers | {"origin": "https://evil.example"}  # as browsers send it with a form
    response = httpx2.post(f"{live_hub.url}/login", data=form, headers=headers)
    assert response.status_code == 403
    assert "set-cookie" not in response.headers


def test_pages_of_the_hub_may_use_its_api_in_a_session(
    browser: httpx2.Client, anna: Person, live_hub: ThreadHub
) -> None:
    sign_in(browser, anna)
    assert browser.post("/api/repos/create", json={"name": "by-page"}).status_code == 200
    del browser.headers["sec-fetch-site"]
    own = {"origin": live_hub.url}  # a browser without Sec-Fetch-Site
    body = {"name": "by-old-page", "private": True}
    assert browser.post("/api/repos/create", json=body, headers=own).status_code == 200
    assert browser.get(f"/{anna.name}/by-old-page").status_code == 200
    assert httpx2.get(f"{live_hub.url}/{anna.name}/by-old-page").status_code == 401


def test_git_and_lfs_never_take_a_cookie(browser: httpx2.Client, anna: Person) -> None:
    sign_in(browser, anna)
    browser.post("/api/repos/create", json={"name": "cloned", "private": True})
    git = browser.get(f"/{anna.name}/cloned.git/info/refs?service=git-upload-pack")
    assert git.status_code == 401
    lfs = browser.post(
        f"/{anna.name}/cloned.git/info/lfs/objects/batch",
        json={"operation": "download", "objects": []},
        headers={"accept": "application/vnd.git-lfs+json"},
    )
    assert lfs.status_code == 401


def test_a_token_beside_a_cookie_wins(
    browser: httpx2.Client, anna: Person, live_hub: ThreadHub
) -> None:
    other = live_hub.user("dora")
    sign_in(browser, anna)
    assert whoami(browser, authorization=f"Bearer {other.token}") == other.name
    assert whoami(browser, authorization="Bearer hf_wrong") is None


def test_a_sign_out_ends_the_session_everywhere(
    browser: httpx2.Client, anna: Person, live_hub: ThreadHub
) -> None:
    sign_in(browser, anna)
    copied = dict(browser.cookies)
    response = browser.post("/logout")
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert "Max-Age=0" in response.headers["set-cookie"]
    with httpx2.Client(base_url=live_hub.url, cookies=copied) as thief:
        assert whoami(thief) is None
    assert browser.post("/logout").status_code == 303  # once more changes nothing


def test_a_session_that_is_over_counts_as_none(browser: httpx2.Client) -> None:
    browser.cookies.set("session", "x" * 43)
    assert browser.get("/").status_code == 200
    assert whoami(browser) is None
    assert browser.get("/", headers={"cookie": 'session=";;=,'}).status_code == 200


def test_sessions_end_by_disuse_and_by_age(live_hub: ThreadHub) -> None:
    user = live_hub.user("emil")
    limits = SessionLimits(idle_s=1000, absolute_s=5000)
    secret = live_hub.write(open_browser_session, user.pk, address="::1", agent="", limits=limits)

    def name(idle_s: float, absolute_s: float) -> str:
        rules = SessionLimits(idle_s=idle_s, absolute_s=absolute_s)
        return live_hub.run(authenticate_browser_session(live_hub.db, secret, rules)).name

    assert name(1000, 5000) == user.name
    assert name(-1, 5000) == ""
    assert name(1000, -1) == ""
    live_hub.run(expire_browser_sessions(live_hub.db, limits))
    assert name(1000, 5000) == user.name


def test_a_further_session_ends_the_oldest(live_hub: ThreadHub) -> None:
    user = live_hub.user("fred")
    limits = SessionLimits(most=2)
    secrets = [
        live_hub.write(open_browser_session, user.pk, address="", agent=f"{n}\0", limits=limits)
        for n in range(3)
    ]
    actors = [
        live_hub.run(authenticate_browser_session(live_hub.db, secret, limits))
        for secret in secrets
    ]
    assert [actor.signed_in for actor in actors] == [False, True, True]
    shown = live_hub.run(list_browser_sessions(live_hub.db, user.pk))
    assert {session.agent for session in shown} == {"1", "2"}
    live_hub.write(end_browser_sessions, user.pk, but=actors[2].session_pk)
    assert [s.agent for s in live_hub.run(list_browser_sessions(live_hub.db, user.pk))] == ["2"]


def test_a_new_password_ends_the_sessions(browser: httpx2.Client, live_hub: ThreadHub) -> None:
    user = live_hub.user("gert", password=PASSWORD)
    sign_in(browser, user)
    assert whoami(browser) == user.name
    hashed = live_hub.run(live_hub.hub.passwords.hash("another"))
    live_hub.write(set_password, user.name, hashed)
    assert whoami(browser) is None


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/models?p=1#x", "/models?p=1#x"),
        ("", "/"),
        ("models", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/\t/evil.example", "/"),
        ("/a\r\nset-cookie: x", "/"),
        ("/ü", "/"),
    ],
)
def test_a_sign_in_never_leads_elsewhere(text: str, path: str) -> None:
    assert local_path(text) == path


def test_a_page_for_readers_asks_strangers_to_sign_in_and_returns(
    browser: httpx2.Client, anna: Person
) -> None:
    shown = browser.get(f"/{anna.name}/hidden/tree/main?after=a")
    assert shown.status_code == 401
    assert 'action="/login"' in shown.text
    assert f'name="next" value="/{anna.name}/hidden/tree/main?after=a"' in shown.text


def test_the_form_takes_forms_only(browser: httpx2.Client) -> None:
    assert browser.post("/login", json={"name": "a", "password": "b"}).status_code == 400
    assert browser.post("/login", data={"name": ""}).status_code == 422


def test_the_first_page_of_an_empty_hub_shows_how_to_upload(
    own_hub: Callable[..., ThreadHub],
) -> None:
    hub = own_hub()
    anna = hub.user("anna", password=PASSWORD)
    with httpx2.Client(base_url=hub.url, headers=OWN) as browser:
        sign_in(browser, anna)
        shown = browser.get("/")
    assert shown.status_code == 200
    assert f"hf upload {anna.name}/NAME FOLDER" in shown.text
