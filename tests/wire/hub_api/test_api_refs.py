"""Branches, tags, histories, comparisons, and the deletion of large files."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlsplit

import pytest
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, RevisionNotFoundError
from tests.support.hub import ThreadHub
from tests.support.person import Person


@pytest.fixture
def anna(live_hub: ThreadHub) -> Person:
    return live_hub.user("anna")


@pytest.fixture
def repo(anna: Person) -> str:
    return anna.repo()


def add(path: str, content: str = "x") -> dict[str, Any]:
    return {"key": "file", "value": {"path": path, "content": content}}


def sha_of(anna: Person, repo: str, rev: str = "main") -> str:
    return str(anna.api.model_info(repo, revision=rev).sha)


def test_branches_start_at_the_requested_revision(anna: Person, repo: str) -> None:
    first = sha_of(anna, repo)
    second = anna.commit(repo, add("a")).json["commitOid"]
    anna.api.create_branch(repo, branch="dev")
    anna.api.create_branch(repo, branch="old", revision=first)
    anna.api.create_branch(repo, branch="short", revision=first[:8])
    anna.api.create_branch(repo, branch="from/branch", revision="old")
    branches = {branch.name: branch for branch in anna.api.list_repo_refs(repo).branches}
    assert {name: branch.target_commit for name, branch in branches.items()} == {
        "dev": second,
        "from/branch": first,
        "main": second,
        "old": first,
        "short": first,
    }
    assert branches["from/branch"].ref == "refs/heads/from/branch"


def test_a_branch_is_created_once_and_replaced_only_on_request(anna: Person, repo: str) -> None:
    first = sha_of(anna, repo)
    anna.api.create_branch(repo, branch="dev")
    with pytest.raises(HfHubHTTPError, match="Reference already exists"):
        anna.api.create_branch(repo, branch="dev")
    anna.api.create_branch(repo, branch="dev", exist_ok=True)
    anna.commit(repo, add("a"), rev="dev")
    target = f"/api/models/{repo}/branch/dev"
    response = anna.call("POST", target, {"startingPoint": first, "overwrite": True})
    assert response.status == 200
    assert sha_of(anna, repo, "dev") == first


def test_an_empty_branch_has_one_commit_without_files(anna: Person, repo: str) -> None:
    assert anna.call("POST", f"/api/models/{repo}/branch/new", {"emptyBranch": True}).status == 200
    assert anna.api.list_repo_files(repo, revision="new") == []
    assert len(anna.api.list_repo_commits(repo, revision="new")) == 1
    assert anna.commit(repo, add("a"), rev="new").status == 200


@pytest.mark.parametrize("name", ["refs/pr/5", "a..b", "a b", "-a", "HEAD", "a.lock", "a~1"])
def test_names_that_git_would_refuse_are_refused(anna: Person, repo: str, name: str) -> None:
    with pytest.raises(BadRequestError, match="Invalid reference for a branch"):
        anna.api.create_branch(repo, branch=name)


def test_a_branch_is_deleted_and_the_default_one_is_not(anna: Person, repo: str) -> None:
    anna.api.create_branch(repo, branch="a/b")
    anna.api.delete_branch(repo, branch="a/b")
    # Suites up to 0.31 match the first words, later ones the others.
    for words in ("Reference does not exist", "Invalid rev id"):
        with pytest.raises(RevisionNotFoundError, match=words):
            anna.api.delete_branch(repo, branch="a/b")
    with pytest.raises(HfHubHTTPError, match="Cannot delete refs/heads/main"):
        anna.api.delete_branch(repo, branch="main")


def test_tags_point_to_their_revisions(anna: Person, repo: str) -> None:
    first = sha_of(anna, repo)
    anna.api.create_tag(repo, tag="v1")
    anna.commit(repo, add("a"))
    anna.api.create_tag(repo, tag="v0/rc", revision=first[:7], tag_message="a note")
    anna.api.create_tag(repo, tag="v1", exist_ok=True)
    with pytest.raises(HfHubHTTPError, match="409"):
        anna.api.create_tag(repo, tag="v1")
    tags = {tag.name: tag.target_commit for tag in anna.api.list_repo_refs(repo).tags}
    assert tags == {"v0/rc": first, "v1": first}
    assert sha_of(anna, repo, "v0/rc") == first
    anna.api.delete_tag(repo, tag="v0/rc")
    with pytest.raises(RevisionNotFoundError):
        anna.api.delete_tag(repo, tag="v0/rc")
    assert anna.api.delete_tag(repo, tag="v1") is None


def test_a_ref_named_like_a_folder_of_a_revision_hides_nothing(anna: Person, repo: str) -> None:
    old = anna.commit(repo, add("f.txt", "wrong"), add("d/old", "")).json["commitOid"]
    new = anna.commit(repo, add("d/f.txt", "right"), add("d/new", "")).json["commitOid"]
    anna.api.create_branch(repo, branch="dev")
    for name in ("main/d", "dev/d", "HEAD/d", f"{new}/d", f"{new[:9]}/d"):
        anna.api.create_tag(repo, tag=name, revision=old)
    for rev in ("main", "dev", "HEAD", new, new.upper(), new[:9], "refs/heads/dev"):
        for action in ("resolve", "raw"):
            assert anna.call("GET", f"/{repo}/{action}/{rev}/d/f.txt").body == b"right", (
                action,
                rev,
            )
        entries = anna.call("GET", f"/api/models/{repo}/tree/{rev}/d").json
        assert [item["path"] for item in entries] == ["d/f.txt", "d/new", "d/old"]
        for page, shown in (("tree/{}/d", "d/new"), ("blob/{}/d/f.txt", "right")):
            entries = anna.call("GET", f"/{repo}/{page.format(rev)}")
            assert shown in entries.body.decode(), page
    encoded = anna.call("GET", f"/{repo}/resolve/{new}%2Fd/f.txt")
    assert encoded.body == b"wrong"
    lacking = anna.call("GET", f"/{repo}/resolve/{'e' * 40}/d/f.txt")
    assert (lacking.status, lacking.code) == (404, "RevisionNotFound")


def test_a_branch_wins_over_a_tag_of_its_name(anna: Person, repo: str) -> None:
    anna.api.create_tag(repo, tag="both")
    anna.commit(repo, add("a"))
    anna.api.create_branch(repo, branch="both")
    assert sha_of(anna, repo, "both") == sha_of(anna, repo)


def test_refs_of_pull_requests_are_listed_on_request(anna: Person, repo: str) -> None:
    assert "pullRequests" not in anna.call("GET", f"/api/models/{repo}/refs").json
    refs = anna.api.list_repo_refs(repo, include_pull_requests=True)
    assert (refs.pull_requests, refs.converts) == ([], [])


def test_commits_come_in_pages_newest_first_with_their_number(anna: Person, repo: str) -> None:
    shas = [anna.commit(repo, add("a", str(n))).json["commitOid"] for n in range(5)]
    response = anna.call("GET", f"/api/models/{repo}/commits/main?limit=4&expand[]=formatted")
    assert response.headers["x-total-count"] == "6"
    assert [item["id"] for item in response.json] == shas[:0:-1]
    assert response.json[0]["formatted"]["title"] == "test"
    link = response.headers["link"]
    assert link.startswith(f"<{anna.hub.url}/api/models/{repo}/commits/main?")
    parts = urlsplit(link.partition(">")[0][1:])
    rest = anna.call("GET", f"{parts.path}?{parts.query}")
    assert [item["title"] for item in rest.json] == ["test", "initial commit"]
    assert "link" not in rest.headers
    assert anna.call("GET", f"/api/models/{repo}/commits/main?p=9").json == []
    assert len(anna.api.list_repo_commits(repo)) == 6


def test_titles_are_text_and_not_markup(anna: Person, repo: str) -> None:
    anna.commit(repo, add("a"), summary="<b>&", description="<script>")
    response = anna.call("GET", f"/api/models/{repo}/commits/main?expand=formatted")
    assert response.json[0]["title"] == "<b>&"
    assert response.json[0]["formatted"] == {"title": "&lt;b&gt;&amp;", "message": "&lt;script&gt;"}


def test_two_revisions_are_compared_as_a_diff(anna: Person, repo: str) -> None:
    anna.commit(repo, add("a.txt", "one\n"))
    anna.api.create_branch(repo, branch="100%25")
    anna.commit(repo, add("a.txt", "two\n"), rev="100%2525")
    anna.commit(repo, add("b.txt", "b\n"))
    both = anna.call("GET", f"/api/models/{repo}/compare/main..100%2525")
    assert both.headers["content-type"].startswith("text/plain")
    assert "-one\n+two\n" in both.body.decode()
    assert "-b\n" in both.body.decode()
    since = anna.call("GET", f"/api/models/{repo}/compare/main...100%2525")
    assert "-one\n+two\n" in since.body.decode()
    assert "b.txt" not in since.body.decode()
    assert anna.call("GET", f"/api/models/{repo}/compare/main..main").body == b""


def test_a_squash_leaves_the_files_and_one_commit(anna: Person, repo: str) -> None:
    for n in range(3):
        anna.commit(repo, add(f"{n}"))
    before = sha_of(anna, repo)
    files = anna.api.list_repo_files(repo)
    anna.api.super_squash_history(repo, commit_message="all of it")
    commits = anna.api.list_repo_commits(repo)
    assert [commit.title for commit in commits] == ["all of it"]
    assert anna.api.list_repo_files(repo) == files
    assert sha_of(anna, repo) == commits[0].commit_id != before


# -- large files -------------------------------------------------------------------------------


def upload(anna: Person, repo: str, path: str, data: bytes) -> str:
    anna.api.upload_file(path_or_fileobj=data, path_in_repo=path, repo_id=repo)
    return hashlib.sha256(data).hexdigest()


def test_large_files_are_listed_newest_first_page_by_page(anna: Person, repo: str) -> None:
    shas = [upload(anna, repo, f"{n}.bin", f"{n}".encode() * 99) for n in range(3)]
    files = list(anna.api.list_lfs_files(repo))
    assert [file.file_oid for file in files] == shas[::-1]
    assert [file.filename for file in files] == ["2.bin", "1.bin", "0.bin"]
    assert files[0].size == 99
    assert getattr(files[0], "pusher", None) is not None
    first = anna.call("GET", f"/api/models/{repo}/lfs-files?limit=2")
    parts = urlsplit(first.headers["link"].partition(">")[0][1:])
    second = anna.call("GET", f"{parts.path}?{parts.query}")
    assert [item["fileOid"] for item in [*first.json, *second.json]] == shas[::-1]
    assert "link" not in second.headers


def test_large_files_have_the_branch_of_their_upload(anna: Person, repo: str) -> None:
    upload(anna, repo, "first.bin", b"first" * 99)
    anna.api.create_branch(repo, branch="dev/2")
    anna.api.upload_file(
        path_or_fileobj=b"other" * 99, path_in_repo="other.bin", repo_id=repo, revision="dev/2"
    )
    refs = {file.filename: file.ref for file in anna.api.list_lfs_files(repo)}
    assert refs == {"first.bin": "main", "other.bin": "dev/2"}


def test_large_files_are_removed_from_every_commit(anna: Person, repo: str) -> None:
    removed = upload(anna, repo, "removed.bin", b"removed" * 99)
    upload(anna, repo, "other.bin", b"other" * 99)
    anna.api.create_branch(repo, branch="dev")
    anna.api.create_tag(repo, tag="v1")
    files = [file for file in anna.api.list_lfs_files(repo) if file.file_oid == removed]
    anna.api.permanently_delete_lfs_files(repo, files)
    for rev in ("main", "dev", "v1"):
        assert anna.api.list_repo_files(repo, revision=rev) == [".gitattributes", "other.bin"]
    assert [file.filename for file in anna.api.list_lfs_files(repo)] == ["other.bin"]
    assert len(anna.api.list_repo_commits(repo)) == 3
    assert anna.call("GET", f"/{repo}/resolve/v1/other.bin").body == b"other" * 99
    response = anna.commit(repo, {"key": "lfsFile", "value": {"path": "again.bin", "oid": removed}})
    assert response.status == 400


def test_one_large_file_is_deleted_by_its_address(anna: Person, repo: str) -> None:
    sha = upload(anna, repo, "a.bin", b"a" * 99)
    target = f"/api/models/{repo}/lfs-files/{sha}?rewriteHistory=true"
    assert anna.call("DELETE", target).status == 200
    assert anna.api.list_repo_files(repo) == [".gitattributes"]


# -- conversions -------------------------------------------------------------------------------


def test_a_writer_creates_fills_and_deletes_a_conversion(anna: Person) -> None:
    repo = anna.repo("text", "dataset")
    api, ref = anna.api, "refs/convert/parquet"
    api.create_branch(repo, branch=ref, repo_type="dataset")
    with pytest.raises(HfHubHTTPError, match="Reference already exists"):
        api.create_branch(repo, branch="~parquet", repo_type="dataset")
    api.upload_file(
        path_or_fileobj=b"PAR1",
        path_in_repo="default/train/0000.parquet",
        repo_id=repo,
        repo_type="dataset",
        revision=ref,
    )
    listed = api.list_repo_refs(repo, repo_type="dataset")
    assert [(row.name, row.ref) for row in listed.converts] == [("parquet", ref)]
    assert [row.name for row in listed.branches] == ["main"]
    assert "default/train/0000.parquet" not in api.list_repo_files(repo, repo_type="dataset")
    api.super_squash_history(repo, branch="~parquet", repo_type="dataset")
    assert len(api.list_repo_commits(repo, repo_type="dataset", revision="~parquet")) == 1
    api.delete_branch(repo, branch=ref, repo_type="dataset")
    with pytest.raises(RevisionNotFoundError):
        api.dataset_info(repo, revision="~parquet")


@pytest.fixture(scope="module")
def converted(embedded_hub: ThreadHub) -> tuple[Person, str]:
    """A data set with ``data/a.parquet`` in its conversion ``parquet``, and its writer."""
    anna = embedded_hub.user("anna")
    repo = anna.repo("text", "dataset")
    anna.api.create_branch(repo, branch="refs/convert/parquet", repo_type="dataset")
    commit = anna.commit(repo, add("data/a.parquet"), kind="datasets", rev="~parquet")
    assert commit.status == 200
    return anna, repo


@pytest.mark.parametrize("alias", ["~parquet", "%7Eparquet", "%7eparquet", "refs/convert/parquet"])
@pytest.mark.parametrize(
    "path",
    [
        "/api/datasets/{repo}/revision/{rev}",
        "/api/datasets/{repo}/tree/{rev}",
        "/api/datasets/{repo}/tree/{rev}/data",
        "/api/datasets/{repo}/tree/{rev}?recursive=true&limit=1",
        "/api/datasets/{repo}/commits/{rev}",
        "/api/datasets/{repo}/compare/main..{rev}",
        "/api/datasets/{repo}/xet-read-token/{rev}",
        "/datasets/{repo}/resolve/{rev}/data/a.parquet",
        "/datasets/{repo}/raw/{rev}/data/a.parquet",
        "/datasets/{repo}/tree/{rev}/data",
        "/datasets/{repo}/blob/{rev}/data/a.parquet",
        "/datasets/{repo}/commits/{rev}",
    ],
)
def test_a_tilde_is_the_alias_of_a_conversion_on_every_route(
    converted: tuple[Person, str], path: str, alias: str
) -> None:
    anna, repo = converted
    for spelling in (repo, repo.replace("/", "%2F")):
        response = anna.call("GET", path.format(repo=spelling, rev=alias))
        assert response.status == 200
        if "compare" not in path:
            assert (
                response.headers["x-repo-commit"]
                == anna.api.dataset_info(repo, revision="refs/convert/parquet").sha
            )
        missing = anna.call("GET", path.format(repo=spelling, rev=f"{alias}-none"))
        assert missing.status == 404


def test_writes_take_the_alias_of_a_conversion(converted: tuple[Person, str]) -> None:
    anna, repo = converted
    start = f"/api/datasets/{repo}"
    files = {"files": [{"path": "data/a.parquet", "size": 1, "sample": ""}]}
    choice = anna.call("POST", f"{start}/preupload/~parquet", files).json["files"][0]
    assert choice["oid"]
    assert anna.call("POST", f"{start}/paths-info/~parquet", {"paths": ["data"]}).json
    assert anna.call("GET", f"{start}/xet-write-token/~parquet").status == 200
    assert anna.call("POST", f"{start}/branch/copy", {"startingPoint": "~parquet"}).status == 200
    assert anna.call("POST", f"{start}/tag/~parquet", {"tag": "v1"}).status == 200
    shas = {sha_of_dataset(anna, repo, rev) for rev in ("copy", "v1", "~parquet")}
    assert len(shas) == 1


def sha_of_dataset(anna: Person, repo: str, rev: str) -> str:
    return str(anna.api.dataset_info(repo, revision=rev).sha)


def test_a_stranger_neither_creates_nor_deletes_a_conversion(
    converted: tuple[Person, str], embedded_hub: ThreadHub
) -> None:
    _, repo = converted
    bert = embedded_hub.user("bert")
    for method in ("POST", "DELETE"):
        target = f"/api/datasets/{repo}/branch/refs%2Fconvert%2Fparquet"
        assert bert.call(method, target, {}).status == 403
