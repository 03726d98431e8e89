"""LFS files that no ref leads to are found and let go of, and no others."""

from __future__ import annotations

import pytest

from hubstead import garbage
from hubstead.commits import create_tag, delete_branch, delete_tag, squash
from hubstead.errors import BlobMissing, RepoNotFound
from hubstead.garbage import What, When, collect
from hubstead.garbage import unreached as searching
from hubstead.ids import Kind, RepoId
from hubstead.repos import details
from tests.garbage.conftest import Place, of


async def test_a_file_of_the_history_stays_though_it_was_removed_since(place: Place) -> None:
    bert = await place.make()
    old = await place.put(bert, "a.bin", b"old")
    await place.remove(bert, "a.bin")
    new = await place.put(bert, "b.bin", b"new")
    assert await place.gc() == []
    assert await place.links(bert) == {old, new}


async def test_a_file_of_a_deleted_branch_goes(place: Place) -> None:
    bert = await place.make()
    kept = await place.put(bert, "a.bin", b"kept")
    await place.branch(bert, "try")
    gone = await place.put(bert, "b.bin", b"gone" * 10, branch="try")
    assert await place.gc() == []
    await delete_branch(place.stores, place.anna, await place.open(bert), "try")
    used = (await details(place.stores.db, bert)).used_bytes
    [found] = of(await place.gc(), What.LFS_LINK)
    assert (found.things, found.bytes, found.removed) == (1, 40, 1)
    assert found.repository == "models/anna/bert"
    assert await place.links(bert) == {kept}
    assert await place.doomed() == {gone}
    assert (await details(place.stores.db, bert)).used_bytes == used - 40


async def test_a_dry_run_changes_nothing(place: Place) -> None:
    bert = await place.make()
    await place.put(bert, "a.bin", b"one")
    await squashed(place, bert)
    await place.put(bert, "a.bin", b"two")
    await squashed(place, bert)
    before = await place.links(bert)
    [found] = await place.gc(remove=False)
    assert (found.what, found.when, found.things) == (What.LFS_LINK, When.NOW, 1)
    assert await place.links(bert) == before
    assert await place.doomed() == set()


async def squashed(place: Place, repo: object) -> None:
    opened = await place.open(repo)  # type: ignore[arg-type]
    await squash(place.stores, place.anna, opened, "main", None)


@pytest.mark.parametrize("message", [None, "annotated"])
async def test_a_tag_keeps_what_its_branch_left_behind(place: Place, message: str | None) -> None:
    bert = await place.make()
    old = await place.put(bert, "a.bin", b"old")
    opened = await place.open(bert)
    await create_tag(place.stores, place.anna, opened, "v1", revision="main", message=message)
    await place.remove(bert, "a.bin")
    await squashed(place, bert)
    assert await place.gc() == []
    await delete_tag(place.stores, place.anna, opened, "v1")
    assert of(await place.gc(), What.LFS_LINK)[0].removed == 1
    assert await place.doomed() == {old}


async def test_the_grace_period_counts_from_when_the_last_ref_went(place: Place) -> None:
    bert = await place.make()
    name = await place.put(bert, "a.bin", b"old")
    await place.branch(bert, "try")
    await place.remove(bert, "a.bin")
    await squashed(place, bert)
    await place.pass_time(100)
    await delete_branch(place.stores, place.anna, await place.open(bert), "try")
    [waiting] = await place.gc(days=14)
    assert (waiting.when, waiting.reason) == (When.LATER, searching.IN_GRACE)
    assert await place.links(bert) == {name}
    await place.pass_time(13)
    assert (await place.gc(days=14))[0].when is When.LATER
    await place.pass_time(1.1)
    assert of(await place.gc(days=14), What.LFS_LINK)[0].removed == 1


async def test_a_young_file_stays(place: Place) -> None:
    bert = await place.make()
    await place.put(bert, "a.bin", b"old")
    await squashed(place, bert)
    await place.remove(bert, "a.bin")
    await squashed(place, bert)
    [waiting] = await place.gc(days=1)
    assert (waiting.when, waiting.bytes) == (When.LATER, 3)


async def test_what_another_repository_links_loses_only_this_link(place: Place) -> None:
    bert, gpt = await place.make(), await place.make("gpt")
    name = await place.put(bert, "a.bin", b"both")
    await place.put(gpt, "a.bin", b"both")
    await place.remove(bert, "a.bin")
    await squashed(place, bert)
    await place.gc()
    assert (await place.links(bert), await place.links(gpt)) == (set(), {name})
    assert await place.doomed() == set()


async def test_a_held_upload_is_left_alone(place: Place) -> None:
    bert = await place.make()
    held = await place.upload(bert, b"soon to be committed")
    assert of(await place.gc(), What.HOLD, When.LATER)[0].things == 1
    assert await place.links(bert) == {held}
    await place.point(bert, "a.bin", b"soon to be committed")
    assert await place.gc() == []


