"""Unreachable commits do not exist for readers; writers still read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.git import clone, url
from tests.support.http import Response
from tests.support.hub import ThreadHub
from tests.support.person import Person

from hubstead.commits import remove_retired_packs
from hubstead.garbage import garbage_jobs
from hubstead.jobs import Job, list_jobs

ABSENT = "ab" * 20


def file(content: str = "c2VjcmV0") -> dict[str, Any]:
    value = {"path": "a.txt", "content": content, "encoding": "base64"}
    return {"key": "file", "value": value}


#: One of every route that takes a revision.
AT_REVISION = [
    ("GET", "/{repo}/resolve/{sha}/a.txt"),
    ("HEAD", "/{repo}/resolve/{sha}/a.txt"),
    ("GET", "/{repo}/raw/{sha}/a.txt"),
    ("GET", "/api/resolve-cache/models/{repo}/{sha}/a.txt"),
    ("GET", "/api/models/{repo}/revision/{sha}"),
    ("GET", "/api/models/{repo}/tree/{sha}"),
    ("POST", "/api/models/{repo}/paths-info/{sha}"),
    ("GET", "/api/models/{repo}/commits/{sha}"),
    ("GET", "/api/models/{repo}/compare/{sha}..main"),
    ("GET", "/api/models/{repo}/compare/main...{sha}"),
    ("GET", "/api/models/{repo}/xet-read-token/{sha}"),
    ("GET", "/{repo}/tree/{sha}"),
    ("GET", "/{repo}/blob/{sha}/a.txt"),
    ("GET", "/{repo}/commits/{sha}"),
    ("GET", "/{repo}/commit/{sha}"),
]


class Squashed:
    """A public repository with a squash that made its first commits unreachable."""

    def __init__(self, hub: ThreadHub) -> None:
        self.hub = hub
        self.anna, self.ben = hub.user(), hub.user("ben")
        self.repo = self.anna.repo()
        self.anna.commit(self.repo, file())
        self.old = self.tip()
        self.anna.api.create_tag(self.repo, tag="v1", revision=self.old, tag_message="one")
        self.anna.api.super_squash_history(self.repo)
        self.new = self.tip()

    def tip(self) -> str:
        return str(self.anna.call("GET", f"/api/models/{self.repo}").json["sha"])

    def tag_object(self, name: str) -> str:
        response = self.anna.call("GET", f"/{self.repo}/info/refs?service=git-upload-pack")
        line = next(line for line in response.body.splitlines() if line.endswith(name.encode()))
        return line.split()[0][-40:].decode()

    def call(self, who: Person | None, method: str, pattern: str, sha: str) -> Response:
        path = pattern.format(repo=self.repo, sha=sha)
        body = None if method != "POST" else {"paths": ["a.txt"]}
        token = who.token if who else ""
        return self.hub.call(method, path, body, token=token)

    def fetch(self, who: Person, home: Path, *what: str, version: int = 2) -> str:
        """Fetch into a clone and return git's output.

        The repository is public, so git sends no password by itself.
        """
        here = clone(url(who, self.repo), home)
        header = f"http.extraHeader=Authorization: Bearer {who.token}"
        options = ["-c", header, "-c", f"protocol.version={version}"]
        return here(*options, "fetch", "-q", "origin", *what, ok=False)


@pytest.fixture(scope="module")
def squashed(live_hub: ThreadHub) -> Squashed:
    squashed = Squashed(live_hub)
    squashed.anna.api.delete_tag(squashed.repo, tag="v1")
    return squashed


def plain(response: Response, sha: str) -> tuple[Any, ...]:
    """Return a response without the parts that differ between any two."""
    request_id = response.headers["x-request-id"]
    headers = {
        name: value.replace(sha, "SHA")
        for name, value in response.headers.items()
        if name not in ("date", "x-request-id")
    }
    body = response.body.replace(request_id.encode(), b"ID").replace(sha.encode(), b"SHA")
    return response.status, headers, body


@pytest.mark.parametrize(("method", "pattern"), AT_REVISION)
def test_a_squashed_commit_is_served_to_writers_only(
    squashed: Squashed, method: str, pattern: str
) -> None:
    for who in (None, squashed.ben, squashed.anna.with_token("read")):
        hidden = squashed.call(who, method, pattern, squashed.old)
        absent = squashed.call(who, method, pattern, ABSENT)
        assert hidden.status == 404
        assert plain(hidden, squashed.old) == plain(absent, ABSENT)
        if "resolve-cache" in pattern:  # takes whole shas only
            continue
        short = squashed.call(who, method, pattern, squashed.old[:12])
        assert plain(short, squashed.old[:12]) == plain(
            squashed.call(who, method, pattern, ABSENT[:12]), ABSENT[:12]
        )
        assert squashed.call(who, method, pattern, squashed.new).status == 200
        assert squashed.call(who, method, pattern, squashed.new[:12]).status == 200
    assert squashed.call(squashed.anna, method, pattern, squashed.old).status == 200


@pytest.mark.parametrize("version", [0, 2])
def test_git_fetches_no_squashed_commit_for_readers(
    squashed: Squashed, tmp_path: Path, version: int
) -> None:
    hub = squashed.hub
    for number, oid in enumerate((squashed.old, _root_tree(squashed), ABSENT)):
        output = squashed.fetch(squashed.ben, tmp_path / str(number), oid, version=version)
        assert f"not our ref {oid}" in output
    assert squashed.fetch(squashed.anna, tmp_path / "anna", squashed.old, version=version) == ""
    assert hub.call("GET", f"/api/models/{squashed.repo}").json["sha"] == squashed.new


def _root_tree(squashed: Squashed) -> str:
    """Return the tree of the first commit, which has no ``a.txt`` and is part of no other."""

    async def tree() -> str:
        hub = squashed.hub.hub
        from hubstead.accounts import Actor
        from hubstead.ids import Kind, RepoId
        from hubstead.repos import open_repo

        owner, name = squashed.repo.split("/")
        repo = await open_repo(hub.db, Actor(), RepoId(Kind.MODEL, owner, name))
        git = await hub.stores.open_git(repo)
        first = git.commit(squashed.old).parents[0]
        return git.tree_of(first)

    return squashed.hub.run(tree())


def test_a_negotiation_does_not_reveal_a_squashed_commit(
    squashed: Squashed,
) -> None:
    def negotiate(who: Person, have: str) -> bytes:
        lines = [f"want {squashed.new} multi_ack_detailed side-band-64k\n"]
        want = "".join(f"{len(line) + 4:04x}{line}" for line in lines) + "0000"
        line = f"have {have}\n"
        body = f"{want}{len(line) + 4:04x}{line}0000".encode()
        return who.call("POST", f"/{squashed.repo}/git-upload-pack", body).body

    assert negotiate(squashed.ben, squashed.old) == negotiate(squashed.ben, ABSENT) == b"0008NAK\n"
    assert b"ACK" in negotiate(squashed.anna, squashed.old)
    assert b"ACK" in negotiate(squashed.ben, squashed.new)


def test_every_reachable_commit_is_served(live_hub: ThreadHub, tmp_path: Path) -> None:
    anna, ben = live_hub.user(), live_hub.user("ben")
    repo = anna.repo()
    target = f"/{repo}/resolve/{{}}/a.txt"
    main = [anna.commit(repo, file()).json["commitOid"]]
    anna.api.create_branch(repo, branch="dev")
    for text in ("b25l", "dHdv"):
        main.append(anna.commit(repo, file(text)).json["commitOid"])
        dev = anna.commit(repo, file(text), rev="dev", summary="dev").json["commitOid"]
        for sha in (*main, dev, dev[:7], main[0][:10]):
            assert ben.call("HEAD", target.format(sha)).status == 200, sha
    anna.api.delete_branch(repo, branch="dev")
    assert ben.call("HEAD", target.format(dev)).status == 404
    assert anna.call("HEAD", target.format(dev)).status == 200
    anna.api.create_tag(repo, tag="saved", revision=dev)
    assert ben.call("HEAD", target.format(dev)).status == 200


def test_an_annotated_tag_is_served_by_its_own_sha_while_it_is_a_ref(live_hub: ThreadHub) -> None:
    squashed = Squashed(live_hub)
    tag = squashed.tag_object("refs/tags/v1")
    pattern = "/{repo}/resolve/{sha}/a.txt"
    for sha in (tag, squashed.old):
        assert squashed.call(squashed.ben, "GET", pattern, sha).body == b"secret"
    squashed.anna.api.delete_tag(squashed.repo, tag="v1")
    for sha in (tag, squashed.old):
        assert squashed.call(squashed.ben, "GET", pattern, sha).status == 404
        assert squashed.call(squashed.anna, "GET", pattern, sha).body == b"secret"


def test_a_duplicate_by_a_reader_has_no_squashed_commit(squashed: Squashed, tmp_path: Path) -> None:
    ben, anna = squashed.ben, squashed.anna
    for who, status in ((ben, 404), (anna, 200)):
        body = {"repository": who.path("copy")}
        assert who.call("POST", f"/api/models/{squashed.repo}/duplicate", body).status == 200
        target = f"/{who.path('copy')}/resolve/{{}}/a.txt"
        assert who.call("GET", target.format(squashed.old)).status == status
        assert who.call("GET", target.format(squashed.new)).body == b"secret"
        copy = clone(url(who, who.path("copy")), tmp_path / who.name)
        assert copy("fsck", "--full", "--strict") == ""


def test_a_reader_copies_no_file_of_a_squashed_commit(
    squashed: Squashed,
) -> None:
    for who, status in ((squashed.ben, 404), (squashed.anna, 200)):
        repo = who.repo(f"into-{who.name}")
        source = {
            "path": "b.txt",
            "srcPath": "a.txt",
            "srcRevision": squashed.old,
            "srcRepo": {"type": "model", "name": squashed.repo},
        }
        response = who.commit(repo, {"key": "copyFile", "value": source})
        assert response.status == status, response.body


def test_an_administrator_has_squashed_history_forgotten(live_hub: ThreadHub) -> None:
    squashed = Squashed(live_hub)
    anna, repo, hub = squashed.anna, squashed.repo, live_hub.hub
    anna.api.upload_file(path_or_fileobj=b"secret" * 99, path_in_repo="s.bin", repo_id=repo)
    anna.api.delete_file("s.bin", repo)
    anna.api.delete_tag(repo, tag="v1")
    old = squashed.tip()
    anna.api.super_squash_history(repo)
    assert anna.call("GET", f"/{repo}/resolve/{old}/a.txt").body == b"secret"
    assert len(list(anna.api.list_lfs_files(repo))) == 1
    target = f"/api/models/{repo}/forget-unreachable"
    assert squashed.ben.call("POST", target).status == 403
    assert anna.call("POST", target).status == 202
    live_hub.run(_forget(live_hub))
    assert list(anna.api.list_lfs_files(repo)) == []
    live_hub.run(remove_retired_packs(hub.stores, grace_ms=-60_000))
    assert anna.call("GET", f"/{repo}/resolve/{old}/a.txt").status == 404
    assert anna.call("GET", f"/{repo}/resolve/main/a.txt").body == b"secret"


async def _forget(live_hub: ThreadHub) -> None:
    """Run the jobs of forgetting that wait: a hub in a thread runs none."""
    (forget,) = garbage_jobs(live_hub.hub.stores)
    for job in await list_jobs(live_hub.db):
        if job.type == forget.name:
            await forget.handler(Job(job.type, job.subject, job.payload, 1))
