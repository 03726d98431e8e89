"""Pull requests by the real client: opened by readers, moved by their author or a writer."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from huggingface_hub import CommitOperationAdd, DiscussionCommit
from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError

from tests.support.hub import ThreadHub
from tests.support.person import Person


@pytest.fixture
def anna(live_hub: ThreadHub) -> Person:
    return live_hub.user("anna")


@pytest.fixture
def bert(live_hub: ThreadHub) -> Person:
    """A stranger, who may only read."""
    return live_hub.user("bert")


def propose(person: Person, repo: str, path: str, content: bytes, **how: Any) -> int:
    """Open a pull request with one file and return its number."""
    operation = CommitOperationAdd(path, content)
    done = person.api.create_commit(
        repo, [operation], commit_message=f"Add {path}", create_pr=True, **how
    )
    assert done.pr_num is not None
    return int(done.pr_num)


def read(person: Person, repo: str, path: str, revision: str) -> bytes:
    response = person.call("GET", f"/{repo}/resolve/{revision}/{path}")
    assert response.status == 200, response
    return response.body


def test_a_reader_opens_a_pull_request_by_a_commit(anna: Person, bert: Person) -> None:
    repo = anna.repo()
    tip = anna.api.repo_info(repo).sha
    done = bert.api.create_commit(
        repo,
        [CommitOperationAdd("a.txt", b"proposal")],
        commit_message="Add a",
        commit_description="Because.",
        create_pr=True,
    )
    assert done.pr_url is not None
    assert done.pr_url.endswith(f"{repo}/discussions/1")
    details = bert.api.get_discussion_details(repo, 1)
    assert (details.title, details.status, details.target_branch) == (
        "Add a",
        "open",
        "refs/heads/main",
    )
    assert [event.type for event in details.events] == ["comment", "commit"]
    commit = details.events[1]
    assert isinstance(commit, DiscussionCommit)
    assert (commit.oid, commit.summary, commit.author) == (done.oid, "Add a", bert.name)
    assert details.diff is not None
    assert "+proposal" in details.diff
    assert anna.api.repo_info(repo).sha == tip, "the branch did not move"
    refs = anna.api.list_repo_refs(repo, include_pull_requests=True)
    assert refs.pull_requests is not None
    assert [(ref.ref, ref.target_commit) for ref in refs.pull_requests] == [("refs/pr/1", done.oid)]


@pytest.mark.parametrize("revision", ["refs%2Fpr%2F1", "refs/pr/1"])
def test_a_pull_request_is_a_revision_everywhere(anna: Person, bert: Person, revision: str) -> None:
    repo = anna.repo()
    propose(bert, repo, "dir/a.txt", b"proposal")
    assert read(bert, repo, "dir/a.txt", revision) == b"proposal"
    tree = bert.call("GET", f"/api/models/{repo}/tree/{revision}/dir").json
    assert [entry["path"] for entry in tree] == ["dir/a.txt"]
    assert bert.call("GET", f"/api/models/{repo}/revision/{revision}").status == 200
    titles = [
        row["title"] for row in bert.call("GET", f"/api/models/{repo}/commits/{revision}").json
    ]
    assert titles[0] == "Add dir/a.txt"
    assert len(titles) > 1, "the history of the base is part of it"


def test_a_draft_is_filled_by_commits_and_published(
    anna: Person, bert: Person, tmp_path: Path
) -> None:
    repo = anna.repo()
    draft = bert.api.create_pull_request(repo, "Many files", description="Soon")
    assert (draft.status, draft.is_pull_request, draft.git_reference) == (
        "draft",
        True,
        "refs/pr/1",
    )
    for name in ("one", "two"):
        (tmp_path / f"{name}.txt").write_text(name)
    bert.api.upload_folder(repo_id=repo, folder_path=tmp_path, revision="refs/pr/1")
    assert read(bert, repo, "two.txt", "refs%2Fpr%2F1") == b"two"
    assert bert.api.change_discussion_status(repo, 1, "open").new_status == "open"
    anna.api.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id=repo, revision="refs/pr/1")
    types = [event.type for event in bert.api.get_discussion_details(repo, 1).events]
    assert types == ["comment", "commit", "status-change", "commit"]
    found = bert.api.get_repo_discussions(repo, discussion_type="pull_request")
    assert [each.num for each in found] == [1]


def test_nobody_but_its_author_and_writers_moves_a_pull_request(
    anna: Person, bert: Person, live_hub: ThreadHub
) -> None:
    repo, carl = anna.repo(), live_hub.user("carl")
    propose(bert, repo, "a.txt", b"a")
    file = {"key": "file", "value": {"path": "b.txt", "content": "b"}}
    assert carl.commit(repo, file, rev="refs%2Fpr%2F1").status == 403
    assert bert.commit(repo, file).status == 403, "a branch needs the right to write"
    assert bert.with_token("read").commit(repo, file, rev="refs%2Fpr%2F1").status == 403
    assert live_hub.call("POST", f"/api/models/{repo}/commit/main?create_pr=1", b"").status == 401
    assert bert.commit(repo, file, rev="refs%2Fpr%2F9").status == 404
    assert anna.call("DELETE", f"/api/models/{repo}/branch/refs%2Fpr%2F1").status == 409
    bert.api.change_discussion_status(repo, 1, "closed")
    assert bert.commit(repo, file, rev="refs%2Fpr%2F1").status == 409, "it is closed"
    bert.api.change_discussion_status(repo, 1, "open")
    assert bert.commit(repo, file, rev="refs%2Fpr%2F1").status == 200


def test_the_base_of_a_pull_request_is_a_branch(anna: Person, bert: Person) -> None:
    repo = anna.repo()
    anna.api.create_branch(repo, branch="dev")
    number = propose(bert, repo, "a.txt", b"a", revision="dev")
    assert anna.api.get_discussion_details(repo, number).target_branch == "refs/heads/dev"
    tip = str(anna.api.repo_info(repo).sha)
    for revision in (tip, "absent", "refs/pr/1"):
        with pytest.raises(RevisionNotFoundError):
            propose(bert, repo, "b.txt", b"b", revision=revision)
    assert [row.num for row in anna.api.get_repo_discussions(repo)] == [1], "none is left over"


def test_a_request_without_a_change_is_opened_at_its_base(anna: Person, bert: Person) -> None:
    repo = anna.repo()
    anna.api.upload_file(path_or_fileobj=b"same", path_in_repo="a.txt", repo_id=repo)
    file = {"key": "file", "value": {"path": "a.txt", "content": "same"}}
    answer = bert.commit(repo, file, rev="main?create_pr=1").json
    assert answer["pullRequestUrl"].endswith("/discussions/1")
    assert answer["commitOid"] == anna.api.repo_info(repo, revision="refs/pr/1").sha


def test_large_files_travel_by_lfs_and_by_xet_with_a_reader(
    anna: Person, bert: Person, tmp_path: Path
) -> None:
    repo, content = anna.repo(), bytes(range(256)) * 1000
    number = propose(bert, repo, "a.bin", content)
    assert read(bert, repo, "a.bin", f"refs%2Fpr%2F{number}") == content
    (tmp_path / "b.bin").write_bytes(content[::-1])
    script = (
        "done = api.upload_file(path_or_fileobj=args[1], path_in_repo='b.bin', repo_id=args[0], "
        "create_pr=True)\nprint(done.pr_num)"
    )
    printed = bert.python(script, repo, str(tmp_path / "b.bin"), home=tmp_path / "home")
    assert printed.split()[-1] == "2"
    assert read(anna, repo, "b.bin", "refs%2Fpr%2F2") == content[::-1]


def test_a_reader_links_no_object_that_others_uploaded(
    anna: Person, bert: Person, live_hub: ThreadHub
) -> None:
    """To know the hash of an upload that no commit names is not to own its bytes."""
    repo, content = anna.repo(), b"nobody committed this" * 100
    oid, size = sha256(content).hexdigest(), len(content)
    target = f"/{repo}.git/info/lfs/objects/batch"
    objects = [{"oid": oid, "size": size}]
    batch = {"operation": "upload", "transfers": ["basic"], "objects": objects}
    (wanted,) = anna.call("POST", target, batch).json["objects"]
    address = urlsplit(wanted["actions"]["upload"]["href"])
    put = live_hub.call("PUT", f"{address.path}?{address.query}", content)
    assert put.status == 200, put
    line = {
        "key": "lfsFile",
        "value": {"path": "x.bin", "algo": "sha256", "oid": oid, "size": size},
    }
    assert bert.commit(repo, line, rev="main?create_pr=1").status == 400
    (asked,) = bert.call("POST", target, batch).json["objects"]
    assert "actions" in asked, "the hub does not tell that it has the bytes"
    assert bert.call("POST", target, {**batch, "ref": {"name": "refs/heads/main"}}).status == 403
    assert anna.commit(repo, line).status == 200
    assert bert.commit(repo, line, rev="main?create_pr=1").status == 200, "now all may read it"


def test_a_closed_request_is_deleted_and_its_ref_by_a_push_or_branch_call(
    anna: Person, bert: Person
) -> None:
    repo = anna.repo()
    propose(bert, repo, "a.txt", b"a")
    base = f"/api/models/{repo}/discussions/1"
    assert anna.call("DELETE", base).status == 409, "it is open"
    bert.api.change_discussion_status(repo, 1, "closed")
    assert anna.call("DELETE", f"/api/models/{repo}/branch/refs%2Fpr%2F1").status == 200
    assert bert.api.get_discussion_details(repo, 1).diff is None
    assert anna.call("DELETE", base).status == 200
    assert propose(bert, repo, "a.txt", b"a") == 2


def test_a_duplicate_takes_no_pull_requests_along(anna: Person, bert: Person) -> None:
    repo = anna.repo()
    propose(bert, repo, "a.txt", b"a")
    copy = anna.path("copy")
    assert anna.call("POST", f"/api/models/{repo}/duplicate", {"repository": copy}).status == 200
    refs = anna.api.list_repo_refs(copy, include_pull_requests=True)
    assert refs.pull_requests == []
    assert propose(bert, copy, "a.txt", b"a") == 1
    with pytest.raises(HfHubHTTPError):
        anna.api.get_discussion_details(copy, 2)
