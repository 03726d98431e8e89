"""Many refs in one write: the number of statements, and the refusals."""

from __future__ import annotations

from functools import partial

import pytest

from hubstead.commits import RefInTheWay, RefMove, RefMoved, create_tag, list_refs
from hubstead.commits.ref_moves import write_refs
from hubstead.errors import RefExists, RefUpdateFailed
from hubstead.repos import Repo
from tests.support.round_trips import record_calls

from .conftest import CommitNode


async def a_commit(node: CommitNode) -> tuple[Repo, str]:
    repo = await node.make()
    return repo, (await node.put(repo, {"a": b"x"})).commit


async def move(node: CommitNode, repo: Repo, *moves: RefMove) -> None:
    await node.db.write(partial(write_refs, repo_pk=repo.pk, moves=moves))


def tags(count: int, oid: str) -> list[RefMove]:
    return [RefMove(f"refs/tags/v{number}/x", None, oid) for number in range(count)]


async def names(node: CommitNode, repo: Repo) -> set[str]:
    return {ref.name.removeprefix("refs/") for ref in await list_refs(node.db, repo.pk)}


@pytest.mark.parametrize("count", [2, 200])
async def test_any_number_of_refs_takes_the_same_number_of_statements(
    node: CommitNode, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    repo, oid = await a_commit(node)
    created = tags(count, oid)
    moved = [RefMove(tag.ref, oid, "f" * 40) for tag in created[::2]]
    deleted = [RefMove(tag.ref, oid, None) for tag in created[1::2]]
    calls = await record_calls(node.db, monkeypatch)
    await move(node, repo, *created)
    assert len(calls) == 4, calls  # the refs, the names above and below, the rows
    calls.clear()
    await move(node, repo, *moved, *deleted)
    assert len(calls) == 3, calls
    assert await names(node, repo) == {"heads/main"} | {
        tag.ref.removeprefix("refs/") for tag in moved
    }


async def test_all_refs_that_cannot_move_are_named_together_and_none_moves(
    node: CommitNode,
) -> None:
    repo, oid = await a_commit(node)
    await create_tag(node.stores, node.anna, repo, "a/b", revision="main")
    before = await names(node, repo)
    with pytest.raises(RefUpdateFailed) as refused:
        await move(
            node,
            repo,
            RefMove("refs/tags/a/b", None, oid),
            RefMove("refs/tags/new", None, oid),
            RefMove("refs/heads/main", "f" * 40, oid),
            RefMove("refs/heads/gone", oid, None),
        )
    faults = [refused.value, *refused.value.others]
    assert [type(fault) for fault in faults] == [RefExists, RefMoved, RefMoved]
    assert [fault.oid for fault in faults if isinstance(fault, RefMoved)] == [oid, "it is gone"]
    assert await names(node, repo) == before


async def test_names_that_exclude_each_other_are_refused_within_one_write(node: CommitNode) -> None:
    repo, oid = await a_commit(node)
    await create_tag(node.stores, node.anna, repo, "a/b", revision="main")
    wanted = ["a", "a/b/c", "n/1", "n", "m", "m/1", "a-b", "a.b", "a/c"]
    with pytest.raises(RefInTheWay) as refused:
        await move(node, repo, *[RefMove(f"refs/tags/{name}", None, oid) for name in wanted])
    faults = [refused.value, *refused.value.others]
    assert [fault.ref.removeprefix("refs/tags/") for fault in faults] == ["a", "a/b/c", "n", "m/1"]


async def test_a_ref_makes_room_for_those_below_in_the_same_write(node: CommitNode) -> None:
    repo, oid = await a_commit(node)
    await move(node, repo, RefMove("refs/tags/a", None, oid))
    await move(node, repo, RefMove("refs/tags/a/b", None, oid), RefMove("refs/tags/a", oid, None))
    assert await names(node, repo) == {"heads/main", "tags/a/b"}


async def test_a_name_that_no_database_can_store_is_a_missing_ref(node: CommitNode) -> None:
    repo, oid = await a_commit(node)
    with pytest.raises(RefMoved, match="it is gone"):
        await move(node, repo, RefMove("refs/tags/\udcff", oid, None))
