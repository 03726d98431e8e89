"""Commits of clients: preupload, every form, concurrent writers."""

from __future__ import annotations

import base64
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    ModelCard,
)
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError
from tests.support.http import Response
from tests.support.hub import ThreadHub
from tests.support.person import Person


@pytest.fixture
def anna(live_hub: ThreadHub) -> Person:
    return live_hub.user("anna")


@pytest.fixture
def repo(anna: Person) -> str:
    return anna.repo()


def add(path: str, content: str = "x", **more: Any) -> dict[str, Any]:
    return {"key": "file", "value": {"path": path, "content": content, **more}}


def files(anna: Person, repo: str, rev: str = "main") -> dict[str, bytes]:
    names = anna.api.list_repo_files(repo, revision=rev)
    return {
        name: anna.call("GET", f"/{repo}/resolve/{quote(rev, safe='')}/{name}").body
        for name in names
        if name != ".gitattributes"
    }


def tip(anna: Person, repo: str, rev: str = "main") -> str:
    sha = anna.api.model_info(repo, revision=rev).sha
    assert sha is not None
    return sha


# -- before an upload --------------------------------------------------------------------------


def preupload(anna: Person, repo: str, *paths: str | dict[str, Any], **more: Any) -> dict[str, Any]:
    sent = [
        {"size": 10, "sample": "eA==", **({"path": path} if isinstance(path, str) else path)}
        for path in paths
    ]
    response = anna.call("POST", f"/api/models/{repo}/preupload/main", {"files": sent, **more})
    assert response.status == 200, response.body
    return {choice["path"]: choice for choice in response.json["files"]}


def modes(choices: dict[str, Any]) -> dict[str, str]:
    return {path: choice["uploadMode"] for path, choice in choices.items()}


def test_large_and_binary_files_and_those_of_gitattributes_use_lfs(anna: Person, repo: str) -> None:
    binary = base64.b64encode(b"\0\1\2").decode()
    cut = base64.b64encode(("ä" * 300).encode()[:511]).decode()
    answers = preupload(
        anna,
        repo,
        "a.txt",
        "model.safetensors",
        "deep/er/x.bin",
        {"path": "empty.bin", "size": 0},
        {"path": "big.txt", "size": anna.hub.settings.lfs.threshold_bytes},
        {"path": "small.dat", "size": 1000, "sample": binary},
        {"path": "middle.dat", "size": 70_000, "sample": binary},
        {"path": "umlauts.txt", "size": 70_000, "sample": cut},
    )
    assert modes(answers) == {
        "a.txt": "regular",
        "model.safetensors": "lfs",
        "deep/er/x.bin": "lfs",
        "empty.bin": "regular",
        "big.txt": "lfs",
        "small.dat": "regular",
        "middle.dat": "lfs",
        "umlauts.txt": "regular",
    }


def test_attributes_of_folders_and_of_the_commit_itself_decide(anna: Person, repo: str) -> None:
    response = anna.commit(
        repo,
        add("data/.gitattributes", "*.txt filter=lfs diff=lfs merge=lfs -text\n*.bin -filter\n"),
    )
    assert response.status == 200
    answers = preupload(anna, repo, "a.txt", "data/a.txt", "data/b.bin", "b.bin")
    assert modes(answers) == {
        "a.txt": "regular",
        "data/a.txt": "lfs",
        "data/b.bin": "regular",
        "b.bin": "lfs",
    }
    sent = preupload(anna, repo, "a.txt", "b.bin", gitAttributes="*.txt filter=lfs\n")
    assert modes(sent) == {"a.txt": "lfs", "b.bin": "regular"}


def test_ignored_files_are_listed_by_the_rules_of_the_repository_and_of_the_request(
    anna: Person, repo: str
) -> None:
    anna.commit(repo, add(".gitignore", "*.log\n!keep.log\n"), add("sub/.gitignore", "/x\n"))
    answers = preupload(anna, repo, "a.log", "keep.log", "sub/x", "x")
    assert {path for path, answer in answers.items() if answer["shouldIgnore"]} == {
        "a.log",
        "sub/x",
    }
    sent = preupload(anna, repo, "a.log", "x", gitIgnore="x\n")
    assert {path for path, answer in sent.items() if answer["shouldIgnore"]} == {"x"}


