"""Merges of pull requests: one commit, conflicts by path, and one winner of two."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.discussions.test_pull_requests import propose, read
from tests.support.hub import ThreadHub
from tests.support.person import Person


@pytest.fixture
def anna(live_hub: ThreadHub) -> Person:
    return live_hub.user("anna")


@pytest.fixture
def bert(live_hub: ThreadHub) -> Person:
    return live_hub.user("bert")


def put(person: Person, repo: str, path: str, content: str, rev: str = "main") -> None:
    file = {"key": "file", "value": {"path": path, "content": content}}
    assert person.commit(repo, file, rev=rev).status == 200


def test_a_merge_is_one_commit_with_both_parents_and_an_event(anna: Person, bert: Person) -> None:
    repo = anna.repo()
    put(anna, repo, "a.txt", "one\ntwo\nthree\nfour\nfive\n")
    propose(bert, repo, "a.txt", b"ONE\ntwo\nthree\nfour\nfive\n")
    put(anna, repo, "a.txt", "one\ntwo\nthree\nfour\nFIVE\n")
    assert bert.call("POST", f"/api/models/{repo}/discussions/1/merge", {}).status == 403
    anna.api.merge_pull_request(repo, 1, comment="Thanks")
    details = anna.api.get_discussion_details(repo, 1)
    tip = anna.api.repo_info(repo).sha
    assert (details.status, details.merge_commit_oid) == ("merged", tip)
    assert [event.type for event in details.events][-2:] == ["status-change", "comment"]
    assert read(bert, repo, "a.txt", "main") == b"ONE\ntwo\nthree\nfour\nFIVE\n"
    assert anna.api.list_repo_commits(repo)[0].title == "Add a.txt (#1)"
    assert details.diff is not None
    assert "+ONE" in details.diff
    for verb, body in (("merge", {}), ("status", {"status": "open"})):
        response = anna.call("POST", f"/api/models/{repo}/discussions/1/{verb}", body)
        assert response.status == 409


def test_conflicts_are_named_and_nothing_is_merged(anna: Person, bert: Person) -> None:
    repo = anna.repo()
    propose(bert, repo, "dir/a.txt", b"mine")
    put(anna, repo, "dir/a.txt", "theirs")
    tip = anna.api.repo_info(repo).sha
    assert anna.api.get_discussion_details(repo, 1).conflicting_files == ["dir/a.txt"]
    response = anna.call("POST", f"/api/models/{repo}/discussions/1/merge", {})
    assert response.status == 409
    assert "dir/a.txt" in str(response.message)
    assert anna.api.repo_info(repo).sha == tip
    assert anna.api.get_discussion_details(repo, 1).status == "open"


def test_only_open_pull_requests_with_both_refs_are_merged(anna: Person, bert: Person) -> None:
    repo = anna.repo()
    anna.api.create_discussion(repo, "Words")
    bert.api.create_pull_request(repo, "A draft")
    anna.api.create_branch(repo, branch="dev")
    propose(bert, repo, "a.txt", b"a", revision="dev")
    anna.api.delete_branch(repo, branch="dev")
    for number in (1, 2, 3):
        target = f"/api/models/{repo}/discussions/{number}/merge"
        assert anna.call("POST", target, {}).status == 409, number
    assert anna.call("POST", f"/api/models/{repo}/discussions/4/merge", {}).status == 404


def test_of_two_merges_at_once_exactly_one_succeeds(anna: Person, bert: Person) -> None:
    repo = anna.repo()
    propose(bert, repo, "a.txt", b"a")
    target = f"/api/models/{repo}/discussions/1/merge"

    def merge(_: int) -> int:
        return anna.call("POST", target, {}).status

    with ThreadPoolExecutor(4) as threads:
        statuses = sorted(threads.map(merge, range(4)))
    assert statuses == [200, 409, 409, 409]