async def test_an_upload_whose_hold_is_over_goes(place: Place) -> None:
    bert = await place.make()
    await place.upload(bert, b"forgotten", hold_ms=-1000)
    [found] = of(await place.gc(remove=False), What.HOLD)
    assert (found.bytes, found.repository) == (9, "models/anna/bert")
    [found] = of(await place.gc(), What.HOLD)
    assert found.removed == 1
    assert await place.links(bert) == set()


async def test_a_file_that_a_commit_brings_back_at_the_last_moment_is_not_lost(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit comes between the walk and the transaction that lets go."""
    bert = await place.make()
    name = await place.put(bert, "a.bin", b"again")
    await place.remove(bert, "a.bin")
    await squashed(place, bert)
    committed = False

    async def bring_back() -> None:
        await place.point(bert, "b.bin", b"again")

    plain_rows = searching._rows

    async def rows_then_commit(db: object, repo_pk: int, names: list[str]) -> object:
        nonlocal committed
        if not committed and names:
            committed = True
            await bring_back()
        return await plain_rows(db, repo_pk, names)  # type: ignore[arg-type]

    monkeypatch.setattr(searching, "_rows", rows_then_commit)
    assert await place.gc() == []
    assert committed
    assert await place.links(bert) == {name}
    assert await place.doomed() == set()


async def test_a_commit_of_what_was_just_let_go_of_is_refused_not_broken(place: Place) -> None:
    bert = await place.make()
    await place.put(bert, "a.bin", b"gone")
    await place.remove(bert, "a.bin")
    await squashed(place, bert)
    await place.gc()
    with pytest.raises(BlobMissing):
        await place.point(bert, "b.bin", b"gone")
    await place.put(bert, "b.bin", b"gone")
    assert await place.doomed() == set()
    assert await place.ailments() == []


async def test_refs_that_never_rest_are_told_and_nothing_is_let_go_of(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    bert = await place.make()
    name = await place.put(bert, "a.bin", b"old")
    await place.remove(bert, "a.bin")
    await squashed(place, bert)
    plain_rows = searching._rows
    count = 0

    async def rows_and_a_move(db: object, repo_pk: int, names: list[str]) -> object:
        nonlocal count
        if names and db is place.stores.db:
            count += 1
            await place.branch(bert, f"b{count}")
        return await plain_rows(db, repo_pk, names)  # type: ignore[arg-type]

    monkeypatch.setattr(searching, "_rows", rows_and_a_move)
    heaps = await collect(place.stores, grace_ms=0, remove=True)
    assert [heap.reason for heap in heaps if heap.when is When.NEVER] == [searching.MOVING]
    assert count == searching.ATTEMPTS
    assert await place.links(bert) == {name}


async def test_a_damaged_repository_is_told_and_keeps_everything(place: Place) -> None:
    bert = await place.make()
    name = await place.put(bert, "a.bin", b"kept")
    await place.pass_time(100)
    folder = place.stores.git.packs_path(bert.id)
    for path in folder.glob("pack-*.*"):
        path.unlink()
    place.stores.git._forget(bert.id)
    place.stores._fetched.clear()
    if place.stores.packs_are_blobs:  # they are fetched again
        assert await place.gc() == []
    else:
        [told] = await collect(place.stores, grace_ms=0, remove=True)
        assert told.when is When.NEVER
        assert told.reason.startswith("not looked through: ")
    assert await place.links(bert) == {name}


async def test_one_repository_can_be_chosen(place: Place) -> None:
    bert, gpt = await place.make(), await place.make("gpt")
    for repo in (bert, gpt):
        await place.put(repo, "a.bin", b"x" * 100)
        await place.remove(repo, "a.bin")
        await squashed(place, repo)
    [found] = await place.gc(only=RepoId(Kind.MODEL, "Anna", "GPT"))
    assert (found.repository, found.removed) == ("models/anna/gpt", 1)
    assert len(await place.links(bert)) == 1
    with pytest.raises(RepoNotFound):
        await place.gc(only=RepoId(Kind.DATASET, "anna", "gpt"))


async def test_bytes_go_after_the_grace_of_blobs_and_doctor_is_content(place: Place) -> None:
    bert = await place.make()
    await place.put(bert, "a.bin", b"x" * 100)
    await place.remove(bert, "a.bin")
    await squashed(place, bert)
    [link, waiting] = await place.gc()
    assert link.removed == 1
    assert (waiting.what, waiting.when, waiting.bytes) == (What.BLOB, When.LATER, 100)
    assert await place.ailments() == []


def test_heaps_add_up_over_repositories() -> None:
    one = garbage.Heap(What.LFS_LINK, When.NOW, "r", 1, 10, "models/a/b", 1)
    two = garbage.Heap(What.LFS_LINK, When.NOW, "r", 2, 20, "models/a/c")
    other = garbage.Heap(What.BLOB, When.LATER, "s", 3, 30)
    totals = list(garbage.in_total([two, other, one]))
    assert totals == [garbage.Heap(What.LFS_LINK, When.NOW, "r", 3, 30, None, 1), other]
