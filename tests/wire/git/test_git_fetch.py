"""Clones and fetches: every protocol, whole and in part, by those who may read."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from tests.support.git import Clone, GitRefused, clone, tip, url
from tests.support.hub import ThreadHub


@pytest.mark.parametrize("version", ["0", "1", "2"])
@pytest.mark.parametrize("suffix", ["", ".git"])
def test_every_protocol_clones_commits_of_the_api(
    live_hub: ThreadHub, tmp_path: Path, version: str, suffix: str
) -> None:
    anna = live_hub.user()
    repo = anna.repo(private=True)
    anna.api.upload_file(path_or_fileobj=b"hello", path_in_repo="a/b.txt", repo_id=repo)
    anna.api.create_tag(repo, tag="v1", tag_message="first")
    anna.api.create_branch(repo, branch="dev")
    here = clone(
        url(anna, repo, suffix=suffix), tmp_path / "w", "-c", f"protocol.version={version}"
    )
    assert (here.path / "a/b.txt").read_bytes() == b"hello"
    assert here("rev-parse", "HEAD").strip() == tip(live_hub, repo, token=anna.token)
    assert here("symbolic-ref", "refs/remotes/origin/HEAD").strip() == "refs/remotes/origin/main"
    assert here("cat-file", "-t", "v1").strip() == "tag"
    assert "origin/dev" in here("branch", "-r")
    assert here("fsck", "--full", "--strict") == ""


def test_an_api_commit_is_pulled_and_kinds_have_their_prefix(
    live_hub: ThreadHub, tmp_path: Path
) -> None:
    anna = live_hub.user()
    for kind, prefix in (("dataset", "datasets/"), ("space", "spaces/")):
        repo = anna.repo(kind, kind=kind)
        here = clone(url(anna, prefix + repo), tmp_path / kind)
        anna.api.upload_file(
            path_or_fileobj=b"new", path_in_repo="n.txt", repo_id=repo, repo_type=kind
        )
        here("pull", "-q", "--ff-only")
        assert (here.path / "n.txt").read_bytes() == b"new"


def test_shallow_and_partial_clones_fetch_the_rest_on_demand(
    live_hub: ThreadHub, tmp_path: Path
) -> None:
    anna = live_hub.user()
    repo = anna.repo()
    for n in range(4):
        anna.api.upload_file(path_or_fileobj=b"%d" % n, path_in_repo="n.txt", repo_id=repo)
    shallow = clone(url(anna, repo), tmp_path / "shallow", "--depth", "1")
    assert shallow("rev-list", "--count", "HEAD").strip() == "1"
    shallow("fetch", "-q", "--unshallow")
    assert shallow("rev-list", "--count", "HEAD").strip() == "5"
    for version in ("0", "2"):
        options = ["--filter=blob:none", "--no-checkout", "-c", f"protocol.version={version}"]
        partial = clone(url(anna, repo), tmp_path / f"partial{version}", *options)
        missing = partial("rev-list", "--objects", "--all", "--missing=print")
        assert "\n?" in missing
        assert partial("show", "HEAD~2:n.txt") == "1"


def test_an_empty_branch_list_and_a_default_branch_without_commit_clone_as_empty(
    live_hub: ThreadHub, tmp_path: Path
) -> None:
    anna = live_hub.user()
    repo = anna.repo()
    here = clone(url(anna, repo), tmp_path / "w")
    assert (here.path / ".gitattributes").exists()


def test_everyone_clones_public_repositories_and_strangers_are_challenged_elsewhere(
    live_hub: ThreadHub, tmp_path: Path
) -> None:
    anna, ben = live_hub.user(), live_hub.user("ben")
    public, private = anna.repo("public"), anna.repo("private", private=True)
    clone(f"{live_hub.url}/{public}", tmp_path / "public")
    with pytest.raises(GitRefused, match="could not read Username"):
        clone(f"{live_hub.url}/{private}", tmp_path / "private")
    with pytest.raises(GitRefused, match="not found"):
        clone(url(ben, private), tmp_path / "private")
    absent = live_hub.call("GET", f"/{anna.path('none')}/info/refs?service=git-upload-pack")
    hidden = live_hub.call("GET", f"/{private}/info/refs?service=git-upload-pack")
    assert (hidden.status, hidden.body) == (absent.status, absent.body)
    assert hidden.headers["www-authenticate"].startswith("Basic ")


def test_a_password_is_valid_with_its_user_name_and_bearer_tokens_everywhere(
    live_hub: ThreadHub, tmp_path: Path
) -> None:
    anna = live_hub.user(password="open sesame!")
    repo = anna.repo(private=True)
    host = f"127.0.0.1:{live_hub.port}/{repo}"
    clone(f"http://{anna.name}:open%20sesame%21@{host}", tmp_path / "password")
    clone(
        f"http://{anna.token}@{host}",
        tmp_path / "as-name",
        "-c",
        "credential.helper=!echo password= #",
    )
    header = f"http.extraHeader=Authorization: Bearer {anna.token}"
    clone(f"http://{host}", tmp_path / "bearer", "-c", header)
    with pytest.raises(GitRefused, match="Authentication failed"):
        clone(f"http://{anna.name}:wrong@{host}", tmp_path / "wrong")


def test_a_renamed_repository_is_cloned_by_its_old_name(
    live_hub: ThreadHub, tmp_path: Path
) -> None:
    anna = live_hub.user()
    repo = anna.repo("old")
    anna.api.move_repo(repo, anna.path("new"))
    here = clone(url(anna, repo), tmp_path / "w")
    assert (here.path / ".gitattributes").exists()


def test_a_gzip_and_chunked_negotiation_is_accepted(live_hub: ThreadHub) -> None:
    anna = live_hub.user()
    repo = anna.repo()
    oid = tip(live_hub, repo)
    want = f"want {oid} side-band-64k ofs-delta\n".encode()
    body = b"%04x%b0000" % (len(want) + 4, want) + b"0009done\n"
    plain = live_hub.call("POST", f"/{repo}/git-upload-pack", body)
    packed = live_hub.call(
        "POST", f"/{repo}/git-upload-pack", gzip.compress(body), Content_Encoding="gzip"
    )
    assert plain.status == packed.status == 200
    assert b"PACK" in plain.body
    assert b"PACK" in packed.body


def test_nonsense_is_refused_and_bombs_do_not_inflate(live_hub: ThreadHub) -> None:
    anna = live_hub.user()
    repo = anna.repo()
    for body in (b"", b"zzzz", b"0003", b"0032want " + b"0" * 40, b"\0" * 5000):
        assert live_hub.call("POST", f"/{repo}/git-upload-pack", body).status in (200, 400)
    bomb = gzip.compress(b"\0" * (100 << 20))
    response = live_hub.call("POST", f"/{repo}/git-upload-pack", bomb, Content_Encoding="gzip")
    assert response.status == 413
    assert live_hub.call("GET", f"/{repo}/info/refs").status == 403
    assert live_hub.call("GET", f"/{repo}/info/refs?service=git-shell").status == 403


def test_git_lists_a_thousand_refs_like_the_hub(live_hub: ThreadHub, tmp_path: Path) -> None:
    anna = live_hub.user()
    repo = anna.repo()
    here = clone(url(anna, repo), tmp_path / "w")
    lines = "".join(f"create refs/heads/b{n:04} HEAD\n" for n in range(1000))
    here("update-ref", "--stdin", stdin=lines.encode())
    here("push", "-q", "origin", "--all")
    listed = Clone(tmp_path)("ls-remote", "--heads", url(anna, repo)).splitlines()
    assert len(listed) == 1001
    refs = live_hub.call("GET", f"/api/models/{repo}/refs", token=anna.token).json
    assert sorted(line.split("\t")[1] for line in listed) == sorted(
        branch["ref"] for branch in refs["branches"]
    )