def test_existing_files_have_the_id_that_clients_compare(anna: Person, repo: str) -> None:
    data = b"weights" * 100
    anna.api.upload_file(path_or_fileobj=data, path_in_repo="m.bin", repo_id=repo)
    anna.commit(repo, add("a.txt", "A"))
    answers = preupload(anna, repo, "a.txt", "m.bin", "new.txt")
    assert answers["m.bin"]["oid"] == hashlib.sha256(data).hexdigest()
    assert answers["a.txt"]["oid"] == hashlib.sha1(b"blob 1\0A").hexdigest()
    assert "oid" not in answers["new.txt"]


# -- copies from another repository ------------------------------------------------------------


def copy_line(path: str, source: str | None, **more: Any) -> dict[str, Any]:
    value = {"path": path, "srcPath": path, **more}
    return {"key": "copyFile", "value": value | ({"srcRepo": {"name": source}} if source else {})}


def test_a_copy_takes_the_file_of_its_source_repository(
    live_hub: ThreadHub, anna: Person, repo: str
) -> None:
    bo, data = live_hub.user("bo"), b"weights" * 1000
    other = bo.repo("source", kind="dataset")
    first = bo.commit(other, add("f", "old"), add("d/x"), kind="datasets").json["commitOid"]
    bo.commit(other, add("f", "theirs"), kind="datasets")
    bo.api.upload_file(
        path_or_fileobj=data, path_in_repo="m.bin", repo_id=other, repo_type="dataset"
    )
    anna.commit(repo, add("f", "mine"), add("m.bin", "mine"))
    source = {"srcRepo": {"type": "dataset", "name": other}}
    response = anna.commit(
        repo,
        copy_line("f", None, **source),
        copy_line("m.bin", None, **source),
        copy_line("old", None, srcRevision=first, **source | {"srcPath": "f"}),
        copy_line("self", repo, srcPath="f"),
    )
    assert response.status == 200, response.body
    assert files(anna, repo) == {"f": b"theirs", "m.bin": data, "old": b"old", "self": b"mine"}
    for path in ("m.bin", "f"):
        item = anna.call("POST", f"/api/models/{repo}/paths-info/main", {"paths": [path]}).json[0]
        assert ("lfs" in item) == (path == "m.bin")
    bo.api.move_repo(other, bo.path("moved"), repo_type="dataset")
    response = anna.commit(repo, copy_line("again", None, **source | {"srcPath": "f"}))
    assert (response.status, files(anna, repo)["again"]) == (200, b"theirs")


def test_a_copy_from_an_unreadable_source_is_refused_and_copies_nothing(
    live_hub: ThreadHub, anna: Person, repo: str
) -> None:
    bo = live_hub.user("bo")
    hidden, seen = bo.repo("hidden", private=True), bo.repo("seen")
    for other in (hidden, seen):
        bo.commit(other, add("f", "secret"), add("d/f", "secret"))
    before = anna.commit(repo, add("f", "mine")).json["commitOid"]
    absent = anna.commit(repo, copy_line("f", bo.path("none")))
    response = anna.commit(repo, copy_line("f", hidden))
    assert (response.status, response.code) == (absent.status, absent.code) == (404, "RepoNotFound")
    assert response.message.replace("hidden", "none") == absent.message
    assert "to copy from" in response.message
    for line, status, code in (
        (copy_line("none", seen), 404, "EntryNotFound"),
        (copy_line("f", seen, srcRevision="none"), 404, "RevisionNotFound"),
        (copy_line("d", seen), 400, None),
        (copy_line("f", None, srcRepo="acme/bert"), 400, None),
        (copy_line("f", None, srcRepo={"name": seen, "type": "bucket"}), 400, None),
        (copy_line("f", None, sourceRepoId=seen), 400, None),
    ):
        response = anna.commit(repo, line)
        assert (response.status, response.code) == (status, code), (line, response.body)
    assert tip(anna, repo) == before
    own = anna.repo("mine", private=True)
    anna.commit(own, add("f", "own"))
    assert anna.commit(repo, copy_line("f", own)).status == 200
    assert files(anna, repo)["f"] == b"own"


def test_a_pointer_without_its_object_is_not_copied(
    live_hub: ThreadHub, anna: Person, repo: str
) -> None:
    """A user who may read the object elsewhere still gets no file that the source lacks."""
    data = b"large" * 1000
    name = hashlib.sha256(data).hexdigest()
    anna.api.upload_file(path_or_fileobj=data, path_in_repo="m.bin", repo_id=repo)
    other = anna.repo("other")
    anna.commit(other, {"key": "lfsFile", "value": {"path": "m.bin", "oid": name}})
    response = anna.call(
        "POST", f"/api/models/{repo}/lfs-files/batch", {"deletions": {"sha": [name]}}
    )
    assert response.status == 200
    assert anna.commit(anna.repo("third"), copy_line("m.bin", repo)).code == "EntryNotFound"


