"""libgit2 against a live hub: another client than git, with protocol v0 only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pygit2
import pytest
from pygit2.enums import FileMode, ObjectType
from tests.support.git import push_body, tip
from tests.support.hub import ThreadHub
from tests.support.person import Person

ANNA = pygit2.Signature("Anna", "anna@example.org")


class Callbacks(pygit2.RemoteCallbacks):
    """Signs in at the first challenge; records the refusals of the hub."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self.token, self.challenges = token, 0
        self.refused: dict[str, str] = {}

    def credentials(self, url: object, name: object, kinds: object) -> pygit2.UserPass:
        self.challenges += 1
        if self.challenges > 1:
            raise PermissionError("a second challenge: the token is not accepted")
        return pygit2.UserPass("anyone", self.token)

    def push_update_reference(self, refname: str, message: str | None) -> None:
        if message:
            self.refused[refname] = message


def cloned(person: Person, repo_id: str, folder: Path, **how: Any) -> pygit2.Repository:
    address = f"{person.hub.url}/{repo_id}"
    return pygit2.clone_repository(address, str(folder), callbacks=Callbacks(person.token), **how)


def commit(here: pygit2.Repository, ref: str, files: dict[str, bytes]) -> str:
    parent = here.head.target
    index = pygit2.Index()
    index.read_tree(here[parent].tree)
    for path, content in files.items():
        index.add(pygit2.IndexEntry(path, here.create_blob(content), FileMode.BLOB))
    return str(here.create_commit(ref, ANNA, ANNA, "m", index.write_tree(here), [parent]))


def push(person: Person, here: pygit2.Repository, *specs: str) -> dict[str, str]:
    """Push and return the refused refs with their reasons."""
    answers = Callbacks(person.token)
    here.remotes["origin"].push(list(specs), callbacks=answers)
    return answers.refused


@pytest.fixture
def anna(live_hub: ThreadHub) -> Person:
    return live_hub.user()


def test_libgit2_clones_only_readable_repositories(
    live_hub: ThreadHub, anna: Person, tmp_path: Path
) -> None:
    public, private = anna.repo("public"), anna.repo("private", private=True)
    here = pygit2.clone_repository(f"{live_hub.url}/{public}", str(tmp_path / "public"))
    assert str(here.head.target) == tip(live_hub, public)
    here = cloned(anna, private, tmp_path / "private")
    assert str(here.head.target) == tip(live_hub, private, token=anna.token)
    with pytest.raises(pygit2.GitError, match="404"):
        cloned(live_hub.user("ben"), private, tmp_path / "ben")
    with pytest.raises(PermissionError):
        pygit2.clone_repository(
            f"{live_hub.url}/{private}", str(tmp_path / "no"), callbacks=Callbacks("hf_wrong")
        )


def test_libgit2_pushes_fetches_and_deletes_branches_and_tags(
    live_hub: ThreadHub, anna: Person, tmp_path: Path
) -> None:
    repo = anna.repo()
    here, other = cloned(anna, repo, tmp_path / "w"), cloned(anna, repo, tmp_path / "other")
    oid = commit(here, "refs/heads/main", {f"d{n % 10}/f{n}": b"%d" % n for n in range(400)})
    here.create_tag("v1", oid, ObjectType.COMMIT, ANNA, "one")
    here.references.create("refs/heads/zweig-ü", oid)
    assert push(anna, here, "refs/heads/main", "refs/tags/v1", "refs/heads/zweig-ü") == {}
    assert tip(live_hub, repo) == tip(live_hub, repo, "v1") == oid
    other.remotes["origin"].fetch()
    assert str(other.references["refs/remotes/origin/main"].target) == oid
    assert push(anna, here, ":refs/tags/v1", ":refs/heads/zweig-ü") == {}
    listed = here.remotes["origin"].list_heads()
    assert [head.name for head in listed] == ["HEAD", "refs/heads/main"]


def test_a_push_of_an_existing_ref_succeeds_and_its_report_is_true(
    live_hub: ThreadHub, anna: Person, tmp_path: Path
) -> None:
    repo = anna.repo()
    here = cloned(anna, repo, tmp_path / "w")
    before = live_hub.traces()
    assert push(anna, here, "refs/heads/main") == {}
    assert live_hub.traces() == before
    oid, zero = str(here.head.target), "0" * 40
    for old, report in ((oid, b"ok refs/heads/main\n"), ("1" * 40, b"ng refs/heads/main fetch")):
        body = push_body(old, old, "refs/heads/main")
        assert report in anna.call("POST", f"/{repo}/git-receive-pack", body).body
    body = push_body(zero, zero, "refs/heads/none")
    assert b"ok refs/heads/none\n" in anna.call("POST", f"/{repo}/git-receive-pack", body).body


def test_libgit2_reports_the_refusals_of_the_hub(anna: Person, tmp_path: Path) -> None:
    repo = anna.repo()
    here, other = cloned(anna, repo, tmp_path / "w"), cloned(anna, repo, tmp_path / "other")
    assert "no pull request" in push(anna, here, "refs/heads/main:refs/pr/1")["refs/pr/1"]
    commit(here, "refs/heads/main", {"a": b"1"})
    commit(other, "refs/heads/main", {"a": b"2"})
    assert push(anna, here, "refs/heads/main") == {}
    with pytest.raises(pygit2.GitError, match="not present locally"):
        push(anna, other, "refs/heads/main")
    assert push(anna, other, "+refs/heads/main") == {}


def test_a_shallow_clone_of_libgit2_deepens_and_pushes(
    live_hub: ThreadHub, anna: Person, tmp_path: Path
) -> None:
    repo = anna.repo()
    for n in range(3):
        anna.api.upload_file(path_or_fileobj=b"%d" % n, path_in_repo="n.txt", repo_id=repo)
    here = cloned(anna, repo, tmp_path / "w", depth=1)
    assert len(list(here.walk(here.head.target))) == 1
    oid = commit(here, "refs/heads/main", {"a": b"1"})
    assert push(anna, here, "refs/heads/main") == {}
    assert tip(live_hub, repo) == oid
    here.remotes["origin"].fetch(depth=2**31 - 1)
    assert len(list(pygit2.Repository(here.path).walk(oid))) == 5
