"""Repositories are created, deleted, moved, changed and copied by today's client."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, hf_hub_download
from huggingface_hub.errors import (
    BadRequestError,
    HfHubHTTPError,
    RepositoryNotFoundError,
)
from tests.support.hub import ThreadHub
from tests.support.person import Person
from tests.wire.hub_api.test_api_rights import address

from hubstead.app import routes
from hubstead.repos import Right

KINDS = ("model", "dataset", "space", "kernel")
PREFIX = {"model": "", "dataset": "datasets/", "space": "spaces/", "kernel": "kernels/"}


@pytest.fixture
def anna(live_hub: ThreadHub) -> Person:
    return live_hub.user("anna")


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_repository_has_one_commit_with_its_attributes(anna: Person, kind: str) -> None:
    if kind == "kernel":
        body = {"name": "bert", "type": "kernel"}
        assert anna.call("POST", "/api/repos/create", body).status == 200
    else:
        url = anna.api.create_repo(
            anna.path("bert"), repo_type=kind, space_sdk="gradio" if kind == "space" else None
        )
        assert url == f"{anna.hub.url}/{PREFIX[kind]}{anna.path('bert')}"
        assert (url.repo_id, url.repo_type) == (anna.path("bert"), kind)
    response = anna.call("GET", f"/api/{kind}s/{anna.path('bert')}/commits/main")
    assert [commit["title"] for commit in response.json] == ["initial commit"]
    files = [file["rfilename"] for file in _info(anna, kind)["siblings"]]
    assert files == [".gitattributes", *(["README.md"] if kind == "space" else [])]
    attributes = anna.call("GET", f"/{PREFIX[kind]}{anna.path('bert')}/resolve/main/.gitattributes")
    assert b"*.safetensors filter=lfs" in attributes.body


def _info(anna: Person, kind: str = "model") -> dict[str, Any]:
    response = anna.call("GET", f"/api/{kind}s/{anna.path('bert')}")
    assert response.status == 200, response.body
    info: dict[str, Any] = response.json
    return info


def test_a_new_repository_is_public_by_default(anna: Person) -> None:
    cases: list[tuple[str, dict[str, Any], bool]] = [
        ("a", {}, False),
        ("b", {"private": None}, False),
        ("c", {"private": True}, True),
        ("d", {"visibility": "private"}, True),
        ("e", {"visibility": "public"}, False),
    ]
    for name, body, private in cases:
        response = anna.call("POST", "/api/repos/create", {"name": name, **body})
        assert response.status == 200
        assert anna.api.model_info(anna.path(name)).private is private


@pytest.mark.parametrize("named", [{"organization": "ORG"}, {"organization": None}])
def test_a_repository_is_named_in_parts_or_as_a_whole(anna: Person, named: dict[str, Any]) -> None:
    org = anna.hub.org(anna)
    if named["organization"]:
        body: dict[str, Any] = {"name": "bert", "organization": org}
    else:
        body = {"name": f"{org}/bert", "organization": None}
    response = anna.call("POST", "/api/repos/create", body)
    assert response.json["name"] == f"{org}/bert"
    assert response.json["url"] == f"{anna.hub.url}/{org}/bert"
    assert len(response.json["id"]) == 24


def test_a_taken_name_is_an_error_with_its_address_in_any_case(anna: Person) -> None:
    anna.repo("Bert")
    response = anna.call("POST", "/api/repos/create", {"name": "bERT"})
    assert (response.status, response.code) == (409, None)
    assert response.json["error"].startswith("You already created this model repo")
    assert response.json["url"].lower() == f"{anna.hub.url}/{anna.path('bert')}".lower()
    assert anna.api.create_repo(anna.path("Bert"), exist_ok=True).repo_id == anna.path("Bert")
    with pytest.raises(HfHubHTTPError, match="already created this model repo"):
        anna.api.create_repo(anna.path("Bert"))
    anna.api.create_repo(anna.path("Bert"), repo_type="dataset")  # another kind is another name


def test_a_namespace_of_others_is_refused_unless_the_repository_exists(
    live_hub: ThreadHub, anna: Person
) -> None:
    bo = live_hub.user("bo")
    with pytest.raises(HfHubHTTPError, match="403"):
        bo.api.create_repo(anna.path("bert"))
    anna.repo()
    assert bo.api.repo_exists(anna.path("bert"))  # the client's next request with exist_ok
    with pytest.raises(HfHubHTTPError, match="401"):
        live_hub.api().create_repo(anna.path("other"))


def test_files_and_a_license_can_come_with_the_first_commit(anna: Person) -> None:
    body = {
        "name": "bert",
        "license": "mit",
        "files": [{"path": "a/b.txt", "content": "eA==", "encoding": "base64"}],
    }
    assert anna.call("POST", "/api/repos/create", body).status == 200
    info = anna.api.model_info(anna.path("bert"))
    assert info.siblings is not None
    assert info.card_data is not None
    assert info.tags is not None
    assert [file.rfilename for file in info.siblings] == [".gitattributes", "README.md", "a/b.txt"]
    assert info.card_data.license == "mit"
    assert "license:mit" in info.tags
    assert len(anna.api.list_repo_commits(anna.path("bert"))) == 1


def test_a_new_repository_at_a_deleted_name_inherits_nothing(anna: Person) -> None:
    repo = anna.repo()
    data = anna.name.encode() * 1000
    commit = anna.api.create_commit(
        repo,
        [CommitOperationAdd("model.bin", data), CommitOperationAdd("a.txt", b"A")],
        commit_message="first",
    )
    anna.api.create_tag(repo, tag="v1")
    oid = hashlib.sha256(data).hexdigest()
    batch = {"operation": "upload", "objects": [{"oid": oid, "size": len(data)}]}
    target = f"/{repo}.git/info/lfs/objects/batch"
    assert "actions" not in anna.call("POST", target, batch).json["objects"][0]

    anna.api.delete_repo(repo)
    with pytest.raises(RepositoryNotFoundError):
        anna.api.model_info(repo)
    anna.repo()
    assert anna.call("GET", f"/api/models/{repo}/revision/{commit.oid}").code == "RevisionNotFound"
    assert anna.call("GET", f"/{repo}/resolve/{commit.oid}/a.txt").code == "RevisionNotFound"
    assert anna.api.list_repo_refs(repo).tags == []
    assert anna.api.list_repo_files(repo) == [".gitattributes"]
    assert "upload" in anna.call("POST", target, batch).json["objects"][0]["actions"]
    response = anna.commit(repo, {"key": "lfsFile", "value": {"path": "m", "oid": oid}})
    assert response.status == 400
    assert "has not been uploaded" in response.message


def test_a_deletion_of_a_missing_repository_is_an_error_in_the_words_of_clients(
    anna: Person,
) -> None:
    response = anna.call("DELETE", "/api/repos/delete", {"name": "none", "type": "dataset"})
    assert (response.status, response.code) == (404, "RepoNotFound")
    assert f"No dataset repo found matching {anna.path('none')}" in response.json["error"]
    anna.api.delete_repo(anna.path("none"), missing_ok=True)
    anna.repo("mine")
    assert anna.call("DELETE", "/api/repos/delete", {"name": "mine", "type": None}).status == 200


# -- moves --------------------------------------------------------------------------------------

MOVABLE = {
    route.name: route
    for route in routes()
    if isinstance(route.access, Right)
    and "{spaces}" not in route.pattern
    and "{buckets}" not in route.pattern
}


@pytest.fixture(scope="module")
def moved(live_hub: ThreadHub) -> tuple[Person, Person, str, str]:
    """A private repository that was moved from a user into an organization."""
    anna, bo = live_hub.user("anna"), live_hub.user("bo")
    org = live_hub.org(anna)
    old = anna.repo("old", private=True)
    anna.commit(old, {"key": "file", "value": {"path": "a.txt", "content": "A"}})
    anna.api.move_repo(old, f"{org}/new")
    return anna, bo, old, f"{org}/new"


@pytest.mark.parametrize("name", MOVABLE)
def test_an_old_name_redirects_on_every_route_for_readers_only(
    moved: tuple[Person, Person, str, str], name: str
) -> None:
    anna, bo, old, new = moved
    route = MOVABLE[name]
    query = "&a=%2F&b" if "?" in address(route, old) else "?a=%2F&b"
    response = anna.call(route.method, address(route, old) + query, b"{}")
    assert (response.status, response.code) == (307, None)
    assert response.headers["location"] == address(route, new) + query
    if route.method != "HEAD":
        assert response.body.startswith(b"Temporary Redirect. Redirecting to /")
    response = bo.call(route.method, address(route, old), b"{}")
    assert (response.status, response.code) == (404, "RepoNotFound")


def test_a_client_follows_an_old_name_with_method_and_body(
    moved: tuple[Person, Person, str, str], tmp_path: Path
) -> None:
    anna, _, old, new = moved
    assert anna.api.model_info(old).id == new
    commit = anna.api.upload_file(path_or_fileobj=b"B", path_in_repo="b.txt", repo_id=old)
    assert new in str(commit)
    assert "b.txt" in anna.api.list_repo_files(new)
    path = hf_hub_download(
        old, "a.txt", endpoint=anna.hub.url, token=anna.token, cache_dir=tmp_path
    )
    assert Path(path).read_bytes() == b"A"
    anna.api.create_branch(old, branch="dev")
    assert [branch.name for branch in anna.api.list_repo_refs(new).branches] == ["dev", "main"]


def test_an_old_name_can_be_used_again(anna: Person) -> None:
    anna.repo("one")
    anna.api.move_repo(anna.path("one"), anna.path("two"))
    anna.repo("one")
    assert anna.api.model_info(anna.path("one")).id == anna.path("one")
    assert anna.api.model_info(anna.path("two")).id == anna.path("two")


def test_a_move_onto_a_taken_name_or_to_another_user_is_refused(
    live_hub: ThreadHub, anna: Person
) -> None:
    bo = live_hub.user("bo")
    anna.repo("one")
    anna.repo("two")
    with pytest.raises(HfHubHTTPError, match=r"A model repository called .* already exists"):
        anna.api.move_repo(anna.path("one"), anna.path("two"))
    with pytest.raises(HfHubHTTPError, match="403"):
        anna.api.move_repo(anna.path("one"), bo.path("one"))
    with pytest.raises(BadRequestError, match="Invalid name"):
        anna.api.move_repo(anna.path("one"), anna.path("a--b"))
    anna.api.move_repo(anna.path("one"), anna.path("ONE"))  # only the case differs
    assert anna.api.model_info(anna.path("one")).id == anna.path("ONE")


def test_names_match_in_any_case_and_are_returned_as_stored(anna: Person) -> None:
    anna.repo("Bert-Base")
    assert anna.api.model_info(anna.path("bert-base").upper()).id == anna.path("Bert-Base")


# -- settings and copies ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        "/api/models/{}/settings",
        "/api/{}/settings",
        "/api/repos/model/{}/settings",
        "/api/repos/models/{}/settings",
    ],
)
def test_settings_are_changed_and_returned_in_every_form_of_their_address(
    anna: Person, form: str
) -> None:
    repo = anna.repo()
    response = anna.call("PUT", form.format(repo), {"private": True})
    assert response.status == 200
    assert response.json["private"] is True
    assert anna.api.model_info(repo).private is True
    assert anna.call("PUT", form.format(repo), {"visibility": "public"}).json["private"] is False


def test_settings_that_are_not_sent_stay(anna: Person) -> None:
    repo = anna.repo()
    anna.api.update_repo_settings(repo, gated="manual")
    anna.api.update_repo_settings(repo, visibility="private")
    info = anna.api.model_info(repo)
    assert (info.private, info.gated) == (True, "manual")
    response = anna.call("PUT", f"/api/models/{repo}/settings", {"discussionsDisabled": True})
    assert response.json == {"discussionsDisabled": True}
    anna.api.update_repo_settings(repo, gated=False)
    assert anna.api.model_info(repo).gated is False


def test_a_gated_repository_shows_its_metadata_and_hides_its_content(
    live_hub: ThreadHub, anna: Person
) -> None:
    bo = live_hub.user("bo")
    repo = anna.repo()
    anna.api.update_repo_settings(repo, gated="auto")
    assert bo.api.model_info(repo).gated == "auto"
    assert bo.api.list_repo_files(repo) == [".gitattributes"]
    response = bo.call("GET", f"/{repo}/resolve/main/.gitattributes")
    assert (response.status, response.code) == (403, "GatedRepo")
    assert "you are not in the authorized list" in response.message
    response = live_hub.call("GET", f"/{repo}/resolve/main/.gitattributes")
    assert (response.status, response.code) == (401, "GatedRepo")


def test_a_copy_has_the_history_the_refs_and_the_large_files(
    live_hub: ThreadHub, anna: Person
) -> None:
    bo = live_hub.user("bo")
    repo = anna.repo()
    data = b"weights" * 1000
    anna.api.upload_file(path_or_fileobj=data, path_in_repo="model.bin", repo_id=repo)
    anna.api.create_tag(repo, tag="v1", tag_message="first")
    url = bo.api.duplicate_repo(repo, bo.path("copy"))
    assert url.repo_id == bo.path("copy")
    assert bo.call("GET", f"/{bo.path('copy')}/resolve/v1/model.bin").body == data
    before, after = anna.api.list_repo_commits(repo), bo.api.list_repo_commits(bo.path("copy"))
    assert [commit.commit_id for commit in before] == [commit.commit_id for commit in after]
    anna.api.delete_repo(repo)
    assert bo.call("GET", f"/{bo.path('copy')}/resolve/main/model.bin").body == data
    with pytest.raises(HfHubHTTPError, match="409"):
        bo.api.duplicate_repo(bo.path("copy"), bo.path("copy"))
    assert bo.api.duplicate_repo(bo.path("copy"), bo.path("copy"), exist_ok=True).repo_id
