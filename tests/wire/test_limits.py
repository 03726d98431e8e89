"""Limits of what one owner or one repository may have: they hold on every way in."""

from __future__ import annotations

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
