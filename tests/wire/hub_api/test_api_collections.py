"""Collections over HTTP, by the client's own methods."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from huggingface_hub import Collection
from huggingface_hub.errors import BadRequestError, HfHubHTTPError
from tests.support.hub import ThreadHub
from tests.support.person import Person


def title(text: str = "Trees") -> str:
    """Return a title that no other test uses."""
    return f"{text} {uuid.uuid4().hex[:8]}"


def ids(collection: Collection) -> list[str]:
    assert [item.position for item in collection.items] == list(range(len(collection.items)))
    return [item.item_id for item in collection.items]


def refused(status: int, function: Any, *arguments: Any, **named: Any) -> None:
    with pytest.raises(HfHubHTTPError) as refusal:
        function(*arguments, **named)
    assert refusal.value.response.status_code == status


def test_a_collection_is_created_once_changed_and_deleted(live_hub: ThreadHub) -> None:
    anna, bert = live_hub.user("anna"), live_hub.user("bert")
    name = title("My cool, stuff!")
    first = anna.api.create_collection(name, description="Oaks", private=False)
    words = f"{anna.name}/my-cool-stuff-{name[-8:]}-"
    assert first.slug.startswith(words)
    assert (first.title, first.description, first.items) == (name, "Oaks", [])
    assert first.url == f"{live_hub.url}/collections/{first.slug}"
    refused(409, anna.api.create_collection, name)
    again = anna.api.create_collection(name.upper(), description="Elms", exists_ok=True)
    assert (again.slug, again.description) == (first.slug, "Oaks")
    second = anna.api.update_collection_metadata(
        first.slug, title=title("Elms"), description="", private=True, theme="pink"
    )
    assert (second.theme, second.private, second.description) == ("pink", True, None)
    assert second.slug != first.slug
    assert second.slug[-24:] == first.slug[-24:]
    assert anna.api.get_collection(first.slug).slug == second.slug
    refused(404, bert.api.get_collection, second.slug)
    refused(404, bert.api.delete_collection, second.slug)
    other = anna.api.create_collection(name)
    refused(409, anna.api.update_collection_metadata, other.slug, title=second.title.lower())
    anna.api.update_collection_metadata(other.slug, title=name.lower())
    refused(403, bert.api.update_collection_metadata, other.slug, theme="blue")
    anna.api.delete_collection(second.slug)
    refused(404, anna.api.delete_collection, second.slug)
    anna.api.delete_collection(second.slug, missing_ok=True)


def test_items_of_every_kind_have_notes_and_an_order(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    kinds = ("model", "dataset", "space", "kernel")
    repos = {kind: anna.repo(kind, kind) for kind in kinds}
    nested = anna.api.create_collection(title("Nested")).slug
    slug = anna.api.create_collection(title()).slug
    anna.api.add_collection_item(slug, repos["model"], "model", note="a <b>note</b>")
    targets = [*[(repos[kind], kind) for kind in kinds[1:]], (nested, "collection")]
    for item_id, kind in [*targets, ("2311.12983", "paper")]:
        full = anna.api.add_collection_item(slug, item_id, kind)  # type: ignore[arg-type]
    assert ids(full) == [*repos.values(), nested, "2311.12983"]
    assert [item.item_type for item in full.items] == [*kinds, "collection", "paper"]
    assert [item.note for item in full.items] == ["a <b>note</b>", *[None] * 5]
    (note,) = (
        item["note"]
        for item in anna.call("GET", f"/api/collections/{slug}").json["items"]
        if "note" in item
    )
    assert note["html"] == "a &lt;b&gt;note&lt;/b&gt;"
    refused(409, anna.api.add_collection_item, slug, repos["model"], "model")
    assert ids(anna.api.add_collection_item(slug, repos["model"], "model", exists_ok=True))
    for missing, kind in ((repos["model"], "dataset"), ("a/b", "bucket"), ("x", "paper")):
        refused(404, anna.api.add_collection_item, slug, missing, kind)
    refused(400, anna.api.add_collection_item, slug, "x", "tree")
    refused(400, anna.api.add_collection_item, slug, slug, "collection")
    model = full.items[0].item_object_id
    anna.api.update_collection_item(slug, model, note="New", position=1)
    moved = anna.api.get_collection(slug)
    assert ids(moved)[:2] == [repos["dataset"], repos["model"]]
    assert moved.items[1].note == "New"
    anna.api.update_collection_item(slug, model, position=99)
    assert ids(anna.api.get_collection(slug))[-1] == repos["model"]
    anna.api.delete_collection_item(slug, model)
    refused(404, anna.api.delete_collection_item, slug, model)
    anna.api.delete_collection_item(slug, model, missing_ok=True)
    anna.api.delete_repo(repos["dataset"], repo_type="dataset")
    anna.api.move_repo(repos["space"], anna.path("moved"), repo_type="space")
    left = [anna.path("moved"), repos["kernel"], nested, "2311.12983"]
    assert ids(anna.api.get_collection(slug)) == left


def test_items_of_a_batch_change_together_or_not_at_all(embedded_hub: ThreadHub) -> None:
    anna = embedded_hub.user("anna")
    slug = anna.api.create_collection(title()).slug
    for name in ("a", "b"):
        full = anna.api.add_collection_item(slug, anna.repo(name), "model")
    first, second = (item.item_object_id for item in full.items)
    lines: list[dict[str, Any]] = [
        {"action": "update", "_id": second, "data": {"note": "up", "position": 0}},
        {"action": "update", "_id": "0" * 24, "data": {"note": "absent"}},
    ]
    target = f"/api/collections/{slug}/items/batch"
    assert anna.call("POST", target, lines).status == 404
    assert ids(anna.api.get_collection(slug)) == [anna.path("a"), anna.path("b")]
    lines[1] = {"action": "update", "_id": first, "data": {"note": "down"}}
    assert anna.call("POST", target, lines).status == 200
    changed = anna.api.get_collection(slug)
    assert [item.note for item in changed.items] == ["up", "down"]
    assert anna.call("POST", target, lines * 51).status == 400


def test_a_caller_sees_the_items_whose_target_they_may_see(live_hub: ThreadHub) -> None:
    anna, bert, stranger = (live_hub.user(name) for name in ("anna", "bert", "carl"))
    org = live_hub.org(anna, {"write": bert})
    hidden = anna.repo("hidden", private=True)
    secret = anna.api.create_collection(title("Secret"), private=True).slug
    shown = [bert.repo("one"), bert.repo("two")]
    slug = anna.api.create_collection(title(), namespace=org).slug
    for item_id, kind in ((hidden, "model"), (shown[0], "model"), (secret, "collection")):
        anna.api.add_collection_item(slug, item_id, kind)  # type: ignore[arg-type]
    anna.api.add_collection_item(slug, shown[1], "model")
    assert ids(anna.api.get_collection(slug)) == [hidden, shown[0], secret, shown[1]]
    for person in (bert, stranger):
        assert ids(person.api.get_collection(slug)) == shown
    (listed,) = stranger.api.list_collections(item=f"models/{shown[0]}")
    assert (listed.slug, ids(listed)) == (slug, shown)
    assert list(stranger.api.list_collections(item=f"models/{hidden}")) == []
    assert [row.slug for row in anna.api.list_collections(item=f"models/{hidden}")] == [slug]
    refused(404, bert.api.add_collection_item, slug, hidden, "model")
    refused(404, bert.api.add_collection_item, slug, secret, "collection")
    items = {item.item_id: item.item_object_id for item in anna.api.get_collection(slug).items}
    refused(404, bert.api.delete_collection_item, slug, items[hidden])
    refused(404, bert.api.update_collection_item, slug, items[secret], note="x")
    bert.api.update_collection_item(slug, items[shown[1]], position=0)
    assert ids(bert.api.get_collection(slug)) == shown[::-1]
    assert ids(anna.api.get_collection(slug)) == [hidden, shown[1], shown[0], secret]


def standing_of(person: Person, slug: str) -> tuple[int, int]:
    target = f"/api/collections/{slug}"
    seen = person.call("GET", target).status
    return seen, person.call("PATCH", target, {"theme": "blue"}).status


def test_rights_to_a_collection_follow_from_its_owner(live_hub: ThreadHub) -> None:
    roles = ("read", "contributor", "write", "admin")
    owner, stranger = live_hub.user("owner"), live_hub.user("stranger")
    people = {role: live_hub.user(role) for role in roles}
    org = live_hub.org(owner, people)
    private = owner.api.create_collection(title(), namespace=org, private=True).slug
    public = owner.api.create_collection(title(), namespace=org).slug
    own = people["contributor"].api.create_collection(title(), namespace=org).slug
    allowed = {"read": 403, "contributor": 403, "write": 200, "admin": 200}
    for role, person in people.items():
        assert standing_of(person, private) == (200, allowed[role]), role
        assert standing_of(person, public) == (200, allowed[role]), role
    assert standing_of(stranger, private) == (404, 404)
    assert standing_of(stranger, public) == (200, 403)
    assert standing_of(owner.with_token("read"), private) == (200, 403)
    assert standing_of(people["contributor"], own) == (200, 200)
    for person in (people["read"], stranger):
        refused(403, person.api.create_collection, title(), namespace=org)
    anonymous = [
        live_hub.call(method, f"/api/collections/{slug}", body, token="").status
        for slug, method, body in (
            (private, "GET", None),
            (public, "GET", None),
            (public, "PATCH", {"theme": "blue"}),
            (private, "DELETE", None),
        )
    ]
    assert anonymous == [404, 200, 401, 401]


def test_lists_filter_sort_truncate_and_go_on_page_by_page(live_hub: ThreadHub) -> None:
    anna, bert = live_hub.user("anna"), live_hub.user("bert")
    word = uuid.uuid4().hex[:8]
    slugs = [anna.api.create_collection(f"{word.upper()} {n}").slug for n in range(3)]
    hidden = anna.api.create_collection(f"{word} hidden", private=True).slug
    repos = [anna.repo(f"r{n}") for n in range(5)]
    for repo in repos:
        anna.api.add_collection_item(slugs[0], repo, "model")
    for person in (anna, bert, bert):
        upvoted = person.call("POST", f"/api/collections/{slugs[1]}/upvote")
    assert upvoted.json == {"upvotes": 2}
    bert.call("POST", f"/api/collections/{slugs[2]}/upvote")
    listed = list(bert.api.list_collections(owner=anna.name))
    assert [row.slug for row in listed] == [slugs[0], slugs[2], slugs[1]]
    assert [len(row.items) for row in listed] == [4, 0, 0]
    assert hidden in [row.slug for row in anna.api.list_collections(owner=anna.name)]
    by_upvotes = [row.slug for row in bert.api.list_collections(owner=anna.name, sort="upvotes")]
    assert by_upvotes == [slugs[1], slugs[2], slugs[0]]
    for sort in ("lastModified", "upvotes", "trending"):
        target, walked = f"/api/collections?q={word}&limit=2&sort={sort}", []
        while target:
            response = bert.call("GET", target)
            walked += [row["slug"] for row in response.json]
            assert not [row for row in response.json if "position" in row]
            target = response.headers.get("link", "").partition(">")[0][1 + len(live_hub.url) :]
        assert sorted(walked) == sorted(slugs), sort
    full = bert.call("GET", f"/api/collections/{slugs[1]}").json
    assert (full["isUpvotedByUser"], full["upvotes"]) == (True, 2)
    assert anna.api.get_user_overview(anna.name).num_upvotes == 3
    assert bert.call("DELETE", f"/api/collections/{slugs[1]}/upvote").json == {"upvotes": 1}
    quick = bert.call("GET", f"/api/quicksearch?q={word}&type=collection").json
    assert quick["collectionsCount"] == 3
    assert list(bert.api.list_collections(owner="nobody-of-this-name")) == []


def test_collections_of_an_owner_have_places(embedded_hub: ThreadHub) -> None:
    anna, bert = embedded_hub.user("anna"), embedded_hub.user("bert")
    first, second, third = (anna.api.create_collection(title()).slug for _ in range(3))
    anna.api.update_collection_metadata(second, private=True)
    places = [anna.api.get_collection(slug).position for slug in (first, second, third)]
    assert places == [0, 1, 2]
    assert bert.api.get_collection(third).position == 1
    assert anna.api.update_collection_metadata(third, position=0).position == 0
    assert anna.api.get_collection(first).position == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "", {"title": ""}),
        ("POST", "", {"title": "a" * 61}),
        ("POST", "", {"title": "a\0"}),
        ("POST", "", {"title": "ok", "description": "a" * 151}),
        ("PATCH", "/SLUG", {"theme": "mauve"}),
        ("PATCH", "/SLUG", {"position": -1}),
        ("POST", "/SLUG/items", {"item": {"type": "paper", "id": "2311.12983"}, "note": "a" * 501}),
        ("POST", "/SLUG/items", {}),
        ("GET", "?sort=none", None),
        ("GET", "?item=gpt2", None),
        ("GET", "?cursor=x", None),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(
    embedded_hub: ThreadHub, method: str, path: str, body: dict[str, Any] | None
) -> None:
    anna = embedded_hub.user("anna")
    slug = anna.api.create_collection(title()).slug
    before = anna.call("GET", f"/api/collections/{slug}").json
    response = anna.call(method, f"/api/collections{path.replace('SLUG', slug)}", body)
    assert (response.status, bool(response.message)) == (400, True)
    assert anna.call("GET", f"/api/collections/{slug}").json == before
    assert len(list(anna.api.list_collections(owner=anna.name))) == 1


def test_what_the_hub_cannot_do_is_said_and_a_missing_item_leaves_no_collection(
    embedded_hub: ThreadHub,
) -> None:
    anna = embedded_hub.user("anna")
    slug = anna.api.create_collection(title()).slug
    refused(501, anna.api.create_collection, title(), resource_group_id="0" * 24)
    assert anna.call("PATCH", f"/api/collections/{slug}", {"gating": True}).status == 501
    body = {"title": title(), "item": {"type": "model", "id": "nobody/none"}}
    assert anna.call("POST", "/api/collections", body).status == 404
    assert len(list(anna.api.list_collections(owner=anna.name))) == 1
    body["item"] = {"type": "model", "id": anna.repo()}
    assert len(anna.call("POST", "/api/collections", body).json["items"]) == 1
    for missing in ("x/y", f"{anna.name}/{'0' * 24}", f"{anna.name}/a-{'0' * 23}"):
        assert anna.call("GET", f"/api/collections/{missing}").status == 404
    with pytest.raises(BadRequestError):
        anna.api.update_collection_metadata(slug, theme="mauve")


def test_the_limits_of_the_settings_hold(own_hub: Any) -> None:
    hub: ThreadHub = own_hub(max_collections=1, max_collection_items=1)
    anna = hub.user("anna")
    slug = anna.api.create_collection("One").slug
    refused(403, anna.api.create_collection, "Two")
    anna.api.add_collection_item(slug, anna.repo("a"), "model")
    refused(403, anna.api.add_collection_item, slug, anna.repo("b"), "model")
    refused(409, anna.api.add_collection_item, slug, anna.path("a"), "model")
