"""gc drops git objects that no ref reaches, after their grace period, and no others."""

from __future__ import annotations

from hubstead.commits import delete_branch, find_ref, remove_retired_packs
from hubstead.garbage import GarbageKind, GarbageState
from tests.garbage.conftest import GarbageHub, of


async def test_commits_of_a_deleted_branch_are_dropped_and_the_rest_is_sound(
    hub: GarbageHub,
) -> None:
    bert = await hub.make()
    await hub.put(bert, "a.bin", b"kept")
    await hub.branch(bert, "try")
    await hub.put(bert, "b.bin", b"gone", branch="try")
    lost = await find_ref(hub.stores.db, bert.pk, "refs/heads/try")
    assert lost is not None
    assert of(await hub.gc(git=True), GarbageKind.OBJECT) == []
    await delete_branch(hub.stores, hub.anna, await hub.open(bert), "try")
    [planned] = of(await hub.gc(git=True, remove=False), GarbageKind.OBJECT)
    assert (planned.things, planned.removed) == (3, 0)  # commit, tree, pointer
    assert of(await hub.gc(git=True, days=14), GarbageKind.OBJECT) == []
    [count] = of(await hub.gc(git=True), GarbageKind.OBJECT)
    assert (count.things, count.removed, count.repository) == (3, 3, "models/anna/bert")
    await remove_retired_packs(hub.stores, grace_ms=-1)
    git = await hub.stores.open_git(await hub.open(bert))
    assert not git.has(lost.oid)
    assert await hub.findings() == []
    assert of(await hub.gc(git=True), GarbageKind.OBJECT) == []


async def test_objects_of_a_ref_update_within_the_grace_period_stay(hub: GarbageHub) -> None:
    bert = await hub.make()
    await hub.branch(bert, "try")
    await hub.put(bert, "b.bin", b"x", branch="try")
    lost = await find_ref(hub.stores.db, bert.pk, "refs/heads/try")
    assert lost is not None
    await hub.pass_time(days=20)
    await hub.age_packs(days=20)
    await delete_branch(hub.stores, hub.anna, await hub.open(bert), "try")
    assert of(await hub.gc(git=True, days=14), GarbageKind.OBJECT, GarbageState.NOW) == []
    assert (await hub.stores.open_git(await hub.open(bert))).has(lost.oid)
    await hub.pass_time(days=20)
    [count] = of(await hub.gc(git=True, days=14), GarbageKind.OBJECT)
    assert count.removed == count.things > 0
