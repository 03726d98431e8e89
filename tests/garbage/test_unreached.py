"""LFS files that no ref leads to are found and let go of, and no others."""

from __future__ import annotations

import pytest

from hubstead import garbage
from hubstead.commits import create_tag, delete_branch, delete_tag, squash
from hubstead.errors import BlobMissing, RepoNotFound
from hubstead.garbage import GarbageKind, GarbageState, collect_garbage
from hubstead.garbage import unreachable_lfs as searching
from hubstead.ids import Kind, RepoId
from hubstead.repos import load_details
from tests.garbage.conftest import GarbageHub, of


async def test_a_file_of_the_history_stays_though_it_was_removed_since(hub: GarbageHub) -> None:
    bert = await hub.make()
    old = await hub.put(bert, "a.bin", b"old")
    await hub.remove(bert, "a.bin")
    new = await hub.put(bert, "b.bin", b"new")
    assert await hub.gc() == []
    assert await hub.links(bert) == {old, new}


async def test_a_file_of_a_deleted_branch_goes(hub: GarbageHub) -> None:
    bert = await hub.make()
    kept = await hub.put(bert, "a.bin", b"kept")
    await hub.branch(bert, "try")
    gone = await hub.put(bert, "b.bin", b"gone" * 10, branch="try")
    assert await hub.gc() == []
    await delete_branch(hub.stores, hub.anna, await hub.open(bert), "try")
    used = (await load_details(hub.stores.db, bert)).used_bytes
    [found] = of(await hub.gc(), GarbageKind.LFS_LINK)
    assert (found.things, found.bytes, found.removed) == (1, 40, 1)
    assert found.repository == "models/anna/bert"
    assert await hub.links(bert) == {kept}
    assert await hub.doomed() == {gone}
    assert (await load_details(hub.stores.db, bert)).used_bytes == used - 40


async def test_a_dry_run_changes_nothing(hub: GarbageHub) -> None:
    bert = await hub.make()
    await hub.put(bert, "a.bin", b"one")
    await squashed(hub, bert)
    await hub.put(bert, "a.bin", b"two")
    await squashed(hub, bert)
    before = await hub.links(bert)
    [found] = await hub.gc(remove=False)
    assert (found.what, found.when, found.things) == (GarbageKind.LFS_LINK, GarbageState.NOW, 1)
    assert await hub.links(bert) == before
    assert await hub.doomed() == set()


async def squashed(hub: GarbageHub, repo: object) -> None:
    opened = await hub.open(repo)  # type: ignore[arg-type]
    await squash(hub.stores, hub.anna, opened, "main", None)


@pytest.mark.parametrize("message", [None, "annotated"])
async def test_a_tag_keeps_what_its_branch_left_behind(
    hub: GarbageHub, message: str | None
) -> None:
    bert = await hub.make()
    old = await hub.put(bert, "a.bin", b"old")
    opened = await hub.open(bert)
    await create_tag(hub.stores, hub.anna, opened, "v1", revision="main", message=message)
    await hub.remove(bert, "a.bin")
    await squashed(hub, bert)
    assert await hub.gc() == []
    await delete_tag(hub.stores, hub.anna, opened, "v1")
    assert of(await hub.gc(), GarbageKind.LFS_LINK)[0].removed == 1
    assert await hub.doomed() == {old}


async def test_the_grace_period_counts_from_when_the_last_ref_went(hub: GarbageHub) -> None:
    bert = await hub.make()
    name = await hub.put(bert, "a.bin", b"old")
    await hub.branch(bert, "try")
    await hub.remove(bert, "a.bin")
    await squashed(hub, bert)
    await hub.pass_time(100)
    await delete_branch(hub.stores, hub.anna, await hub.open(bert), "try")
    [waiting] = await hub.gc(days=14)
    assert (waiting.when, waiting.reason) == (GarbageState.LATER, searching.IN_GRACE)
    assert await hub.links(bert) == {name}
    await hub.pass_time(13)
    assert (await hub.gc(days=14))[0].when is GarbageState.LATER
    await hub.pass_time(1.1)
    assert of(await hub.gc(days=14), GarbageKind.LFS_LINK)[0].removed == 1


async def test_a_young_file_stays(hub: GarbageHub) -> None:
    bert = await hub.make()
    await hub.put(bert, "a.bin", b"old")
    await squashed(hub, bert)
    await hub.remove(bert, "a.bin")
    await squashed(hub, bert)
    [waiting] = await hub.gc(days=1)
    assert (waiting.when, waiting.bytes) == (GarbageState.LATER, 3)


async def test_what_another_repository_links_loses_only_this_link(hub: GarbageHub) -> None:
    bert, gpt = await hub.make(), await hub.make("gpt")
    name = await hub.put(bert, "a.bin", b"both")
    await hub.put(gpt, "a.bin", b"both")
    await hub.remove(bert, "a.bin")
    await squashed(hub, bert)
    await hub.gc()
    assert (await hub.links(bert), await hub.links(gpt)) == (set(), {name})
    assert await hub.doomed() == set()


async def test_a_held_upload_is_left_alone(hub: GarbageHub) -> None:
    bert = await hub.make()
    held = await hub.upload(bert, b"soon to be committed")
    assert of(await hub.gc(), GarbageKind.HOLD, GarbageState.LATER)[0].things == 1
    assert await hub.links(bert) == {held}
    await hub.point(bert, "a.bin", b"soon to be committed")
    assert await hub.gc() == []


