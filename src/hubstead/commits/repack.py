"""Repacks: replaces many packs of a repository by few, and can drop unreachable objects.

A replaced pack is retired (`retired.py`), not removed: running fetches and pushes still read it.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select

from hubstead.admission import Lane, run_in_lane
from hubstead.commits.packs import add_pack, list_packs, packs_older_than, replace_packs
from hubstead.commits.ref_updates import add_usage
from hubstead.commits.refs import RefName, list_refs
from hubstead.commits.retired import discard_packs
from hubstead.commits.storage import Storage
from hubstead.db import Tx, database_now_ms, indexed
from hubstead.gitstore import Pack, PackSize, packs_to_repack
from hubstead.repos.tables import repos

#: A full repack of at least so many objects writes a bitmap and a commit-graph.
LARGE_OBJECTS = 1000
ATTEMPTS = 5

_SELECT_REPO = select(repos.c.pk, repos.c.id, repos.c.packs, repos.c.default_branch).where(
    repos.c.id == bindparam("repo_id")
)


class _RepoRow(NamedTuple):
    pk: int
    id: str
    packs: int
    default_branch: str


_FIND = indexed(_SELECT_REPO, _RepoRow)
_LOCK = indexed(_SELECT_REPO.with_for_update(), _RepoRow)


async def repack_repo(storage: Storage, repo_id: str) -> Pack | None:
    """Merge the small packs of a repository; return the new pack, None if none was needed.

    Unreachable objects stay. When all packs of a large repository need a repack, the reachable
    objects become one pack with a bitmap. Idempotent, and safe beside writes.
    """
    repo = await storage.db.one(_FIND, repo_id=repo_id)
    if repo is None:
        return None
    rows = await list_packs(storage.db, repo.pk)
    names = packs_to_repack(PackSize(row.name, row.objects) for row in rows)
    if not names:
        return None
    await storage.open_git(repo)
    if len(names) == len(rows) and sum(row.objects for row in rows) >= LARGE_OBJECTS:
        pack = await repack_reachable(storage, repo_id, grace_ms=-1)
        if pack is not None:
            return pack
    with storage.git.repacker(repo_id) as repacker:
        pack = await run_in_lane(Lane.HISTORY, repacker.combine_packs, names)
    if pack is None or pack.name in names:
        return None
    new = [pack]
    swap = functools.partial(_swap_locked, storage, repo_id, new, names, None)
    return pack if await _publish_and_swap(storage, repo_id, new, swap) else None


async def repack_reachable(
    storage: Storage,
    repo_id: str,
    *,
    grace_ms: int,
    past: Collection[str] | None = None,
) -> Pack | None:
    """Replace packs by one pack, with a bitmap, of all reachable objects of a repository.

    Args:
        storage: The storage of content.
        repo_id: The repository.
        grace_ms: Younger packs stay.
        past: Of the unreachable objects only those that these commits reach stay, in a second
            pack; None: all stay.

    Returns:
        The pack; None if no pack is old enough, or refs moved during every attempt.

    Raises:
        GitFailed: git found the repository damaged; nothing has changed.
    """
    repo = await storage.db.one(_FIND, repo_id=repo_id)
    if repo is None:
        return None
    old = await packs_older_than(storage.db, repo.pk, await database_now_ms(storage.db) - grace_ms)
    seen = await _refs(storage, repo)
    if not old or not seen:
        return None
    new = await _write_packs(storage, repo, old, seen, past)
    if not new:
        return None
    reachable = new[0]
    same = {pack.name for pack in new} & set(old)  # a new pack of the same bytes as an old one
    new = [pack for pack in new if pack.name not in same]
    old = [name for name in old if name not in same]
    swap = functools.partial(_swap_beside_writers, storage, repo, new, old, seen)
    return reachable if await _publish_and_swap(storage, repo_id, new, swap) else None


async def _write_packs(
    storage: Storage,
    repo: _RepoRow,
    old: list[str],
    refs: dict[str, str],
    past: Collection[str] | None,
) -> list[Pack]:
    """Write a pack of the reachable objects and one of the rest; [] if refs reach no object."""
    git = await storage.open_git(repo)
    show = storage.git.projection
    head = RefName.branch(repo.default_branch).full
    peeled = await run_in_lane(
        Lane.HISTORY,
        lambda: {name: (oid, git.peel_tag(oid) or oid) for name, oid in refs.items()},
    )
    folder = await run_in_lane(Lane.HISTORY, show, repo.id, peeled, head)
    with storage.git.repacker(repo.id) as repacker:
        reachable = await run_in_lane(Lane.HISTORY, repacker.combine_reachable, folder)
    if reachable is None:
        return []
    try:
        rest = await run_in_lane(
            Lane.HISTORY, _pack_unreachable, storage, repo.id, old, list(refs.values()), past
        )
    except BaseException:
        await discard_packs(storage, repo.id, [reachable])
        raise
    return [reachable] if rest is None else [reachable, rest]


async def _publish_and_swap(
    storage: Storage, repo_id: str, new: list[Pack], swap: Callable[[], Awaitable[bool]]
) -> bool:
    """Publish packs and register them by ``swap``; discard them if that fails.

    ``new`` changes in place to the packs that `Storage.publish` returns: ``swap`` reads it.
    """
    swapped = False
    try:
        new[:] = [await storage.publish(pack) for pack in new]
        swapped = await swap()
    finally:
        if not swapped:
            await discard_packs(storage, repo_id, new)
    return swapped


async def _swap_beside_writers(
    storage: Storage, repo: _RepoRow, new: list[Pack], old: list[str], seen: dict[str, str]
) -> bool:
    """Swap packs, unless refs that moved meanwhile need an object of the old packs alone."""
    if not old:
        return False
    for _ in range(ATTEMPTS):
        now = await _refs(storage, repo)
        if now != seen and not await _covers_moved_refs(
            storage, repo, new, old, (set(now.values()), set(seen.values()))
        ):
            return False
        if await _swap_locked(storage, repo.id, new, old, now):
            with storage.git.repacker(repo.id) as repacker:
                await run_in_lane(Lane.HISTORY, repacker.write_commit_graph, list(now.values()))
            return True
    return False


async def _swap_locked(
    storage: Storage,
    repo_id: str,
    new: Sequence[Pack],
    old: Sequence[str],
    refs: dict[str, str] | None,
) -> bool:
    """Swap packs under the lock of the repository.

    The lock excludes the removal of retired packs: a new pack may have the name of one.
    """
    async with storage.locks.of(repo_id):
        if not all(pack.pack_path.exists() and pack.idx_path.exists() for pack in new):
            return False
        if not await storage.db.write(functools.partial(_swap, repo_id, new, old, refs)):
            return False
    storage.git.handles.close(repo_id)
    return True


def _pack_unreachable(
    storage: Storage, repo_id: str, old: list[str], tips: list[str], past: Collection[str] | None
) -> Pack | None:
    """Pack the unreachable objects that stay."""
    with storage.git.repacker(repo_id) as repacker:
        left = repacker.find_unreachable(old, tips)
        if past is not None and left:
            gone = repacker.find_unreachable(old, [*tips, *past])
            left = {oid: size for oid, size in left.items() if oid not in gone}
        return repacker.pack_objects(left) if left else None


async def _refs(storage: Storage, repo: _RepoRow) -> dict[str, str]:
    return {row.name: row.oid for row in await list_refs(storage.db, repo.pk)}


async def _covers_moved_refs(
    storage: Storage,
    repo: _RepoRow,
    new: list[Pack],
    old: list[str],
    refs: tuple[set[str], set[str]],
) -> bool:
    """Tell whether the remaining packs hold every object that moved refs reach."""
    again = await storage.db.one(_FIND, repo_id=repo.id)
    if again is None:
        return False
    await storage.open_git(again)
    rows = await list_packs(storage.db, repo.pk)
    remaining = [pack.name for pack in new] + [row.name for row in rows if row.name not in old]
    tips, known = refs
    with storage.git.repacker(repo.id) as repacker:
        return await run_in_lane(
            Lane.HISTORY, repacker.packs_contain, remaining, sorted(tips - known), sorted(known)
        )


async def _swap(
    repo_id: str, new: Sequence[Pack], old: Sequence[str], refs: dict[str, str] | None, tx: Tx
) -> bool:
    """Replace old packs by new ones, if the old packs and the refs have not changed."""
    repo = await tx.one(_LOCK, repo_id=repo_id)
    if repo is None:
        return False
    rows = {row.name: row for row in await list_packs(tx, repo.pk)}
    if not set(old) <= rows.keys() or any(pack.name in rows for pack in new):
        return False
    if refs is not None and refs != {r.name: r.oid for r in await list_refs(tx, repo.pk)}:
        return False
    await replace_packs(tx, repo.pk, repo_id, old)
    for pack in new:
        await add_pack(tx, repo.pk, pack)
    more = sum(pack.size for pack in new) - sum(rows[name].bytes for name in old)
    await add_usage(tx, repo.pk, packs=len(new), used_bytes=more)
    return True
