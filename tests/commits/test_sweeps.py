"""Packs and folders that other nodes retired or deleted vanish from every node, and no others."""

from __future__ import annotations

from hubstead.commits import (
    delete_repository,
    delete_retired_rows,
    remove_deleted_repos,
    remove_retired_packs,
    repack_repo,
)
from hubstead.commits.jobs import sweep_folders
from hubstead.repos import Repo
from tests.commits.conftest import CommitNode


async def two_nodes_that_have(node: CommitNode, commits: int) -> tuple[CommitNode, Repo]:
    repo = await node.make()
    other = node.other("other")
    for n in range(commits):
        await node.put(repo, {f"f{n % 3}": str(n).encode()})
        await other.files(repo)
    return other, repo


async def test_packs_that_another_node_repacked_are_removed_here(
    node: CommitNode,
) -> None:
    other, repo = await two_nodes_that_have(node, 12)
    assert await repack_repo(node.stores, repo.id) is not None
    assert await remove_retired_packs(other.stores, grace_ms=60_000) == 0
    await sweep_folders(other.stores, older_than_s=-1)
    assert len(other.stores.git.pack_names(repo.id)) > 12, "those that may still be in use stay"
    for member in (node, other):
        assert await remove_retired_packs(member.stores, grace_ms=-1) > 10
        assert len(member.stores.git.pack_names(repo.id)) < 8
    assert await other.files(repo) == await node.files(repo)
    assert sorted(await other.files(repo)) == ["f0", "f1", "f2"]


async def test_a_node_that_was_away_removes_packs_that_others_repacked(
    node: CommitNode,
) -> None:
    other, repo = await two_nodes_that_have(node, 12)
    assert await repack_repo(node.stores, repo.id) is not None
    await remove_retired_packs(node.stores, grace_ms=-1)
    await delete_retired_rows(node.stores, older_than_ms=-1)
    before = other.stores.git.pack_names(repo.id)
    await sweep_folders(other.stores, older_than_s=60)
    assert other.stores.git.pack_names(repo.id) == before, "they are young"
    await sweep_folders(other.stores, older_than_s=-1)
    assert len(other.stores.git.pack_names(repo.id)) < 8
    assert await other.files(repo) == await node.files(repo)


async def test_the_folder_of_a_repository_that_another_node_deleted_is_removed(
    node: CommitNode,
) -> None:
    other, repo = await two_nodes_that_have(node, 2)
    await delete_repository(node.stores, node.anna, repo.repo_id)
    await sweep_folders(other.stores, older_than_s=-1)
    while await remove_deleted_repos(node.stores, grace_ms=-1):
        pass
    await sweep_folders(other.stores, older_than_s=60)
    assert other.stores.git.exists(repo.id), "it is young"
    await sweep_folders(other.stores, older_than_s=-1)
    assert not other.stores.git.exists(repo.id)


async def test_a_sweep_leaves_packs_in_use(node: CommitNode) -> None:
    other, repo = await two_nodes_that_have(node, 3)
    empty = await node.make("empty")
    await other.stores.open_git(await other.open(empty))
    names = other.stores.git.pack_names(repo.id)
    for member in (node, other):
        await sweep_folders(member.stores, older_than_s=-1)
    assert other.stores.git.pack_names(repo.id) == names
    assert other.stores.git.exists(empty.id)
    assert await node.files(repo) == await other.files(repo) == {"f0": b"0", "f1": b"1", "f2": b"2"}
