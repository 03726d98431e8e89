"""Pull requests by git: fetched by readers, pushed to by their author or a writer."""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path

import pytest

from tests.discussions.test_pull_requests import propose
from tests.support.git import Clone, clone, push_body, url
from tests.support.hub import ThreadHub
from tests.support.person import Person


@pytest.fixture
def anna(live_hub: ThreadHub) -> Person:
    return live_hub.user("anna")


@pytest.fixture
def bert(live_hub: ThreadHub) -> Person:
    return live_hub.user("bert")


def test_git_fetches_a_pull_request_and_its_author_and_writers_push_to_it(
    anna: Person, bert: Person, live_hub: ThreadHub, tmp_path: Path
) -> None:
    repo, carl = anna.repo(), live_hub.user("carl")
    propose(bert, repo, "a.txt", b"proposal")
    for person in (bert, anna):
        here = clone(url(person, repo), tmp_path / person.name)
        here("fetch", "-q", "origin", "refs/pr/1:pr/1")
        here("checkout", "-q", "pr/1")
        here.commit(f"{person.name}.txt", "more", f"More by {person.name}")
        here("push", "-q", "origin", "pr/1:refs/pr/1")
    assert "rights" in here_of(carl, repo, tmp_path).refused("push", "origin", "HEAD:refs/pr/1")
    event = bert.api.get_discussion_details(repo, 1).events[-1]
    assert (event.type, event.author) == ("commit", anna.name)
    assert event._event["data"]["subject"] == f"More by {anna.name}"
    titles = [commit.title for commit in anna.api.list_repo_commits(repo, revision="refs/pr/1")]
    assert titles[:3] == [f"More by {anna.name}", f"More by {bert.name}", "Add a.txt"]


def here_of(person: Person, repo: str, folder: Path) -> Clone:
    here = clone(url(person, repo), folder / person.name)
    here("fetch", "-q", "origin", "refs/pr/1:pr/1")
    here("checkout", "-q", "pr/1")
    here.commit("x.txt", "x")
    return here


def test_a_reader_pushes_nothing_but_to_an_own_pull_request(
    anna: Person, bert: Person, tmp_path: Path
) -> None:
    repo = anna.repo()
    propose(bert, repo, "a.txt", b"proposal")
    here = here_of(bert, repo, tmp_path)
    for ref in ("refs/heads/main", "refs/heads/new", "refs/tags/v1", "refs/pr/2"):
        here.refused("push", "-f", "origin", f"HEAD:{ref}")
    bert.api.change_discussion_status(repo, 1, "closed")
    assert "closed" in here.refused("push", "origin", "HEAD:refs/pr/1")


def test_a_reader_makes_no_commit_visible_that_no_ref_reaches(
    anna: Person, bert: Person, tmp_path: Path
) -> None:
    """To know the id of a commit is not the right to see it, and a ref would show it."""
    repo = anna.repo()
    owner = clone(url(anna, repo), tmp_path / "owner")
    secret = owner.commit("secret.txt", "withdrawn words")
    owner("push", "-q", "origin", "HEAD:refs/heads/draft")
    owner("push", "-q", "origin", ":refs/heads/draft")
    propose(bert, repo, "a.txt", b"proposal")
    old = anna.api.repo_info(repo, revision="refs/pr/1").sha
    assert old is not None
    empty_pack = b"PACK\0\0\0\2\0\0\0\0" + sha1(b"PACK\0\0\0\2\0\0\0\0").digest()
    answer = bert.call(
        "POST", f"/{repo}.git/git-receive-pack", push_body(old, secret, "refs/pr/1", empty_pack)
    )
    assert b"ng refs/pr/1" in answer.body
    assert anna.api.repo_info(repo, revision="refs/pr/1").sha == old
    assert bert.call("GET", f"/{repo}/resolve/{secret}/secret.txt").status == 404
