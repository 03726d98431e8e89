"""In the company shape a node's folder is a cache: any node can be lost and replaced."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.support.hub import ThreadHub
from tests.support.person import Person


def read_all(anna: Person, repos: dict[str, str]) -> dict[str, object]:
    """Read every repository completely: its files, their content, its history, its refs."""
    content: dict[str, object] = {}
    for repo, kind in repos.items():
        where = "" if kind == "model" else f"{kind}s/"
        files = anna.api.list_repo_files(repo, repo_type=kind)
        for name in files:
            response = anna.call("GET", f"/{where}{repo}/resolve/main/{name}")
            assert response.status == 200, (repo, name, response.body)
            content[f"{repo} {name}"] = response.body
        commits = anna.api.list_repo_commits(repo, repo_type=kind)
        content[f"{repo} commits"] = [commit.commit_id for commit in commits]
        content[f"{repo} refs"] = str(anna.api.list_repo_refs(repo, repo_type=kind))
        tree = anna.call("GET", f"/api/{kind}s/{repo}/tree/main?recursive=true&expand=true")
        content[f"{repo} tree"] = tree.json
    return content


def fill(anna: Person) -> dict[str, str]:
    repos = {anna.repo("bert"): "model", anna.repo("squad", "dataset"): "dataset"}
    for repo, kind in repos.items():
        for n in range(3):
            line = {"key": "file", "value": {"path": f"d/{n}.txt", "content": f"{repo} {n}"}}
            assert anna.commit(repo, line, kind=f"{kind}s").status == 200
        anna.api.upload_file(
            path_or_fileobj=b"w" * 9999, path_in_repo="m.bin", repo_id=repo, repo_type=kind
        )
        anna.api.create_tag(repo, tag="v1", tag_message="note", repo_type=kind)
    return repos


def test_a_node_that_loses_its_folder_reads_all_content(
    own_hub: Callable[..., ThreadHub],
) -> None:
    hub = own_hub("company")
    anna = hub.user()
    repos = fill(anna)
    before = read_all(anna, repos)
    lose(hub.settings.git_root)
    assert read_all(anna, repos) == before
    lose(hub.settings.git_root)
    for repo, kind in repos.items():  # the first request to a node may be a write
        line = {"key": "file", "value": {"path": "after.txt", "content": "after"}}
        assert anna.commit(repo, line, kind=f"{kind}s").status == 200
    after = read_all(anna, repos)
    assert all(after[f"{repo} after.txt"] == b"after" for repo in repos)


def test_a_node_that_starts_with_an_empty_folder_reads_all_content(
    own_hub: Callable[..., ThreadHub],
) -> None:
    hub = own_hub("company")
    anna = hub.user()
    repos = fill(anna)
    before = read_all(anna, repos)
    hub.stop()
    shutil.rmtree(hub.settings.data)
    hub.start()
    again = Person(hub, anna.name, anna.pk, anna.token)
    assert read_all(again, repos) == before


def test_two_nodes_over_one_database_see_the_writes_of_both(
    own_hub: Callable[..., ThreadHub], tmp_path: Path
) -> None:
    one = own_hub("company")
    two = ThreadHub("company", one.settings.replace(data=tmp_path / "two")).start()
    try:
        anna = one.user()
        on_two = Person(two, anna.name, anna.pk, anna.token)
        repo = anna.repo()
        for n in range(4):
            writer = (anna, on_two)[n % 2]
            line = {"key": "file", "value": {"path": f"{n}.txt", "content": f"{n}"}}
            assert writer.commit(repo, line).status == 200
            for reader in (anna, on_two):
                response = reader.call("GET", f"/{repo}/resolve/main/{n}.txt")
                assert (response.status, response.body) == (200, f"{n}".encode())
        assert read_all(anna, {repo: "model"}) == read_all(on_two, {repo: "model"})
        anna.api.delete_repo(repo)
        assert on_two.call("GET", f"/api/models/{repo}").code == "RepoNotFound"
    finally:
        two.stop()


def lose(folder: Path) -> None:
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
