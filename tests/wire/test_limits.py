"""Limits of what one owner or one repository may have: they hold on every way in."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub.errors import HfHubHTTPError
from tests.support.git import GitRefused, clone, url
from tests.support.hub import ThreadHub


def test_a_repository_has_so_many_refs_and_no_more(
    own_hub: Callable[..., ThreadHub], tmp_path: Path
) -> None:
    hub = own_hub(max_refs_per_repository=3)
    anna = hub.user()
    repo = anna.repo()
    here = clone(url(anna, repo), tmp_path / "w")
    anna.api.create_branch(repo, branch="dev")
    here("push", "-q", "origin", "main:refs/heads/by-git")
    with pytest.raises(HfHubHTTPError, match="max_refs_per_repository"):
        anna.api.create_branch(repo, branch="over")
    with pytest.raises(HfHubHTTPError, match="max_refs_per_repository"):
        anna.api.create_tag(repo, tag="over")
    with pytest.raises(GitRefused, match="max_refs_per_repository"):
        here("push", "-q", "origin", "main:refs/heads/over")
    assert sorted(branch.name for branch in anna.api.list_repo_refs(repo).branches) == [
        "by-git",
        "dev",
        "main",
    ]
    here("push", "-q", "origin", ":dev", "main:refs/tags/instead")
    anna.api.create_branch(repo, branch="by-git", exist_ok=True)
    anna.api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=repo)


def test_an_owner_has_so_many_repositories_and_no_more(
    own_hub: Callable[..., ThreadHub],
) -> None:
    anna = own_hub(max_repositories_per_owner=2).user()
    for name in ("one", "two"):
        anna.api.create_repo(f"{anna.name}/{name}")
    with pytest.raises(HfHubHTTPError, match="max_repositories_per_owner"):
        anna.api.create_repo(f"{anna.name}/three", repo_type="dataset")
    with pytest.raises(HfHubHTTPError, match="max_repositories_per_owner"):
        anna.api.duplicate_repo(f"{anna.name}/one", f"{anna.name}/three")
    anna.api.delete_repo(f"{anna.name}/one")
    anna.api.create_repo(f"{anna.name}/three")


def test_an_owner_has_so_many_bytes_and_no_more(
    own_hub: Callable[..., ThreadHub], tmp_path: Path
) -> None:
    hub = own_hub(max_bytes_per_owner=250_000)
    anna = hub.user()
    repo = anna.repo()

    def upload(name: str, data: bytes, to: str = repo) -> None:
        anna.api.upload_file(path_or_fileobj=data, path_in_repo=name, repo_id=to)

    upload("large.bin", b"\0" + os.urandom(200_000))
    upload("small.txt", b"small")
    with pytest.raises(HfHubHTTPError, match="max_bytes_per_owner"):
        upload("over.bin", b"\0" + os.urandom(150_000))
    other = anna.repo("other")
    with pytest.raises(HfHubHTTPError, match="max_bytes_per_owner"):
        upload("over.bin", b"\0" + os.urandom(150_000), other)
    with pytest.raises(HfHubHTTPError, match="max_bytes_per_owner"):
        anna.api.duplicate_repo(repo, f"{anna.name}/copy")
    here = clone(url(anna, repo), tmp_path / "w")
    here.commit("over.txt", os.urandom(80_000).hex())
    with pytest.raises(GitRefused, match="max_bytes_per_owner"):
        here("push", "-q", "origin", "main")
    assert "over.txt" not in anna.api.list_repo_files(repo)
    anna.api.delete_file("small.txt", repo_id=repo)  # what removes is never refused
    anna.api.super_squash_history(repo)
    anna.api.delete_repo(repo)
    upload("large.bin", b"\0" + os.urandom(200_000), other)


def test_an_upload_is_refused_before_its_bytes_travel(own_hub: Callable[..., ThreadHub]) -> None:
    anna = own_hub(max_bytes_per_owner=300_000).user()
    repo = anna.repo()
    files = [{"path": "new.bin", "size": 400_000, "sample": "AAAA"}]
    objects = [{"oid": digit * 64, "size": 200_000} for digit in "ab"]
    batch = {"operation": "upload", "transfers": ["basic"], "objects": objects}
    for path, body in (
        (f"/api/models/{repo}/preupload/main", {"files": files}),
        (f"/{repo}.git/info/lfs/objects/batch", batch),
    ):
        answer = anna.call("POST", path, body)
        assert answer.status == 403, answer.body
        assert b"300000 bytes, the most that max_bytes_per_owner allows" in answer.body
    batch["objects"] = objects[:1]
    assert anna.call("POST", f"/{repo}.git/info/lfs/objects/batch", batch).status == 200
