"""The wrapper against a live hub."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

import hubstead.client
from hubstead.client import HubApi, NotASession, RepoObj
from tests.clients.hub import ANNA, ORG, PASSWORD, PopulatedHub


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any token, and uploads without Xet."""
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def api(hub: PopulatedHub) -> HubApi:
    """Anna, signed in by password."""
    signed_in = HubApi(hub.url)
    signed_in.login(ANNA, PASSWORD)
    return signed_in


def test_login_authenticates_every_later_call(hub: PopulatedHub) -> None:
    api = HubApi(hub.url)
    token = api.login(ANNA, PASSWORD)
    assert api.whoami()["name"] == ANNA
    assert HubApi(hub.url, token=token).whoami()["name"] == ANNA


def test_a_user_name_is_case_insensitive(hub: PopulatedHub) -> None:
    api = HubApi(hub.url)
    api.login("ANNA", PASSWORD)
    assert api.whoami()["name"] == ANNA


def test_login_writes_nothing_to_the_machine(api: HubApi, machine: Path) -> None:
    assert api.whoami()["name"] == ANNA
    assert not (machine / "token").exists()


@pytest.mark.parametrize("name", ["bo", "nobody"])
def test_a_wrong_password_is_refused_and_changes_nothing(hub: PopulatedHub, name: str) -> None:
    api = HubApi(hub.url, token=hub.tokens[ANNA])
    with pytest.raises(HfHubHTTPError, match="Invalid username or password") as refused:
        api.login(name, "wrong")
    assert refused.value.response.status_code == 401
    assert api.whoami()["name"] == ANNA


def test_no_password_goes_to_the_public_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("nothing may be sent")

    monkeypatch.setattr("hubstead.client.api.get_session", never)
    for endpoint in ("https://huggingface.co", "https://huggingface.co/"):
        with pytest.raises(ValueError, match="Say which hub"):
            HubApi(endpoint).login(ANNA, PASSWORD)


def test_the_address_is_hf_endpoint_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://hub.example.org")
    assert HubApi().endpoint == "http://hub.example.org"
    assert HubApi("http://other.example.org").endpoint == "http://other.example.org"


def test_logout_ends_the_session_and_signs_out(hub: PopulatedHub, api: HubApi) -> None:
    token = api.token
    assert isinstance(token, str)
    api.logout()
    with pytest.raises(ValueError, match="requires authentication"):
        api.whoami()
    with pytest.raises(HfHubHTTPError) as ended:
        HubApi(hub.url, token=token).whoami()
    assert ended.value.response.status_code == 401


def test_after_logout_no_token_of_the_machine_is_used(
    hub: PopulatedHub, api: HubApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.tokens["bo"])
    api.logout()
    api.create_repo(f"{ANNA}/private", private=True, token=hub.tokens[ANNA], exist_ok=True)
    with pytest.raises(RepositoryNotFoundError):
        api.model_info(f"{ANNA}/private")


def test_logout_with_an_access_token_is_refused_and_revokes_nothing(hub: PopulatedHub) -> None:
    api = HubApi(hub.url, token=hub.tokens[ANNA])
    with pytest.raises(NotASession, match="no session to end"):
        api.logout()
    assert api.whoami()["name"] == ANNA


def test_logout_without_a_session_is_refused(hub: PopulatedHub) -> None:
    with pytest.raises(HfHubHTTPError) as refused:
        HubApi(hub.url, token=False).logout()
    assert refused.value.response.status_code == 401


def test_list_repos_objs_lists_every_stored_file(api: HubApi) -> None:
    api.create_repo(f"{ANNA}/listed")
    weights = b"w" * 1000
    api.upload_file(path_or_fileobj=weights, path_in_repo="w.bin", repo_id=f"{ANNA}/listed")
    listed = {obj.filename: obj for obj in api.list_repos_objs()}
    file = listed["listed/w.bin"]
    assert isinstance(file, RepoObj)
    assert file.size == len(weights)
    assert file.commit == api.model_info(f"{ANNA}/listed").sha
    assert file.lastModified.endswith("Z")
    assert "listed/.gitattributes" in listed


def test_list_repos_objs_lists_an_organization(api: HubApi) -> None:
    api.create_repo(f"{ORG}/words", repo_type="dataset")
    names = {obj.filename for obj in api.list_repos_objs(ORG)}
    assert "words/.gitattributes" in names
    assert not any(
        name.startswith("words/") for name in (o.filename for o in api.list_repos_objs())
    )


def test_list_repos_objs_hides_private_repositories(hub: PopulatedHub, api: HubApi) -> None:
    api.create_repo(f"{ANNA}/own-only", private=True)
    stranger = HubApi(hub.url, token=hub.tokens["bo"])
    names = {obj.filename.partition("/")[0] for obj in stranger.list_repos_objs(ANNA)}
    assert "own-only" not in names
    assert "own-only" in {obj.filename.partition("/")[0] for obj in api.list_repos_objs()}


def test_list_repos_objs_of_an_unknown_namespace_is_an_error(
    hub: PopulatedHub, api: HubApi
) -> None:
    with pytest.raises(HfHubHTTPError) as missing:
        api.list_repos_objs("no-such-namespace")
    assert missing.value.response.status_code == 404


@pytest.mark.parametrize("kind", [None, "model", "dataset", "space"])
def test_visibility_can_be_changed_both_ways(
    hub: PopulatedHub, api: HubApi, kind: str | None
) -> None:
    name = f"{ANNA}/seen-{kind}"
    api.create_repo(name, repo_type=kind, space_sdk="static" if kind == "space" else None)
    stranger = HubApi(hub.url, token=hub.tokens["bo"])
    assert api.update_repo_visibility(name, private=True, repo_type=kind) == {"private": True}
    with pytest.raises(RepositoryNotFoundError):
        stranger.repo_info(name, repo_type=kind)
    assert api.update_repo_visibility(name, False, kind) == {"private": False}
    assert stranger.repo_info(name, repo_type=kind).private is False


def test_visibility_changes_only_by_its_writers(hub: PopulatedHub, api: HubApi) -> None:
    api.create_repo(f"{ANNA}/guarded")
    with pytest.raises(HfHubHTTPError) as refused:
        HubApi(hub.url, token=hub.tokens["bo"]).update_repo_visibility(f"{ANNA}/guarded", True)
    assert refused.value.response.status_code == 403
    with pytest.raises(RepositoryNotFoundError):
        api.update_repo_visibility(f"{ANNA}/not-there", True)
    with pytest.raises(ValueError, match="repo_type"):
        api.update_repo_visibility(f"{ANNA}/guarded", True, "bucket")


def test_methods_of_hf_api_work_in_a_session(api: HubApi) -> None:
    name = f"{ANNA}/whole"
    assert api.create_repo(name).repo_id == name
    commit = api.upload_file(path_or_fileobj=b"# Hi\n", path_in_repo="README.md", repo_id=name)
    info = api.model_info(name)
    assert info.sha == commit.oid
    assert [file.rfilename for file in info.siblings or []] == [".gitattributes", "README.md"]
    assert name in {model.id for model in api.list_models(author=ANNA)}
    api.delete_repo(name)
    with pytest.raises(RepositoryNotFoundError):
        api.model_info(name)


def test_the_wrapper_imports_nothing_of_the_server() -> None:
    folder = Path(hubstead.client.__file__).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            named = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            names = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [named]
            )
            for name in names:
                assert not name.startswith("hubstead") or name.startswith("hubstead.client")