# -- every kind of line ------------------------------------------------------------------------


def test_every_kind_of_line_takes_effect_in_order(anna: Person, repo: str) -> None:
    data = b"weights" * 100
    anna.api.upload_file(path_or_fileobj=data, path_in_repo="m.bin", repo_id=repo)
    first = anna.commit(repo, add("a", "A"), add("d/b", "B"), add("d/e/c", "C"), add("old", "O"))
    response = anna.commit(
        repo,
        add("b64", base64.b64encode(b"\0\xff").decode(), encoding="base64"),
        add("text", "ä", encoding="utf-8"),
        {"key": "file", "value": {"path": "moved", "oldPath": "old"}},
        {"key": "copyFile", "value": {"path": "copy", "srcPath": "a"}},
        {
            "key": "copyFile",
            "value": {"path": "f", "srcPath": "d", "srcRevision": first.json["commitOid"]},
        },
        {
            "key": "lfsFile",
            "value": {
                "path": "n.bin",
                "algo": "sha256",
                "oid": hashlib.sha256(data).hexdigest(),
                "size": len(data),
                "oldPath": "m.bin",
            },
        },
        {"key": "deletedFile", "value": {"path": "a"}},
        {"key": "deletedFolder", "value": {"path": "d/"}},
        add("a", "again"),
    )
    assert response.status == 200, response.body
    assert files(anna, repo) == {
        "a": b"again",
        "b64": b"\0\xff",
        "copy": b"A",
        "f/b": b"B",
        "f/e/c": b"C",
        "moved": b"O",
        "n.bin": data,
        "text": "ä".encode(),
    }
    oid = response.json["commitOid"]
    assert response.json["commitUrl"] == f"{anna.hub.url}/{repo}/commit/{oid}"
    assert response.json["success"] is True
    assert tip(anna, repo) == oid


@pytest.mark.parametrize("key", ["deletedFile", "deletedFolder", "deletedEntry"])
def test_a_folder_is_deleted_by_every_kind_of_deletion(anna: Person, repo: str, key: str) -> None:
    anna.commit(repo, add("d/a"), add("d/e/b"), add("c"))
    assert anna.commit(repo, {"key": key, "value": {"path": "d"}}).status == 200
    assert list(files(anna, repo)) == ["c"]


def test_todays_client_adds_copies_and_deletes(anna: Person, repo: str) -> None:
    large = b"weights" * 10_000
    anna.api.create_commit(
        repo,
        [CommitOperationAdd("a.txt", b"A"), CommitOperationAdd("m.bin", large)],
        commit_message="title",
        commit_description="more\n\nlines",
    )
    anna.api.create_commit(
        repo,
        [
            CommitOperationCopy("m.bin", "copies/m.bin"),
            CommitOperationCopy("a.txt", "copies/a.txt"),
            CommitOperationDelete("a.txt"),
        ],
        commit_message="copy",
    )
    assert files(anna, repo) == {"copies/a.txt": b"A", "copies/m.bin": large, "m.bin": large}
    commits = anna.api.list_repo_commits(repo)
    assert [(commit.title, commit.message) for commit in commits] == [
        ("copy", ""),
        ("title", "more\n\nlines"),
        ("initial commit", ""),
    ]
    assert commits[0].authors == [anna.name]


