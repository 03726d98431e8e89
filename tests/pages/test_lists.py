"""The lists of repositories, the front page, and the pages of accounts."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd

from hubstead.pages import lists
from tests.support.hub import ThreadHub
from tests.support.person import Person

WORD = f"w{secrets.token_hex(4)}"
EVIL = '"><script>alert(1)</script>'


@pytest.fixture(scope="module")
def owner(live_hub: ThreadHub) -> Person:
    owner = live_hub.user("olga")
    api = live_hub.api(owner.token)
    for number in range(3):
        name = f"{owner.name}/{WORD}-{number}"
        api.create_repo(name, private=number == 2)
        card = f"---\nlicense: mit\ntags: [{WORD}]\npipeline_tag: text-generation\n---\n".encode()
        api.create_commit(name, [CommitOperationAdd("README.md", card)], commit_message="card")
    return owner


def get(hub: ThreadHub, path: str, token: str = "") -> httpx2.Response:
    headers = {"accept": "text/html"} | ({"authorization": f"Bearer {token}"} if token else {})
    return httpx2.get(hub.url + path, headers=headers)


def cards_of(text: str) -> list[str]:
    return re.findall(r'<a class="cut" href="/([^"]+)"', text)


def test_a_list_shows_what_the_caller_may_see(live_hub: ThreadHub, owner: Person) -> None:
    path = f"/models?search={WORD}&sort=created"
    public = [f"{owner.name}/{WORD}-{number}" for number in (1, 0)]
    assert cards_of(get(live_hub, path).text) == public
    assert len(cards_of(get(live_hub, path, owner.token).text)) == 3
    assert cards_of(get(live_hub, f"/datasets?search={WORD}").text) == []


@pytest.mark.parametrize(
    "query",
    ["license=mit", "pipeline_tag=text-generation", "filter=license:mit", "other={}"],
)
def test_filters_of_the_address_hold_and_can_be_dropped(
    live_hub: ThreadHub, owner: Person, query: str
) -> None:
    query = query.format(WORD)
    shown = get(live_hub, f"/models?search={WORD}&{query}").text
    assert len(cards_of(shown)) == 2
    assert f'href="/models?search={WORD}" aria-label="Remove filter' in shown
    assert cards_of(get(live_hub, f"/models?search={WORD}&{query}&filter=no-such-tag").text) == []


def test_facets_are_links_that_toggle(live_hub: ThreadHub, owner: Person) -> None:
    shown = get(live_hub, f"/models?license=mit&search={WORD}&language=de").text
    assert f'<a href="/models?search={WORD}&amp;language=de" aria-current="true">' in shown
    assert f'<a href="/models?search={WORD}&amp;license=mit" aria-current="true">' in shown


def test_pages_follow_each_other(
    live_hub: ThreadHub, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "PAGE", 1)
    path, seen = f"/models?search={WORD}&sort=created", []
    while path:
        text = get(live_hub, path).text
        seen += cards_of(text)
        following = re.search(r'href="([^"]+)" rel="next"', text)
        path = following[1].replace("&amp;", "&") if following else ""
    assert seen == [f"{owner.name}/{WORD}-{number}" for number in (1, 0)]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("cursor=x", 400),
        ("sort=nonsense", 400),
        ("filter=" + "&filter=".join("abcdefghijklmnopqrstuvwx"), 400),
        ("search=%00", 200),
        ("license=%ff", 200),
        ("all=nothing", 200),
    ],
)
def test_odd_addresses_of_lists_fail_as_pages(live_hub: ThreadHub, query: str, status: int) -> None:
    response = get(live_hub, f"/models?{query}")
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/html")


def test_what_was_typed_into_an_address_is_never_html(live_hub: ThreadHub) -> None:
    for name in ("search", "author", "license", "filter", "sort", "cursor", "all"):
        response = httpx2.get(
            f"{live_hub.url}/models", params={name: EVIL}, headers={"accept": "text/html"}
        )
        assert "<script" not in response.text, name
    assert (
        "<script" not in httpx2.get(f"{live_hub.url}/organizations", params={"search": EVIL}).text
    )


def test_the_front_page_of_a_user_shows_what_is_theirs(live_hub: ThreadHub, owner: Person) -> None:
    assert "export HF_ENDPOINT=" in get(live_hub, "/").text
    shown = get(live_hub, "/", owner.token).text
    assert f"/{owner.name}/{WORD}-2" in shown
    assert f"/{owner.name}/{WORD}-2" not in get(live_hub, "/", live_hub.user("gast").token).text


def test_an_organization_shows_its_members_and_roles_to_its_administrators(
    live_hub: ThreadHub, owner: Person
) -> None:
    member = live_hub.user("mia")
    org = live_hub.org(owner, {"read": member})
    assert f'href="/{org}"' in get(live_hub, "/organizations").text
    shown: Callable[[str], str] = lambda token: get(live_hub, f"/{org}", token).text  # noqa: E731
    assert f'href="/{member.name}"' in shown("")
    assert ">admin</span>" in shown(owner.token)
    assert ">admin</span>" not in shown(member.token)
    assert f'href="/{org}"' in get(live_hub, f"/{member.name}").text


def test_a_list_stays_light(live_hub: ThreadHub) -> None:
    response = get(live_hub, "/models")
    assert len(response.content) < 60_000
    assert int(response.headers["content-length"]) < 15_000
