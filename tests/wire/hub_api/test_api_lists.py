"""Lists, users, and the addresses of 2021."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from huggingface_hub.errors import HfHubHTTPError
from tests.support.hub import ThreadHub
from tests.support.person import Person


@pytest.fixture
def anna(live_hub: ThreadHub) -> Person:
    return live_hub.user("anna")


@dataclass(frozen=True)
class FiveModels:
    """Five models of one user: public but for ``hidden``."""

    owner: Person
    word: str  # in no other repository's name

    def names(self, query: str = "", *, token: str = "") -> list[str]:
        response = self.owner.hub.call(
            "GET", f"/api/models?search={self.word}&{query}", token=token
        )
        assert response.status == 200, response.body
        return [item["id"].rpartition("-")[2] for item in response.json]


@pytest.fixture(scope="module")
def models(live_hub: ThreadHub) -> FiveModels:
    anna = live_hub.user("anna")
    word = f"w{secrets.token_hex(4)}"
    cards = {
        "one": "license: mit\npipeline_tag: text-generation\nlanguage: de\nlibrary_name: timm\n",
        "two": "license: mit\ndatasets: [squad]\ntags: [x-y]\n",
        "three": "license: apache-2.0\npipeline_tag: fill-mask\n",
        "gated": "license: mit\n",
        "hidden": "license: mit\n",
    }
    for name, card in cards.items():
        repo = anna.repo(f"{word}-{name}", private=name == "hidden")
        readme = {"path": "README.md", "content": f"---\n{card}---\n"}
        config = {"path": "config.json", "content": '{"model_type": "bert"}'}
        lines = [{"key": "file", "value": readme}, {"key": "file", "value": config}]
        if name == "three":
            lines += ({"key": "file", "value": {"path": "t-Q8_0.gguf", "content": "GGUF"}},)
        assert anna.commit(repo, *lines).status == 200
    anna.api.update_repo_settings(anna.path(f"{word}-gated"), gated="auto")
    return FiveModels(anna, word)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", {"one", "two", "three", "gated"}),
        ("filter=license:mit", {"one", "two", "gated"}),
        ("filter=license:mit&filter=x-y", {"two"}),
        ("filter=license%3Amit,x-y", {"two"}),
        ("filter=text-generation", {"one"}),
        ("pipeline_tag=fill-mask", {"three"}),
        ("library=timm", {"one"}),
        ("language=de", {"one"}),
        ("dataset=squad", {"two"}),
        ("tags=x-y", {"two"}),
        ("apps=ollama", {"three"}),
        ("apps=vllm&apps=llama.cpp", set()),
        ("apps=Ollama&pipeline_tag=fill-mask", {"three"}),
        ("gated=true", {"gated"}),
        ("gated=False", {"one", "two", "three"}),
        ("search=ONE", {"one"}),
        ("search=nothing-of-the-kind", set()),
        ("author=nobody-has-this-name", set()),
    ],
)
def test_a_result_satisfies_all_filters(models: FiveModels, query: str, names: set[str]) -> None:
    assert set(models.names(query)) == names


def test_an_unknown_application_is_refused_with_the_known_ones(models: FiveModels) -> None:
    refused = models.owner.call("GET", "/api/models?apps=nonesuch")
    assert refused.status == 400
    assert "ollama" in refused.json["error"]
    assert models.owner.call("GET", "/api/datasets?apps=nonesuch").status == 200


def test_private_repositories_are_listed_for_their_readers(models: FiveModels) -> None:
    assert "hidden" in models.names(token=models.owner.token)
    stranger = models.owner.hub.user("stranger")
    assert "hidden" not in models.names(token=stranger.token)
    upper = models.owner.name.upper()
    assert len(models.names(f"author={upper}", token=models.owner.token)) == 5


@pytest.mark.parametrize("sort", ["lastModified", "createdAt", "last_modified", "id"])
def test_lists_are_sorted_in_both_directions(models: FiveModels, sort: str) -> None:
    down = models.names(f"sort={sort}&direction=-1")
    assert models.names(f"sort={sort}&direction=1") == down[::-1]
    assert models.names(f"sort={sort}") == down
    if sort == "createdAt":
        assert down == ["gated", "three", "two", "one"]


def test_pages_link_to_the_next_with_the_same_query(models: FiveModels) -> None:
    names: list[str] = []
    target = f"/api/models?search={models.word}&limit=3&sort=createdAt&full=true"
    while target:
        response = models.owner.hub.call("GET", target)
        names += [item["id"] for item in response.json]
        assert all("siblings" in item for item in response.json)
        link = response.headers.get("link", "").partition(">")[0][1:]
        assert not link or link.startswith(models.owner.hub.url)
        parts = urlsplit(link)
        target = f"{parts.path}?{parts.query}" if link else ""
    assert len(names) == len(set(names)) == 4
    api = models.owner.hub.api()
    assert len(list(api.list_models(search=models.word, limit=3))) == 3


def test_an_item_has_the_fields_that_clients_read(models: FiveModels) -> None:
    call, word = models.owner.hub.call, models.word
    (item,) = call("GET", f"/api/models?search={word}-one").json
    needed = "_id id modelId likes downloads private tags createdAt pipeline_tag library_name"
    assert item.keys() >= set(needed.split())
    assert "siblings" not in item
    (full,) = call("GET", f"/api/models?search={word}-one&full=True&config=True&cardData=True").json
    assert full["config"]["model_type"] == "bert"
    assert full["cardData"]["license"] == "mit"
    assert {"rfilename": "README.md"} in full["siblings"]
    (expanded,) = call("GET", f"/api/models?search={word}-one&expand=sha&expand=likes").json
    assert expanded.keys() == {"_id", "id", "sha", "likes"}


def test_the_client_lists_every_kind(anna: Person) -> None:
    word = f"w{secrets.token_hex(4)}"
    for kind in ("model", "dataset", "space"):
        anna.repo(word, kind)
    api = anna.api
    assert [info.id for info in api.list_models(author=anna.name)] == [anna.path(word)]
    assert [info.id for info in api.list_datasets(search=word, full=True)] == [anna.path(word)]
    assert [info.id for info in api.list_spaces(search=word, full=True)] == [anna.path(word)]


def test_tags_are_listed_by_type(models: FiveModels) -> None:
    tags = models.owner.hub.call("GET", "/api/models-tags-by-type").json
    assert {"id": "license:mit", "label": "mit", "type": "license"}.items() <= next(
        tag for tag in tags["license"] if tag["id"] == "license:mit"
    ).items()
    assert isinstance(models.owner.hub.call("GET", "/api/datasets-tags-by-type").json, dict)


# -- whoami ------------------------------------------------------------------------------------


def test_whoami_has_the_shape_of_each_generation(live_hub: ThreadHub, anna: Person) -> None:
    org = live_hub.org(anna)
    assert anna.call("GET", "/api/whoami").json == {"user": anna.name, "orgs": [org]}
    identity = anna.call("GET", "/api/whoami-v2").json
    assert (identity["type"], identity["name"]) == ("user", anna.name)
    assert {"id", "fullname", "email", "isPro", "avatarUrl", "apiToken"} <= identity.keys()
    assert identity["orgs"][0]["name"] == org
    assert identity["orgs"][0]["roleInOrg"] == "admin"
    assert isinstance(identity["orgs"][0]["apiToken"], str)
    assert identity["auth"]["type"] == "access_token"
    assert identity["auth"]["accessToken"]["role"] == "write"
    assert anna.with_token("read").api.whoami()["auth"]["accessToken"]["role"] == "read"
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        live_hub.api("hf_nobody").whoami()


def test_a_login_creates_a_session_that_a_logout_ends(live_hub: ThreadHub) -> None:
    bo = live_hub.user("bo", password="correct horse")
    response = live_hub.call(
        "POST", "/api/login", {"username": bo.name, "password": "correct horse"}
    )
    token = response.json["token"]
    assert live_hub.call("GET", "/api/whoami-v2", token=token).json["name"] == bo.name
    assert live_hub.call("POST", "/api/logout", token=token).status == 200
    assert live_hub.call("GET", "/api/whoami-v2", token=token).status == 401
    wrong = live_hub.call("POST", "/api/login", {"username": bo.name, "password": "wrong"})
    assert (wrong.status, wrong.message) == (401, "Invalid username or password.")


def test_an_access_token_is_not_a_session(anna: Person) -> None:
    response = anna.call("POST", "/api/logout", b"")
    assert response.status == 400
    assert anna.api.whoami()["name"] == anna.name


def test_users_and_organizations_are_described(live_hub: ThreadHub, anna: Person) -> None:
    bo = live_hub.user("bo")
    org = live_hub.org(anna, {"read": bo})
    anna.repo("a")
    anna.repo("b", private=True)
    assert live_hub.api().get_user_overview(anna.name).num_models == 1
    assert anna.api.get_user_overview(anna.name.upper()).num_models == 2
    assert live_hub.api().get_organization_overview(org).num_users == 2
    members = [member.username for member in live_hub.api().list_organization_members(org)]
    assert sorted(members) == sorted([anna.name, bo.name])
    assert live_hub.call("GET", "/api/users/nobody-has-this/overview").status == 404
    own = anna.call("GET", "/api/settings/repositories").json
    assert {(row["id"], row["visibility"]) for row in own} == {
        (anna.path("a"), "public"),
        (anna.path("b"), "private"),
    }


# -- 2021 --------------------------------------------------------------------------------------

FORMS = [
    ("model", "/api/{}/"),
    ("model", "/api/models/{}/"),
    ("model", "/api/model/{}/"),
    ("dataset", "/api/datasets/{}/"),
    ("dataset", "/api/dataset/{}/"),
    ("space", "/api/spaces/{}/"),
    ("space", "/api/space/{}/"),
]


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_one_file_is_uploaded_and_deleted_by_every_form_of_the_address(
    anna: Person, kind: str, form: str
) -> None:
    repo = anna.repo("bert", kind)
    prefix = form.format(repo)
    web = f"{anna.hub.url}/{'' if kind == 'model' else kind + 's/'}{repo}"
    response = anna.call("POST", f"{prefix}upload/main/sub/a.txt", b"A")
    assert (response.status, response.json) == (200, {"url": f"{web}/blob/main/sub/a.txt"})
    again = anna.call("POST", f"{prefix}upload/main/sub/a.txt", b"A")
    assert (again.status, again.json["url"]) == (409, response.json["url"])
    assert anna.call("POST", f"{prefix}upload/main/sub/a.txt", b"B").status == 200
    read = anna.call("GET", f"{web.removeprefix(anna.hub.url)}/resolve/main/sub/a.txt")
    assert read.body == b"B"
    assert anna.call("DELETE", f"{prefix}delete/main/sub/a.txt").status == 200
    deletion = anna.call("DELETE", f"{prefix}delete/main/sub/a.txt")
    assert (deletion.status, deletion.code) == (404, "EntryNotFound")


def test_large_uploads_become_lfs_objects(anna: Person) -> None:
    repo = anna.repo()
    data = secrets.token_bytes(3_000_000)
    assert anna.call("POST", f"/api/{repo}/upload/main/model.bin", data).status == 200
    assert anna.call("GET", f"/{repo}/resolve/main/model.bin").body == data
    pointer = anna.call("GET", f"/{repo}/raw/main/model.bin").body.decode()
    assert hashlib.sha256(data).hexdigest() in pointer
    assert anna.call("POST", f"/api/{repo}/upload/main/model.bin", data).status == 409
    folder = anna.hub.settings.data / "incoming"
    assert list(folder.iterdir()) == []


def test_every_file_of_a_namespace_is_listed_as_in_2021(live_hub: ThreadHub, anna: Person) -> None:
    org = live_hub.org(anna)
    anna.call("POST", "/api/repos/create", {"name": "one", "organization": None})
    anna.call("POST", "/api/repos/create", {"name": "two", "organization": org})
    anna.call("POST", f"/api/{anna.path('one')}/upload/main/w.bin", b"w" * 5000)

    def rows(query: str = "") -> dict[str, Any]:
        response = anna.call("GET", f"/api/repos/ls{query}")
        return {row["filename"]: row for row in response.json}

    own = rows()
    assert own.keys() == {"one/.gitattributes", "one/w.bin"}
    assert own["one/w.bin"]["size"] == 5000
    assert own["one/w.bin"].keys() == {"filename", "lastModified", "commit", "size"}
    assert rows(f"?organization={org}").keys() == {"two/.gitattributes"}


def test_the_first_slash_may_be_doubled(anna: Person) -> None:
    repo = anna.repo()
    assert anna.call("GET", f"//api/models/{repo}").json["id"] == repo
    assert anna.call("GET", "//api/whoami-v2").json["name"] == anna.name
    assert anna.call("GET", f"//{repo}/resolve/main/.gitattributes").status == 200
