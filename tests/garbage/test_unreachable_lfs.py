"""LFS files that no ref reaches lose their links, and no others do."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Iterable

import pytest

from hubstead import garbage
from hubstead.commits import create_tag, delete_branch, delete_tag, squash
from hubstead.errors import BlobMissing, RepoNotFound
from hubstead.garbage import GarbageKind, GarbageState, collect_garbage
from hubstead.garbage.unreachable_lfs import ATTEMPTS, IN_GRACE, MOVING
from hubstead.ids import Kind, RepoId
from hubstead.repos import Repo, load_details
from tests.garbage.conftest import GarbageHub, of


async def test_a_file_of_the_history_stays_after_its_deletion(hub: GarbageHub) -> None:
    bert = await hub.make()
    old = await hub.put(bert, "a.bin", b"old")
    await hub.remove(bert, "a.bin")
    new = await hub.put(bert, "b.bin", b"new")
    assert await hub.gc() == []
    assert await hub.links(bert) == {old, new}


async def test_a_file_of_a_deleted_branch_is_unlinked(hub: GarbageHub) -> None:
    bert = await hub.make()
    reachable = await hub.put(bert, "a.bin", b"reachable")
    await hub.branch(bert, "try")
    unreachable = await hub.put(bert, "b.bin", b"lost" * 10, branch="try")
    assert await hub.gc() == []
    await delete_branch(hub.stores, hub.anna, await hub.open(bert), "try")
    used = (await load_details(hub.stores.db, bert)).used_bytes
    [count] = of(await hub.gc(), GarbageKind.LFS_LINK)
    assert (count.things, count.bytes, count.removed) == (1, 40, 1)
    assert count.repository == "models/anna/bert"
    assert await hub.links(bert) == {reachable}
    assert await hub.unreferenced() == {unreachable}
    assert (await load_details(hub.stores.db, bert)).used_bytes == used - 40


async def test_a_dry_run_changes_nothing(hub: GarbageHub) -> None:
    bert = await hub.make()
    await hub.put(bert, "a.bin", b"one")
    await squashed(hub, bert)
    await hub.put(bert, "a.bin", b"two")
    await squashed(hub, bert)
    before = await hub.links(bert)
    [count] = await hub.gc(remove=False)
    assert (count.what, count.when, count.things) == (GarbageKind.LFS_LINK, GarbageState.NOW, 1)
    assert await hub.links(bert) == before
    assert await hub.unreferenced() == set()


async def squashed(hub: GarbageHub, repo: object) -> None:
    row = await hub.open(repo)  # type: ignore[arg-type]
    await squash(hub.stores, hub.anna, row, "main", None)


@pytest.mark.parametrize("message", [None, "annotated"])
async def test_a_tag_protects_what_its_branch_left_behind(
    hub: GarbageHub, message: str | None
) -> None:
    bert = await hub.make()
    old = await hub.put(bert, "a.bin", b"old")
    repo = await hub.open(bert)
    await create_tag(hub.stores, hub.anna, repo, "v1", revision="main", message=message)
    await hub.remove(bert, "a.bin")
    await squashed(hub, bert)
    assert await hub.gc() == []
    await delete_tag(hub.stores, hub.anna, repo, "v1")
    assert of(await hub.gc(), GarbageKind.LFS_LINK)[0].removed == 1
    assert await hub.unreferenced() == {old}


async def test_the_grace_period_counts_from_the_last_ref_update(hub: GarbageHub) -> None:
    bert = await hub.make()
    name = await hub.put(bert, "a.bin", b"old")
    await hub.branch(bert, "try")
    await hub.remove(bert, "a.bin")
    await squashed(hub, bert)
    await hub.pass_time(100)
    await delete_branch(hub.stores, hub.anna, await hub.open(bert), "try")
    [waiting] = await hub.gc(days=14)
    assert (waiting.when, waiting.reason) == (GarbageState.LATER, IN_GRACE)
    assert await hub.links(bert) == {name}
    await hub.pass_time(13)
    assert (await hub.gc(days=14))[0].when is GarbageState.LATER
    await hub.pass_time(1.1)
    assert of(await hub.gc(days=14), GarbageKind.LFS_LINK)[0].removed == 1


async def test_a_recent_file_stays(hub: GarbageHub) -> None:
    bert = await hub.make()
    await hub.put(bert, "a.bin", b"old")
    await squashed(hub, bert)
    await hub.remove(bert, "a.bin")
    await squashed(hub, bert)
    [waiting] = await hub.gc(days=1)
    assert (waiting.when, waiting.bytes) == (GarbageState.LATER, 3)


async def test_a_file_that_another_repository_links_loses_only_this_link(hub: GarbageHub) -> None:
    bert, gpt = await hub.make(), await hub.make("gpt")
    name = await hub.put(bert, "a.bin", b"both")
    await hub.put(gpt, "a.bin", b"both")
    await hub.remove(bert, "a.bin")
    await squashed(hub, bert)
    await hub.gc()
    assert (await hub.links(bert), await hub.links(gpt)) == (set(), {name})
    assert await hub.unreferenced() == set()


async def test_a_held_upload_is_left_alone(hub: GarbageHub) -> None:
    bert = await hub.make()
    held = await hub.upload(bert, b"soon to be committed")
    assert of(await hub.gc(), GarbageKind.HOLD, GarbageState.LATER)[0].things == 1
    assert await hub.links(bert) == {held}
    await hub.commit_pointer(bert, "a.bin", b"soon to be committed")
    assert await hub.gc() == []


async def test_an_upload_with_an_expired_hold_is_unlinked(hub: GarbageHub) -> None:
    bert = await hub.make()
    await hub.upload(bert, b"forgotten", hold_ms=-1000)
    [count] = of(await hub.gc(remove=False), GarbageKind.HOLD)
    assert (count.bytes, count.repository) == (9, "models/anna/bert")
    [count] = of(await hub.gc(), GarbageKind.HOLD)
    assert count.removed == 1
    assert await hub.links(bert) == set()


def during_walks(
    hub: GarbageHub, interfere: Callable[[], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> GarbageHub:
    """Return the hub with a storage that calls ``interfere`` in every walk, after its refs."""
    storage = copy.copy(hub.stores)
    fetch = storage.fetch_missing_packs

    async def fetch_and_interfere(repo: Repo, commits: Iterable[str]) -> None:
        await fetch(repo, commits)
        await interfere()

    monkeypatch.setattr(storage, "fetch_missing_packs", fetch_and_interfere)
    return GarbageHub(storage, hub.anna)


async def test_a_file_that_a_commit_brings_back_at_the_last_moment_stays(
    hub: GarbageHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit comes between the read of the refs and the transaction that unlinks."""
    bert = await hub.make()
    name = await hub.put(bert, "a.bin", b"again")
    await hub.remove(bert, "a.bin")
    await squashed(hub, bert)
    committed = False

    async def commit_again() -> None:
        nonlocal committed
        if not committed:
            committed = True
            await hub.commit_pointer(bert, "b.bin", b"again")

    assert await during_walks(hub, commit_again, monkeypatch).gc() == []
    assert committed
    assert await hub.links(bert) == {name}
    assert await hub.unreferenced() == set()


