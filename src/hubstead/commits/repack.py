"""Keeping repositories quick: many packs become few, and what no ref reaches can go.

A pack that was folded into another is retired (`retired.py`): programs that are sending it, and
pushes that lean on it, come to their end.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select

from hubstead.commits.packs import add_pack, list_packs, packs_older_than, replace_packs
from hubstead.commits.ref_updates import add_usage
from hubstead.commits.refs import RefName, list_refs
from hubstead.commits.retired import discard_packs
from hubstead.commits.storage import Storage
from hubstead.db import Tx, database_now_ms, indexed
from hubstead.gitstore import Pack, PackSize, packs_to_repack
from hubstead.repos.tables import repos

#: From so many objects on a repository gets a bitmap and a commit-graph when all is folded.
LARGE_OBJECTS = 1000
ATTEMPTS = 5

_ABOUT = select(repos.c.pk, repos.c.id, repos.c.packs, repos.c.default_branch).where(
    repos.c.id == bindparam("repo_id")
)


class _About(NamedTuple):
    pk: int
    id: str
    packs: int
    default_branch: str


_FIND = indexed(_ABOUT, _About)
_LOCK = indexed(_ABOUT.with_for_update(), _About)


async def repack_repo(stores: Storage, repo_id: str) -> Pack | None:
    """Fold a repository's packs as far as they need it; return the pack that came of it.

    Nothing goes: what no ref reaches is kept as well. When all packs need it, and they are
    large, what refs reach becomes one pack with a bitmap. Harmless to repeat, and beside writes.
    """
    about = await stores.db.one(_FIND, repo_id=repo_id)
    if about is None:
        return None
    rows = await list_packs(stores.db, about.pk)
    names = packs_to_repack(PackSize(row.name, row.objects) for row in rows)
    if not names:
        return None
    await stores.open_git(about)
    if len(names) == len(rows) and sum(row.objects for row in rows) >= LARGE_OBJECTS:
        made = await repack_reachable(stores, repo_id, grace_ms=-1)
        if made is not None:
            return made
    made = await asyncio.to_thread(stores.git.fold, repo_id, names)
    if made is None or made.name in names:
        return None
    new = [made]
    swap = functools.partial(_swap_in_turn, stores, repo_id, new, names, None)
    return made if await _take_in(stores, repo_id, new, swap) else None


async def repack_reachable(
    stores: Storage,
    repo_id: str,
    *,
    grace_ms: int,
    past: Collection[str] | None = None,
) -> Pack | None:
    """Make one pack, with a bitmap, of all that a repository's refs reach, for all older ones.

    Args:
        stores: Where content lies.
        repo_id: The repository.
        grace_ms: Packs that are younger are left alone, whatever is in them.
        past: Of what no ref reaches, only what these commits do is kept, in a pack of its own;
            None: all of it is.

    Returns:
        The pack; None if nothing is old enough, or refs kept moving.

    Raises:
        GitFailed: git found the repository damaged; nothing has changed.
    """
    about = await stores.db.one(_FIND, repo_id=repo_id)
    if about is None:
        return None
    old = await packs_older_than(stores.db, about.pk, await database_now_ms(stores.db) - grace_ms)
    seen = await _refs(stores, about)
    if not old or not seen:
        return None
    new = await _gather(stores, about, old, seen, past)
    if not new:
        return None
    made = new[0]
    same = {each.name for each in new} & set(old)  # what is the very pack that was there stays
    new, old = [each for each in new if each.name not in same], [n for n in old if n not in same]
    swap = functools.partial(_swap_beside_writers, stores, about, new, old, seen)
    return made if await _take_in(stores, repo_id, new, swap) else None


async def _gather(
    stores: Storage,
    about: _About,
    old: list[str],
    refs: dict[str, str],
    past: Collection[str] | None,
) -> list[Pack]:
    """Make a pack of what refs reach, and perhaps one of the rest; none if they reach nothing."""
    await stores.open_git(about)
    show = stores.git.projection
    head = RefName.branch(about.default_branch).full
    folder = await asyncio.to_thread(show, about.id, refs, head)
    made = await asyncio.to_thread(stores.git.gather, about.id, folder)
    if made is None:
        return []
    try:
        rest = await asyncio.to_thread(_rest, stores, about.id, old, list(refs.values()), past)
    except BaseException:
        await discard_packs(stores, about.id, [made])
        raise
    return [made] if rest is None else [made, rest]


async def _take_in(
    stores: Storage, repo_id: str, new: list[Pack], swap: Callable[[], Awaitable[bool]]
) -> bool:
    """Publish packs and register them by ``swap``; when that fails, nothing of them stays.

    ``new`` then holds them as `Stores.publish` gave them back, for ``swap`` to find.
    """
    taken = False
    try:
        new[:] = [await stores.publish(each) for each in new]
        taken = await swap()
    finally:
        if not taken:
            await discard_packs(stores, repo_id, new)
    return taken


async def _swap_beside_writers(
    stores: Storage, about: _About, new: list[Pack], old: list[str], seen: dict[str, str]
) -> bool:
    """Swap packs as soon as refs stand still, if those that moved need nothing that goes."""
    if not old:
        return False
    for _ in range(ATTEMPTS):
        now = await _refs(stores, about)
        if now != seen and not await _still_whole(
            stores, about, new, old, (set(now.values()), set(seen.values()))
        ):
            return False
        if await _swap_in_turn(stores, about.id, new, old, now):
            await asyncio.to_thread(stores.git.write_commit_graph, about.id, list(now.values()))
            return True
    return False


async def _swap_in_turn(
    stores: Storage,
    repo_id: str,
    new: Sequence[Pack],
    old: Sequence[str],
    refs: dict[str, str] | None,
) -> bool:
    """Swap packs while none is removed: one of the same bytes may have been retired before."""
    async with stores.locks.of(repo_id):
        if not all(each.pack_path.exists() and each.idx_path.exists() for each in new):
            return False
        if not await stores.db.write(functools.partial(_swap, repo_id, new, old, refs)):
            return False
    stores.git.let_go(repo_id)
    return True


def _rest(
    stores: Storage, repo_id: str, old: list[str], tips: list[str], past: Collection[str] | None
) -> Pack | None:
    """Pack what is kept of what no ref reaches."""
    left = stores.git.unreached(repo_id, old, tips)
    if past is not None and left:
        gone = stores.git.unreached(repo_id, old, [*tips, *past])
        left = {oid: size for oid, size in left.items() if oid not in gone}
    return stores.git.pack_rest(repo_id, left) if left else None


async def _refs(stores: Storage, about: _About) -> dict[str, str]:
    return {row.name: row.oid for row in await list_refs(stores.db, about.pk)}


async def _still_whole(
    stores: Storage, about: _About, new: list[Pack], old: list[str], refs: tuple[set[str], set[str]]
) -> bool:
    """Tell whether refs that moved meanwhile need nothing of the packs that are to go."""
    again = await stores.db.one(_FIND, repo_id=about.id)
    if again is None:
        return False
    await stores.open_git(again)
    rows = await list_packs(stores.db, about.pk)
    kept = [each.name for each in new] + [row.name for row in rows if row.name not in old]
    tips, known = refs
    check = stores.git.leads_only_to
    return await asyncio.to_thread(check, about.id, kept, sorted(tips - known), sorted(known))


async def _swap(
    repo_id: str, new: Sequence[Pack], old: Sequence[str], refs: dict[str, str] | None, tx: Tx
) -> bool:
    """Register packs in the place of others, if these, and the refs, are as they were."""
    about = await tx.one(_LOCK, repo_id=repo_id)
    if about is None:
        return False
    rows = {row.name: row for row in await list_packs(tx, about.pk)}
    if not set(old) <= rows.keys() or any(each.name in rows for each in new):
        return False
    if refs is not None and refs != {r.name: r.oid for r in await list_refs(tx, about.pk)}:
        return False
    await replace_packs(tx, about.pk, repo_id, old)
    for each in new:
        await add_pack(tx, about.pk, each)
    more = sum(each.size for each in new) - sum(rows[name].bytes for name in old)
    await add_usage(tx, about.pk, packs=len(new), used_bytes=more)
    return True