def test_a_folder_is_uploaded_with_ignored_and_deleted_files(
    anna: Person, repo: str, tmp_path: Any
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("A")
    (tmp_path / "sub" / "w.bin").write_bytes(b"w" * 100_000)
    (tmp_path / "no.log").write_text("x")
    anna.commit(repo, add("gone.txt"))
    anna.api.upload_folder(
        repo_id=repo, folder_path=tmp_path, ignore_patterns="*.log", delete_patterns="gone*"
    )
    assert files(anna, repo) == {"a.txt": b"A", "sub/w.bin": b"w" * 100_000}


def test_the_document_of_older_releases_is_committed_as_well(anna: Person, repo: str) -> None:
    anna.commit(repo, add("dropped"), add("d/x"))
    document = {
        "summary": "one document",
        "description": "",
        "files": [{"path": "a", "encoding": "base64", "content": "QQ=="}],
        "lfsFiles": [],
        "deletedFiles": [{"path": "dropped"}],
        "deletedFolders": [{"path": "d/"}],
    }
    response = anna.call("POST", f"/api/models/{repo}/commit/main", document)
    assert response.status == 200, response.body
    assert files(anna, repo) == {"a": b"A"}
    stale = {**document, "parentCommit": "f" * 40, "deletedFiles": [], "deletedFolders": []}
    assert anna.call("POST", f"/api/models/{repo}/commit/main", stale).status == 412


def test_a_commit_to_another_branch_leaves_main_alone(anna: Person, repo: str) -> None:
    anna.api.create_branch(repo, branch="feat/x")
    for rev in ("feat%2Fx", "feat/x", "refs%2Fheads%2Ffeat%2Fx"):
        assert anna.commit(repo, add("a", rev), rev=rev).status == 200
    assert files(anna, repo) == {}
    assert files(anna, repo, "feat/x") == {"a": b"refs%2Fheads%2Ffeat%2Fx"}
    assert anna.commit(repo, add("b"), rev="HEAD").status == 200
    assert list(files(anna, repo)) == ["b"]
    for rev in ("none", tip(anna, repo), tip(anna, repo)[:8]):
        response = anna.commit(repo, add("c"), rev=rev)
        assert (response.status, response.code) == (404, "RevisionNotFound")
        assert response.message == f"Invalid rev id: {rev}"


def test_a_commit_without_changes_returns_the_current_head(anna: Person, repo: str) -> None:
    head = anna.commit(repo, add("a", "A")).json["commitOid"]
    for lines in ([add("a", "A")], [], [add("n"), {"key": "deletedFile", "value": {"path": "n"}}]):
        response = anna.commit(repo, *lines)
        assert (response.status, response.json["commitOid"]) == (200, head)
    assert len(anna.api.list_repo_commits(repo)) == 2


def test_a_parent_other_than_the_tip_is_refused_and_the_tip_is_accepted(
    anna: Person, repo: str
) -> None:
    before = tip(anna, repo)
    after = anna.commit(repo, add("a"), parentCommit=before).json["commitOid"]
    response = anna.commit(repo, add("b"), parentCommit=before)
    assert (response.status, response.code) == (412, None)
    assert "A commit has happened since" in response.message
    assert anna.commit(repo, add("b"), parentCommit=after[:7]).status == 200
    with pytest.raises(HfHubHTTPError, match="412"):
        anna.api.upload_file(
            path_or_fileobj=b"x", path_in_repo="c", repo_id=repo, parent_commit=after
        )


# -- cards -------------------------------------------------------------------------------------


def test_errors_of_a_card_are_listed_and_warnings_are_validated_before(
    anna: Person, repo: str
) -> None:
    card = "---\nlicense: 5\ntags: 7\n---\n"
    response = anna.commit(repo, add("README.md", card))
    assert (response.status, response.code) == (400, None)
    assert len(response.json["errors"]) >= 2
    assert all(error["message"] for error in response.json["errors"])
    before = anna.call("POST", "/api/validate-yaml", {"content": card, "repoType": "model"})
    assert before.status == 400
    assert before.json["errors"] == response.json["errors"]
    fine = anna.call("POST", "/api/validate-yaml", {"content": "# no card", "repoType": "model"})
    assert (fine.status, fine.json["errors"]) == (200, [])
    assert fine.json["warnings"]
    with pytest.raises((HfHubHTTPError, ValueError), match="license"):
        anna.api.upload_file(path_or_fileobj=card.encode(), path_in_repo="README.md", repo_id=repo)
    assert files(anna, repo) == {}


def test_a_valid_card_becomes_the_metadata_of_the_repository(anna: Person, repo: str) -> None:
    card = ModelCard("---\nlicense: mit\nlibrary_name: timm\ntags:\n- x\n---\nHello")
    card_text = str(card).encode()
    anna.api.upload_file(path_or_fileobj=card_text, path_in_repo="README.md", repo_id=repo)
    info = anna.api.model_info(repo)
    assert info.library_name == "timm"
    assert {"license:mit", "timm", "x"} <= set(info.tags or ())
    anna.api.delete_file("README.md", repo)
    assert anna.api.model_info(repo).library_name is None


# -- concurrent writers ------------------------------------------------------------------------


def test_many_writers_of_different_files_all_succeed(anna: Person, repo: str) -> None:
    def write(number: int) -> Response:
        return anna.commit(repo, add(f"{number}/f", str(number)))

    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(write, range(24)))
    assert {response.status for response in responses} == {200}
    assert files(anna, repo) == {f"{n}/f": str(n).encode() for n in range(24)}
    commits = anna.api.list_repo_commits(repo)
    assert len(commits) == 25
    assert {response.json["commitOid"] for response in responses} < {
        commit.commit_id for commit in commits
    }