async def test_a_commit_of_a_just_unlinked_file_is_refused(
    hub: GarbageHub,
) -> None:
    bert = await hub.make()
    await hub.put(bert, "a.bin", b"gone")
    await hub.remove(bert, "a.bin")
    await squashed(hub, bert)
    await hub.gc()
    with pytest.raises(BlobMissing):
        await hub.commit_pointer(bert, "b.bin", b"gone")
    await hub.put(bert, "b.bin", b"gone")
    assert await hub.unreferenced() == set()
    assert await hub.findings() == []


async def test_refs_that_change_all_the_time_are_reported_and_nothing_is_unlinked(
    hub: GarbageHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    bert = await hub.make()
    name = await hub.put(bert, "a.bin", b"old")
    await hub.remove(bert, "a.bin")
    await squashed(hub, bert)
    branches = 0

    async def add_branch() -> None:
        nonlocal branches
        branches += 1
        await hub.branch(bert, f"b{branches}")

    restless = during_walks(hub, add_branch, monkeypatch)
    counts = await collect_garbage(restless.stores, grace_ms=0, remove=True, git=False)
    assert [count.reason for count in counts if count.when is GarbageState.NEVER] == [MOVING]
    assert branches == ATTEMPTS
    assert await hub.links(bert) == {name}


async def test_a_damaged_repository_is_reported_and_loses_nothing(hub: GarbageHub) -> None:
    bert = await hub.make()
    name = await hub.put(bert, "a.bin", b"reachable")
    await hub.pass_time(100)
    folder = hub.stores.git.packs_path(bert.id)
    for path in folder.glob("pack-*.*"):
        path.unlink()
    hub.stores.git.forget(bert.id)
    hub.stores.look_again(bert.id)
    if hub.stores.packs_are_blobs:  # they are fetched again
        assert await hub.gc() == []
    else:
        [count] = await collect_garbage(hub.stores, grace_ms=0, remove=True)
        assert count.when is GarbageState.NEVER
        assert count.reason.startswith("not examined: ")
    assert await hub.links(bert) == {name}


async def test_one_repository_can_be_selected(hub: GarbageHub) -> None:
    bert, gpt = await hub.make(), await hub.make("gpt")
    for repo in (bert, gpt):
        await hub.put(repo, "a.bin", b"x" * 100)
        await hub.remove(repo, "a.bin")
        await squashed(hub, repo)
    [count] = await hub.gc(only=RepoId(Kind.MODEL, "Anna", "GPT"))
    assert (count.repository, count.removed) == ("models/anna/gpt", 1)
    assert len(await hub.links(bert)) == 1
    with pytest.raises(RepoNotFound):
        await hub.gc(only=RepoId(Kind.DATASET, "anna", "gpt"))


async def test_bytes_are_deleted_after_the_grace_period_of_blobs_without_findings_of_doctor(
    hub: GarbageHub,
) -> None:
    bert = await hub.make()
    await hub.put(bert, "a.bin", b"x" * 100)
    await hub.remove(bert, "a.bin")
    await squashed(hub, bert)
    [link, waiting] = await hub.gc()
    assert link.removed == 1
    assert (waiting.what, waiting.when, waiting.bytes) == (
        GarbageKind.BLOB,
        GarbageState.LATER,
        100,
    )
    assert await hub.findings() == []


def test_counts_are_summed_over_repositories() -> None:
    one = garbage.GarbageCount(GarbageKind.LFS_LINK, GarbageState.NOW, "r", 1, 10, "models/a/b", 1)
    two = garbage.GarbageCount(GarbageKind.LFS_LINK, GarbageState.NOW, "r", 2, 20, "models/a/c")
    other = garbage.GarbageCount(GarbageKind.BLOB, GarbageState.LATER, "s", 3, 30)
    totals = list(garbage.total_counts([two, other, one]))
    assert totals == [
        garbage.GarbageCount(GarbageKind.LFS_LINK, GarbageState.NOW, "r", 3, 30, None, 1),
        other,
    ]
