"""Retired packs are deleted once no reader can need them, and not before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select

from hubstead.blobs import (
    BlobKey,
    BlobKind,
    LocalBlob,
    LocalBlobs,
    StoredKey,
    pause_deletion,
    resume_deletion,
    stored_key,
)
from hubstead.blobs.tables import blobs
from hubstead.commits import Storage, discard_packs, remove_retired_packs, repack_repo
from hubstead.commits.packs import retire_packs
from hubstead.gitstore import PushLimits, RegisteredState
from hubstead.repos import Repo
from tests.commits.conftest import CommitNode
from tests.support.git_store import overtaken
from tests.support.rows import reading

_LIVE_PACKS = reading(
    select(blobs.c.name).where(
        blobs.c.kind == BlobKind.PACK.value, blobs.c.unreferenced_ms.is_(None)
    )
)
LIMITS = PushLimits(1 << 30, 4 << 30, 60)


async def a_repository(node: CommitNode, commits: int = 12) -> Repo:
    repo = await node.make()
    for n in range(commits):
        await node.put(repo, {f"f{n % 3}": str(n).encode()})
    return await node.open(repo)


def in_files(node: CommitNode) -> CommitNode:
    """Return the same node with packs in its folder only."""
    stores = Storage(
        node.db, node.stores.git, node.stores.blobs, node.stores.settings, packs_are_blobs=False
    )
    return CommitNode(stores, node.anna)


@pytest.mark.parametrize("packs_are_blobs", [True, False])
async def test_packs_stay_while_an_earlier_program_reads_them(
    node: CommitNode, packs_are_blobs: bool
) -> None:
    node = node if packs_are_blobs else in_files(node)
    repo = await a_repository(node)
    git = node.stores.git
    before = git.pack_names(repo.id)
    push = git.stage(repo.id, RegisteredState(before, [repo.head or ""]), LIMITS)
    await asyncio.sleep(0.02)
    await repack_repo(node.stores, repo.id)
    await remove_retired_packs(node.stores, grace_ms=-1)
    assert set(before) < set(git.pack_names(repo.id)), "the push may lean on them"
    await asyncio.sleep(0.02)
    later = git.stage(repo.id, RegisteredState(git.pack_names(repo.id), []), LIMITS)
    push.remove()
    assert await remove_retired_packs(node.stores, grace_ms=-1) > 0
    assert len(git.pack_names(repo.id)) < 8, "a later program sees the new pack"
    later.remove()
    assert sorted(await node.files(repo)) == ["f0", "f1", "f2"]


async def test_a_backup_that_copies_files_protects_them(node: CommitNode) -> None:
    node = in_files(node)
    repo = await a_repository(node)
    before = node.stores.git.pack_names(repo.id)
    await repack_repo(node.stores, repo.id)
    await pause_deletion(node.db, "a backup", 60)
    assert await remove_retired_packs(node.stores, grace_ms=-1) == 0
    assert set(before) < set(node.stores.git.pack_names(repo.id))
    await resume_deletion(node.db, "a backup")
    assert await remove_retired_packs(node.stores, grace_ms=-1) > 0


async def test_a_repack_that_loses_a_race_leaves_nothing(node: CommitNode) -> None:
    repo = await a_repository(node)
    git, loop = node.stores.git, asyncio.get_running_loop()
    other, before, after = node.other("other"), set(git.pack_names(repo.id)), set[str]()

    def meanwhile() -> None:
        after.update(git.pack_names(repo.id))
        race = asyncio.run_coroutine_threadsafe(a_later_repack(), loop)
        assert race.result(60) is not None

    async def a_later_repack() -> Any:
        for n in range(5):
            await other.put(repo, {"late": str(n).encode()})
        return await repack_repo(other.stores, repo.id)

    assert await repack_repo(overtaken(node.stores, meanwhile), repo.id) is None
    [vain] = after - before
    assert vain in git.pack_names(repo.id)
    await remove_retired_packs(node.stores, grace_ms=-1)
    assert vain not in git.pack_names(repo.id)
    assert vain not in {row.name for row in await node.db.all(_LIVE_PACKS)}
    assert await node.files(repo) == await other.files(repo)


async def test_a_pack_that_another_writer_registered_under_the_same_name_stays(
    node: CommitNode,
) -> None:
    repo = await a_repository(node)
    result = await repack_repo(node.stores, repo.id)
    assert result is not None
    await discard_packs(node.stores, repo.id, [result])
    await remove_retired_packs(node.stores, grace_ms=-1)
    assert result.name in node.stores.git.pack_names(repo.id)
    assert result.name in {row.name for row in await node.db.all(_LIVE_PACKS)}


async def test_a_retired_pack_that_is_registered_again_stays(node: CommitNode) -> None:
    node = in_files(node)
    repo = await a_repository(node)
    names = node.stores.git.pack_names(repo.id)
    await node.db.write(lambda tx: retire_packs(tx, repo.id, names))
    assert await remove_retired_packs(node.stores, grace_ms=-1) == len(names)
    assert node.stores.git.pack_names(repo.id) == names
    assert sorted(await node.files(repo)) == ["f0", "f1", "f2"]


class SlowBlobs(LocalBlobs):
    """Calls ``meanwhile`` before it opens a blob."""

    meanwhile: Callable[[], Awaitable[None]]

    async def open(self, key: StoredKey) -> LocalBlob:
        await self.meanwhile()
        return await super().open(key)


async def test_packs_replaced_during_a_fetch_are_fetched_again(
    node: CommitNode,
) -> None:
    repo = await a_repository(node)

    async def repack() -> None:
        if await repack_repo(node.stores, repo.id) is not None:
            for row in await node.db.all(_DOOMED_PACKS):
                await node.stores.blobs.delete(
                    stored_key(BlobKey(BlobKind.PACK, row.name), row.stored)
                )

    late = node.other("late")
    late.stores.blobs = SlowBlobs(node.stores.settings.data / "blobs")
    late.stores.blobs.meanwhile = repack
    assert await late.files(repo) == await node.files(repo)


_DOOMED_PACKS = reading(
    select(blobs.c.name, blobs.c.stored).where(
        blobs.c.kind == BlobKind.PACK.value, blobs.c.unreferenced_ms.is_not(None)
    )
)


async def test_unused_projections_are_deleted(node: CommitNode) -> None:
    repo = await a_repository(node)
    git = node.stores.git
    assert repo.head
    refs = {"refs/heads/main": (repo.head, repo.head)}
    path = git.projection(repo.id, refs, "refs/heads/main")
    git.sweep_projections(older_than_s=60)
    assert path.exists()
    push = git.stage(repo.id, RegisteredState([], []), LIMITS)
    git.sweep_projections(older_than_s=-1)
    assert path.exists(), "a program may have begun with it"
    push.remove()
    git.sweep_projections(older_than_s=-1)
    assert not path.exists()
