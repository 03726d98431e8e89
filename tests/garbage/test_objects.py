"""Objects of git that no ref reaches go with gc, after their grace; everything else stays."""

from __future__ import annotations

from hubstead.commits import delete_branch, find_ref, remove_dead_packs
from hubstead.garbage import What, When
from tests.garbage.conftest import Place, of


async def test_commits_of_a_deleted_branch_go_and_the_rest_is_sound(place: Place) -> None:
    bert = await place.make()
    await place.put(bert, "a.bin", b"kept")
    await place.branch(bert, "try")
    await place.put(bert, "b.bin", b"gone", branch="try")
    lost = await find_ref(place.stores.db, bert.pk, "refs/heads/try")
    assert lost is not None
    assert of(await place.gc(git=True), What.OBJECT) == []
    await delete_branch(place.stores, place.anna, await place.open(bert), "try")
    [told] = of(await place.gc(git=True, remove=False), What.OBJECT)
    assert (told.things, told.removed) == (3, 0)  # commit, tree, pointer
    assert of(await place.gc(git=True, days=14), What.OBJECT) == []
    [found] = of(await place.gc(git=True), What.OBJECT)
    assert (found.things, found.removed, found.repository) == (3, 3, "models/anna/bert")
    await remove_dead_packs(place.stores, grace_ms=-1)
    git = await place.stores.open_git(await place.open(bert))
    assert not git.has(lost.oid)
    assert await place.ailments() == []
    assert of(await place.gc(git=True), What.OBJECT) == []


async def test_what_a_ref_left_within_the_grace_period_stays(place: Place) -> None:
    bert = await place.make()
    await place.branch(bert, "try")
    await place.put(bert, "b.bin", b"x", branch="try")
    lost = await find_ref(place.stores.db, bert.pk, "refs/heads/try")
    assert lost is not None
    await place.pass_time(days=20)
    await place.age_packs(days=20)
    await delete_branch(place.stores, place.anna, await place.open(bert), "try")
    assert of(await place.gc(git=True, days=14), What.OBJECT, When.NOW) == []
    assert (await place.stores.open_git(await place.open(bert))).has(lost.oid)
    await place.pass_time(days=20)
    [found] = of(await place.gc(git=True, days=14), What.OBJECT)
    assert found.removed == found.things > 0
