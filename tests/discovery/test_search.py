"""Lists show the repositories that the caller may see, all of them, once and in order."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubstead.accounts import ANONYMOUS, Actor
from hubstead.db import Database, Tx
from hubstead.discovery import SORTS, RepoQuery, ResultItem, count_by_owner, search_repos
from hubstead.discovery.query import decode_cursor
from hubstead.discovery.search import COLLECT_LIMITS, CollectLimits
from hubstead.errors import InvalidInput, RepoNotFound
from hubstead.ids import Kind
from hubstead.repos import Repo, RepoMetadata, move_repo, open_repo, set_metadata
from tests.support.factories import a_repo, a_user, an_org


async def tag(db: Database, repo: Repo, *tags: str) -> None:
    async def change(tx: Tx) -> None:
        await set_metadata(tx, repo.pk, repo.kind, None, RepoMetadata(tags=tags, card='{"a":1}'))

    await db.write(change)


async def names(db: Database, actor: Actor = ANONYMOUS, **criteria: Any) -> list[str]:
    page = await search_repos(
        db, actor, RepoQuery(kind=criteria.pop("kind", Kind.MODEL), **criteria)
    )
    return [item.repo.full_name for item in page.items]


async def every_page(
    db: Database, actor: Actor, limits: CollectLimits = COLLECT_LIMITS, **criteria: Any
) -> list[ResultItem]:
    items: list[ResultItem] = []
    cursor = None
    for _ in range(100):
        query = RepoQuery(kind=Kind.MODEL, cursor=cursor, **criteria)
        page = await search_repos(db, actor, query, limits=limits)
        items += page.items
        if (cursor := page.next_cursor) is None:
            return items
        assert len(page.items) == criteria["limit"]
    raise AssertionError("the list does not end")


async def a_little_hub(db: Database) -> dict[str, Actor]:
    """Add two organizations, users of every role, and public and private repositories."""
    people = {
        name: await a_user(db, f"{name}-1" if name == "admin" else name)
        for name in ("anna", "read", "contributor", "write", "admin", "stranger")
    }
    roles = {role: people[role] for role in ("read", "contributor", "write", "admin")}
    await an_org(db, "acme", people["anna"], roles)
    await an_org(db, "Other", people["stranger"])
    for owner, maker in (("acme", "contributor"), ("acme", "anna"), ("Other", "stranger"),
                         ("anna", "anna")):  # fmt: skip
        for private in (False, True):
            name = f"{owner}/{maker}-{'private' if private else 'public'}"
            await a_repo(db, people[maker], name, private=private)
    return people | {"nobody": ANONYMOUS}


async def test_a_list_shows_exactly_the_repositories_that_open_repo_admits(db: Database) -> None:
    people = await a_little_hub(db)
    every = await every_page(db, people["stranger"], limit=100)
    every += await every_page(db, people["anna"], limit=100)
    assert len({item.repo.pk for item in every}) == 8
    for actor in people.values():
        admitted = set()
        for item in every:
            try:
                admitted.add(await open_repo(db, actor, item.repo.repo_id))
            except RepoNotFound:
                continue
        listed = await search_repos(db, actor, RepoQuery(kind=Kind.MODEL))
        assert {item.repo for item in listed.items} == admitted


async def test_an_account_counts_the_repositories_visible_to_the_caller(db: Database) -> None:
    people = await a_little_hub(db)
    acme = (
        (await search_repos(db, ANONYMOUS, RepoQuery(kind=Kind.MODEL, author="acme")))
        .items[0]
        .repo.owner_pk
    )
    counts = {
        name: (await count_by_owner(db, actor, acme))[Kind.MODEL] for name, actor in people.items()
    }
    assert counts == {
        "anna": 4, "read": 4, "contributor": 4, "write": 4, "admin": 4, "stranger": 2, "nobody": 2
    }  # fmt: skip
    assert (await count_by_owner(db, ANONYMOUS, acme))[Kind.SPACE] == 0


async def test_a_result_satisfies_all_filters(db: Database) -> None:
    anna = await a_user(db)
    one, two, three = [await a_repo(db, anna, f"anna/{name}") for name in ("one", "two", "three")]
    await tag(db, one, "en", "license:mit", "transformers", "fill-mask")
    await tag(db, two, "en", "license:apache-2.0", "transformers")
    await tag(db, three, "fr", "license:mit")
    assert await names(db, filters=("en",), sort="id", direction=1) == ["anna/one", "anna/two"]
    assert await names(db, filters=("en", "license:mit")) == ["anna/one"]
    assert await names(db, filters=("language:en",), library="transformers",
                       pipeline_tag="fill-mask") == ["anna/one"]  # fmt: skip
    assert await names(db, filters=("licenses:mit", "en", "fr")) == []
    assert await names(db, filters=("en", "nobody-has-this")) == []
    assert await names(db, filters=("en",), kind=Kind.DATASET) == []
    assert await names(db, filters=("en\0",)) == []
    assert await names(db, filters=("\ud800",)) == []


async def test_words_match_anywhere_in_the_full_name_ignoring_case(db: Database) -> None:
    anna, bob = await a_user(db, "anna"), await a_user(db, "Bob")
    await a_repo(db, anna, "anna/Bert-Base")
    await a_repo(db, anna, "anna/bert_tiny")
    await a_repo(db, bob, "Bob/roberta")
    order: dict[str, Any] = {"sort": "id", "direction": 1}
    assert await names(db, search=("BERT",), **order) == [
        "anna/Bert-Base", "anna/bert_tiny", "Bob/roberta"
    ]  # fmt: skip
    assert await names(db, search=("anna/",), **order) == ["anna/Bert-Base", "anna/bert_tiny"]
    assert await names(db, search=("base bert", "anna"), **order) == ["anna/Bert-Base"]
    assert await names(db, search=("t_t",), **order) == ["anna/bert_tiny"]
    assert await names(db, search=("%",), **order) == []
    assert await names(db, search=("bert",), author="BOB") == ["Bob/roberta"]
    assert await names(db, author="bo") == []
    assert await names(db, ids=("ANNA/bert_tiny", "nobody/nothing")) == ["anna/bert_tiny"]
    assert await names(db, ids=("anna/bert_tiny",), search=("rob",)) == []


async def test_a_past_name_does_not_match(db: Database) -> None:
    anna = await a_user(db)
    repo = await a_repo(db, anna, "anna/before")
    after = type(repo.repo_id).parse(Kind.MODEL, "anna/after")
    await move_repo(db, anna, repo.repo_id, after)
    assert await names(db, search=("before",)) == []
    assert await names(db, search=("after",)) == ["anna/after"]
    assert await names(db, sort="id") == ["anna/after"]


async def test_gated_repositories_can_be_selected(db: Database) -> None:
    anna = await a_user(db)
    await a_repo(db, anna, "anna/open")
    await a_repo(db, anna, "anna/gated", gated="auto")
    assert await names(db, gated=True) == ["anna/gated"]
    assert await names(db, gated=False) == ["anna/open"]


async def test_spaces_are_listed_by_their_links(db: Database) -> None:
    anna = await a_user(db)
    linked, plain = [
        await a_repo(db, anna, f"anna/{name}", kind=Kind.SPACE) for name in ("linked", "plain")
    ]
    await tag(db, linked, "model:anna/bert", "dataset:anna/squad")
    await tag(db, plain, "gradio")
    space: dict[str, Any] = {"kind": Kind.SPACE}
    assert await names(db, linked=True, **space) == ["anna/linked"]
    assert await names(db, models=("anna/bert",), datasets=("anna/squad",), **space) == [
        "anna/linked"
    ]
    assert await names(db, models=("anna/gpt",), **space) == []
    assert len(await names(db, **space)) == 2


async def test_cards_are_read_only_if_requested(db: Database) -> None:
    anna = await a_user(db)
    await tag(db, await a_repo(db, anna, downloads=7, likes=3), "en")
    for wanted in (True, False):
        query = RepoQuery(kind=Kind.MODEL, with_card=wanted, with_config=wanted)
        details = (await search_repos(db, ANONYMOUS, query)).items[0].details
        assert details.card == ('{"a":1}' if wanted else None)
        assert (details.tags, details.downloads, details.likes) == ('["en"]', 7, 3)


@pytest.mark.parametrize("sort", [*SORTS, "last_modified", "created_at"])
async def test_every_order_is_available_in_both_directions(db: Database, sort: str) -> None:
    anna = await a_user(db)
    for n in range(5):
        await a_repo(db, anna, f"anna/r{n}", downloads=n % 3, likes=n % 2, trending=n / 7,
                     used_bytes=n, modified_ms=n, created_ms=n // 2)  # fmt: skip
    down = [item.repo.pk for item in await every_page(db, anna, sort=sort, limit=2)]
    up = [item.repo.pk for item in await every_page(db, anna, sort=sort, limit=2, direction=1)]
    assert len(set(down)) == 5
    assert up == down[::-1]


async def test_invalid_queries_are_refused(db: Database) -> None:
    for wrong in (
        {"sort": "colour"}, {"direction": 0}, {"limit": 0}, {"limit": 10**9}, {"cursor": "x"},
        {"filters": tuple(map(str, range(50)))},
        {"search": ("a b c d e f g h i j k l m n o p q r s t u v",)},
    ):  # fmt: skip
        with pytest.raises(InvalidInput):
            await names(db, **wrong)


def test_a_forged_cursor_is_refused() -> None:
    def sealed(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    assert decode_cursor(sealed(["likes", 0, 5, 9]), "likes", False) == (5, 9)
    for wrong in (
        "", "é", "!!!!", sealed([]), sealed({}), "W" * 3, "Ww" * 5000,
        sealed(["likes", 0, 5]), sealed(["likes", 0, "5", 9]), sealed(["likes", 0, True, 9]),
        sealed(["likes", 0, 5, 2**70]), sealed(["likes", 0, 2**70, 1]), sealed(["likes", 1, 5, 9]),
        sealed(["downloads", 0, 5, 9]), sealed(["likes", 0, 5.0, 9]), sealed(["likes", 0, 5, None]),
    ):  # fmt: skip
        with pytest.raises(InvalidInput):
            decode_cursor(wrong, "likes", False)
    for wrong in (sealed(["id", 0, "a\0", 1]), sealed(["id", 0, "\ud800", 1])):
        with pytest.raises(InvalidInput):
            decode_cursor(wrong, "id", False)
    with pytest.raises(InvalidInput):
        decode_cursor(sealed(["trendingScore", 0, float("nan"), 1]), "trendingScore", False)


async def a_random_hub(db: Database, facts: list[tuple[int, bool, set[str]]]) -> list[Actor]:
    people = [await a_user(db, "anna"), await a_user(db, "bob")]
    for number, (likes, private, tags) in enumerate(facts):
        owner = people[number % 2]
        repo = await a_repo(
            db, owner, f"{owner.name}/r{number}", private=private, likes=likes, trending=likes / 3
        )
        await tag(db, repo, *tags)
    return people


# A hub is slower to create than to query, so one hub serves many examples.
@pytest.mark.parametrize(
    "limits", [COLLECT_LIMITS, CollectLimits(1, 1)], ids=["collected", "walked"]
)
def test_all_pages_together_are_the_whole_list(
    db: Database, run: Any, limits: CollectLimits
) -> None:
    facts = [(n * 7 % 5, n % 4 == 0, set("abc"[: n % 4])) for n in range(40)]
    people = run(a_random_hub(db, facts))
    actors = [*people, ANONYMOUS]

    @settings(
        max_examples=30,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(
        actor=st.sampled_from(actors),
        sort=st.sampled_from(["likes", "trendingScore", "id", "_id", "lastModified"]),
        direction=st.sampled_from([1, -1]),
        limit=st.integers(1, 15),
        filters=st.sets(st.sampled_from("abc")),
        author=st.sampled_from([None, "anna", "BOB"]),
        search=st.sampled_from([(), ("r1",), ("b/r", "2")]),
    )
    def pages_are_whole(actor: Actor, limit: int, **criteria: Any) -> None:
        criteria["filters"] = tuple(criteria["filters"])
        query = RepoQuery(kind=Kind.MODEL, **criteria)
        whole = run(search_repos(db, actor, query, limits=limits)).items
        assert run(every_page(db, actor, limits, limit=limit, **criteria)) == list(whole)
        assert {item.repo.full_name for item in whole} == expected(facts, actor, criteria)

    pages_are_whole()


def expected(
    facts: list[tuple[int, bool, set[str]]], actor: Actor, criteria: dict[str, Any]
) -> set[str]:
    matching = set()
    for number, (_, private, tags) in enumerate(facts):
        owner = ("anna", "bob")[number % 2]
        name = f"{owner}/r{number}"
        if (
            (not private or actor.name == owner)
            and set(criteria["filters"]) <= tags
            and (criteria["author"] or owner).casefold() == owner
            and all(word in name for word in criteria["search"])
        ):
            matching.add(name)
    return matching
