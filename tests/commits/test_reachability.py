"""A node's cache of reachable commits, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from hubstead.accounts import Actor
from hubstead.commits import (
    HEADS,
    RefMove,
    WritePlan,
    create_branch,
    create_tag,
    delete_branch,
    move_refs,
    resolve_revision,
    squash,
)
from hubstead.errors import RevisionNotFound
from hubstead.gitstore import GitRepo, OidSet
from hubstead.repos import Repo, Right, open_repo
from tests.commits.conftest import CommitNode
from tests.support.factories import a_user
from tests.support.round_trips import record_calls


class Reader:
    """A user without rights to write; ``walks`` counts the walks of history."""

    def __init__(self, node: CommitNode, ben: Actor) -> None:
        self.node = node
        self.ben = ben
        self.walks = 0

    async def reads(self, repo: Repo, text: str) -> bool:
        row = await open_repo(self.node.db, self.ben, repo.repo_id)
        return await self.reads_as_of(row, text)

    async def reads_as_of(self, repo: Repo, text: str) -> bool:
        git = await self.node.stores.open_git(repo)
        try:
            await resolve_revision(self.node.stores, self.ben, repo, git, text)
        except RevisionNotFound:
            return False
        return True


@pytest.fixture
def reader(
    node: CommitNode,
    run: Callable[[Coroutine[Any, Any, Any]], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Reader:
    reader = Reader(node, run(a_user(node.db, "ben")))
    original = GitRepo.walk_commits

    def walk_commits(git: GitRepo, *args: Any) -> Any:
        reader.walks += 1
        return original(git, *args)

    monkeypatch.setattr(GitRepo, "walk_commits", walk_commits)
    return reader


async def history(node: CommitNode, repo: Repo, count: int) -> list[str]:
    return [(await node.put(repo, {"a": b"%d" % number})).commit for number in range(count)]


async def test_a_download_at_a_known_commit_walks_nothing_and_queries_no_more_than_at_the_branch(
    node: CommitNode, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = await node.make()
    commits = await history(node, repo, 5)
    assert await reader.reads(repo, commits[0])
    walks = reader.walks
    calls = await record_calls(node.db, monkeypatch)
    assert await reader.reads(repo, "main")
    at_branch = len(calls)
    for sha in commits:
        calls.clear()
        assert await reader.reads(repo, sha)
        assert len(calls) == at_branch
    assert reader.walks == walks


async def test_a_new_commit_costs_one_walk_of_its_new_commits(
    node: CommitNode, reader: Reader
) -> None:
    repo = await node.make()
    commits = await history(node, repo, 3)
    assert await reader.reads(repo, commits[0])
    commits += await history(node, repo, 2)
    walks = reader.walks
    for sha in commits:
        assert await reader.reads(repo, sha)
    assert reader.walks == walks + 1


async def test_a_request_that_read_an_older_tip_walks_nothing_again(
    node: CommitNode, reader: Reader
) -> None:
    repo = await node.make()
    commits = await history(node, repo, 2)
    older = await open_repo(node.db, reader.ben, repo.repo_id)
    assert await reader.reads_as_of(older, commits[0])
    commits += await history(node, repo, 1)
    assert await reader.reads(repo, commits[0])
    walks = reader.walks
    for _ in range(3):
        assert await reader.reads_as_of(older, commits[0])
        assert await reader.reads(repo, commits[0])
    assert reader.walks == walks


async def test_commits_of_a_deleted_branch_are_unreachable_at_once(
    node: CommitNode, reader: Reader
) -> None:
    repo = await node.make()
    commits = await history(node, repo, 3)
    assert await reader.reads(repo, commits[1])
    plan = WritePlan((RefMove(HEADS + "main", commits[2], commits[0]),))
    await node.db.write(move_refs, node.anna, repo, plan, Right.WRITE)
    assert [await reader.reads(repo, sha) for sha in commits] == [True, False, False]
    await squash(node.stores, node.anna, await node.open(repo), "main", None)
    assert [await reader.reads(repo, sha) for sha in commits] == [False, False, False]


async def test_another_ref_makes_a_commit_reachable_until_its_deletion(
    node: CommitNode, reader: Reader
) -> None:
    repo = await node.make()
    commits = await history(node, repo, 3)
    repo = await node.open(repo)
    await create_branch(node.stores, node.anna, repo, "dev", start=commits[1])
    await create_tag(node.stores, node.anna, repo, "t", revision=commits[0], message="t")
    await squash(node.stores, node.anna, repo, "main", None)
    assert [await reader.reads(repo, sha) for sha in commits] == [True, True, False]
    assert [await reader.reads(repo, sha[:9]) for sha in commits] == [True, True, False]
    await delete_branch(node.stores, node.anna, repo, "dev")
    assert [await reader.reads(repo, sha) for sha in commits] == [True, False, False]
    assert [await reader.reads(repo, sha[:9]) for sha in commits] == [True, False, False]


async def test_another_node_reads_commits_that_it_had_to_fetch(
    node: CommitNode, reader: Reader
) -> None:
    repo = await node.make()
    commits = await history(node, repo, 2)
    assert await reader.reads(repo, commits[0])
    two = node.other("git-2")
    git = await two.git(repo)
    there = await open_repo(node.db, reader.ben, repo.repo_id)
    commits += await history(node, repo, 1)
    for stale in (there, await open_repo(node.db, reader.ben, repo.repo_id)):
        revision = await resolve_revision(two.stores, reader.ben, stale, git, commits[0])
        assert revision.commit == commits[0]


def test_a_set_of_ids_is_the_same_in_any_order_of_growth() -> None:
    raw = [number.to_bytes(20, "big") for number in range(0, 6000, 2)]
    grown = OidSet(raw[:1000])
    for start in range(1000, 3000, 300):
        grown = grown.union(raw[start : start + 300])
    for number in (0, 1, 1998, 1999, 2000, 5998, 5999, 6000):
        expected = number % 2 == 0 and number < 6000
        assert (number.to_bytes(20, "big").hex() in grown) == expected
    prefix = f"{5998:040x}"[:38]
    wanted = [f"{number:040x}" for number in range(0, 6000, 2) if f"{number:040x}"[:38] == prefix]
    assert sorted(grown.with_prefix(prefix)) == wanted
    assert len(grown) == 3000