def test_of_writers_with_one_parent_exactly_one_succeeds(anna: Person, repo: str) -> None:
    parent = tip(anna, repo)

    def write(number: int) -> Response:
        return anna.commit(repo, add(f"{number}"), parentCommit=parent)

    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(write, range(8)))
    assert sorted(response.status for response in responses) == [200] + [412] * 7
    assert len(files(anna, repo)) == 1


def test_of_concurrent_creations_of_one_name_exactly_one_succeeds(anna: Person) -> None:
    def create(_: int) -> Response:
        return anna.call("POST", "/api/repos/create", {"name": "one"})

    with ThreadPoolExecutor(6) as pool:
        responses = list(pool.map(create, range(6)))
    assert sorted(response.status for response in responses) == [200] + [409] * 5
    assert all(response.json["url"] for response in responses)
    assert anna.api.list_repo_files(anna.path("one")) == [".gitattributes"]


def test_writers_and_a_deletion_leave_all_or_nothing(anna: Person) -> None:
    repo = anna.repo("short-lived")

    def write(number: int) -> Response:
        if number == 4:
            return anna.call("DELETE", "/api/repos/delete", {"name": "short-lived"})
        return anna.commit(repo, add(f"{number}"))

    with ThreadPoolExecutor(4) as pool:
        responses = list(pool.map(write, range(12)))
    assert {response.status for response in responses} <= {200, 404}
    assert anna.call("GET", f"/api/models/{repo}").code == "RepoNotFound"


def test_a_commit_of_many_files_is_one_commit(anna: Person, repo: str) -> None:
    response = anna.commit(repo, *[add(f"{n % 20}/{n}", str(n)) for n in range(1001)])
    assert response.status == 200
    assert len(anna.api.list_repo_files(repo)) == 1002
    assert len(anna.api.list_repo_commits(repo)) == 2
    assert json.loads(response.body)["hookOutput"] == ""


def validate(hub: ThreadHub, body: str, accept: str, **more: str) -> Response:
    form = "application/x-www-form-urlencoded"
    return hub.call("POST", "/api/validate-yaml", body, Content_Type=form, Accept=accept, **more)


def test_a_card_in_a_form_is_validated_and_its_findings_are_lines_of_text(
    live_hub: ThreadHub,
) -> None:
    """As ``RepoCard.validate`` of 0.10 to 0.36 sends it."""
    for card, status, lines in (
        ("---\nlicense: mit\n---\n& 100 % = fine\n", 200, []),
        ("# no card", 200, ["- Warning: empty or missing yaml metadata in repo card"]),
        ("", 200, ["- Warning: empty or missing yaml metadata in repo card"]),
        ("---\ntags: 7\nemoji: 5\n---\n", 400, ['- Error: "tags" must be a list']),
    ):
        body = urlencode({"repoType": "model", "content": card})
        response = validate(live_hub, body, "text/plain")
        assert (response.status, response.body.decode().splitlines()) == (status, lines)
        assert response.headers["content-type"].startswith("text/plain")
        as_json = validate(live_hub, body, "application/json, text/plain, */*")
        assert as_json.status == status
        lines_of_errors = [f"- Error: {entry['message']}" for entry in as_json.json["errors"]]
        assert lines_of_errors == [line for line in lines if line.startswith("- Error")]
    without_type = urlencode({"content": "---\nlicense: x\n---\n"})
    response = validate(live_hub, without_type, "text/plain")
    assert response.body.startswith(b'- Error: "license" must be one of [')
    assert validate(live_hub, "repoType=space", "text/plain").status == 400
    space = urlencode({"repoType": "space", "content": "---\nsdk: flask\n---\n"})
    assert b'"sdk" must be one of' in validate(live_hub, space, "text/plain").body


def test_an_error_about_a_missing_entry_has_the_hint_of_the_client(anna: Person, repo: str) -> None:
    hint = "differentiate file and folder paths"
    for path, is_folder in (("none", False), ("none/", True), ("a/b/none", False), ("a/b", True)):
        deletion = CommitOperationDelete(path_in_repo=path, is_folder=is_folder)
        with pytest.raises(EntryNotFoundError, match=hint):
            anna.api.create_commit(repo, operations=[deletion], commit_message="x")