async def test_an_upload_whose_hold_is_over_goes(hub: GarbageHub) -> None:
    bert = await hub.make()
    await hub.upload(bert, b"forgotten", hold_ms=-1000)
    [found] = of(await hub.gc(remove=False), GarbageKind.HOLD)
    assert (found.bytes, found.repository) == (9, "models/anna/bert")
    [found] = of(await hub.gc(), GarbageKind.HOLD)
    assert found.removed == 1
    assert await hub.links(bert) == set()


async def test_a_file_that_a_commit_brings_back_at_the_last_moment_is_not_lost(
    hub: GarbageHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit comes between the walk and the transaction that lets go."""
    bert = await hub.make()
    name = await hub.put(bert, "a.bin", b"again")
    await hub.remove(bert, "a.bin")
    await squashed(hub, bert)
    committed = False

    async def bring_back() -> None:
        await hub.point(bert, "b.bin", b"again")

    plain_rows = searching._rows

    async def rows_then_commit(db: object, repo_pk: int, names: list[str]) -> object:
        nonlocal committed
        if not committed and names:
            committed = True
            await bring_back()
        return await plain_rows(db, repo_pk, names)  # type: ignore[arg-type]

    monkeypatch.setattr(searching, "_rows", rows_then_commit)
    assert await hub.gc() == []
    assert committed
    assert await hub.links(bert) == {name}
    assert await hub.doomed() == set()


async def test_a_commit_of_what_was_just_let_go_of_is_refused_not_broken(hub: GarbageHub) -> None:
    bert = await hub.make()
    await hub.put(bert, "a.bin", b"gone")
    await hub.remove(bert, "a.bin")
    await squashed(hub, bert)
    await hub.gc()
    with pytest.raises(BlobMissing):
        await hub.point(bert, "b.bin", b"gone")
    await hub.put(bert, "b.bin", b"gone")
    assert await hub.doomed() == set()
    assert await hub.ailments() == []


async def test_refs_that_never_rest_are_told_and_nothing_is_let_go_of(
    hub: GarbageHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    bert = await hub.make()
    name = await hub.put(bert, "a.bin", b"old")
    await hub.remove(bert, "a.bin")
    await squashed(hub, bert)
    plain_rows = searching._rows
    count = 0

    async def rows_and_a_move(db: object, repo_pk: int, names: list[str]) -> object:
        nonlocal count
        if names and db is hub.stores.db:
            count += 1
            await hub.branch(bert, f"b{count}")
        return await plain_rows(db, repo_pk, names)  # type: ignore[arg-type]

    monkeypatch.setattr(searching, "_rows", rows_and_a_move)
    heaps = await collect_garbage(hub.stores, grace_ms=0, remove=True)
    assert [heap.reason for heap in heaps if heap.when is GarbageState.NEVER] == [searching.MOVING]
    assert count == searching.ATTEMPTS
    assert await hub.links(bert) == {name}


async def test_a_damaged_repository_is_told_and_keeps_everything(hub: GarbageHub) -> None:
    bert = await hub.make()
    name = await hub.put(bert, "a.bin", b"kept")
    await hub.pass_time(100)
    folder = hub.stores.git.packs_path(bert.id)
    for path in folder.glob("pack-*.*"):
        path.unlink()
    hub.stores.git._forget(bert.id)
    hub.stores.look_again(bert.id)
    if hub.stores.packs_are_blobs:  # they are fetched again
        assert await hub.gc() == []
    else:
        [told] = await collect_garbage(hub.stores, grace_ms=0, remove=True)
        assert told.when is GarbageState.NEVER
        assert told.reason.startswith("not looked through: ")
    assert await hub.links(bert) == {name}


async def test_one_repository_can_be_chosen(hub: GarbageHub) -> None:
    bert, gpt = await hub.make(), await hub.make("gpt")
    for repo in (bert, gpt):
        await hub.put(repo, "a.bin", b"x" * 100)
        await hub.remove(repo, "a.bin")
        await squashed(hub, repo)
    [found] = await hub.gc(only=RepoId(Kind.MODEL, "Anna", "GPT"))
    assert (found.repository, found.removed) == ("models/anna/gpt", 1)
    assert len(await hub.links(bert)) == 1
    with pytest.raises(RepoNotFound):
        await hub.gc(only=RepoId(Kind.DATASET, "anna", "gpt"))


async def test_bytes_go_after_the_grace_of_blobs_and_doctor_is_content(hub: GarbageHub) -> None:
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
    assert await hub.ailments() == []


def test_heaps_add_up_over_repositories() -> None:
    one = garbage.GarbageCount(GarbageKind.LFS_LINK, GarbageState.NOW, "r", 1, 10, "models/a/b", 1)
    two = garbage.GarbageCount(GarbageKind.LFS_LINK, GarbageState.NOW, "r", 2, 20, "models/a/c")
    other = garbage.GarbageCount(GarbageKind.BLOB, GarbageState.LATER, "s", 3, 30)
    totals = list(garbage.total_counts([two, other, one]))
    assert totals == [
        garbage.GarbageCount(GarbageKind.LFS_LINK, GarbageState.NOW, "r", 3, 30, None, 1),
        other,
    ]
