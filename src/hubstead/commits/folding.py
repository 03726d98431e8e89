"""Keeping repositories quick: many packs become few, and what no ref reaches can go.

A pack that was folded into another stays on disk for the grace period: programs that are sending
it, and pushes that lean on it, come to their end.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Collection, Sequence

from sqlalchemy import bindparam, delete, select

from hubstead import blobs
from hubstead.blobs import BlobKey, BlobKind
from hubstead.commits.moving import add_pack, add_usage
from hubstead.commits.revisions import all_refs
from hubstead.commits.stores import Stores
from hubstead.commits.tables import packs, retired_packs
from hubstead.db import Row, Tx, adding, point, scan
from hubstead.gitstore import Pack, Weight, to_fold
from hubstead.ids import now_ms
from hubstead.repos.tables import repos

#: From so many objects on a repository gets a bitmap and a commit-graph when all is folded.
LARGE_OBJECTS = 1000
ATTEMPTS = 5
_BATCH = 500

_ABOUT = select(repos.c.pk, repos.c.id, repos.c.packs, repos.c.default_branch).where(
    repos.c.id == bindparam("repo_id")
)
_FIND = point(_ABOUT)
_LOCK = point(_ABOUT.with_for_update())
_PACKS = scan(
    select(packs.c.name, packs.c.objects, packs.c.bytes, packs.c.created_ms).where(
        packs.c.repo_pk == bindparam("repo_pk")
    )
)
_DROP = point(
    delete(packs).where(packs.c.repo_pk == bindparam("repo_pk"), packs.c.name == bindparam("which"))
)
_BURY = point(adding(retired_packs, "repo_id", "name", "since_ms").on_conflict_do_nothing())
_DEAD = scan(
    select(retired_packs.c.repo_id, retired_packs.c.name)
    .where(retired_packs.c.since_ms < bindparam("before_ms"))
    .limit(_BATCH)
)
_FORGET = point(
    delete(retired_packs).where(
        retired_packs.c.repo_id == bindparam("which_repo"),
        retired_packs.c.name == bindparam("which"),
    )
)
_REGISTERED = point(
    select(packs.c.name)
    .join_from(packs, repos, packs.c.repo_pk == repos.c.pk)
    .where(repos.c.id == bindparam("repo_id"), packs.c.name == bindparam("which"))
)


async def fold_packs(stores: Stores, repo_id: str) -> Pack | None:
    """Fold a repository's packs as far as they need it; return the pack that came of it.

    Nothing goes: what no ref reaches is kept as well. When all packs need it, and they are
    large, what refs reach becomes one pack with a bitmap. Harmless to repeat, and beside writes.
    """
    about = await stores.db.one(_FIND, repo_id=repo_id)
    if about is None:
        return None
    rows = await stores.db.all(_PACKS, repo_pk=about.pk)
    names = to_fold(Weight(row.name, row.objects) for row in rows)
    if not names:
        return None
    await stores.open_git(about)
    if len(names) == len(rows) and sum(row.objects for row in rows) >= LARGE_OBJECTS:
        made = await collect(stores, repo_id, grace_ms=-1)
        if made is not None:
            return made
    made = await asyncio.to_thread(stores.git.fold, repo_id, names)
    if made is None or made.name in names:
        return None
    await stores.publish(made)
    swap = functools.partial(_swap, repo_id, [made], names, None)
    if not await stores.db.write(swap):
        return None
    await asyncio.to_thread(stores.git.let_go, repo_id)
    return made


async def collect(
    stores: Stores,
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
    old = await _old_packs(stores, about, now_ms() - grace_ms)
    seen = await _refs(stores, about)
    if not old or not seen:
        return None
    await stores.open_git(about)
    show = stores.git.projection
    folder = await asyncio.to_thread(show, repo_id, seen, about.default_branch)
    made = await asyncio.to_thread(stores.git.gather, repo_id, folder)
    rest = await asyncio.to_thread(_rest, stores, repo_id, old, list(seen.values()), past)
    if made is None:
        return None
    new = [each for each in (made, rest) if each is not None]
    same = {each.name for each in new} & set(old)  # what is the very pack that was there stays
    new, old = [each for each in new if each.name not in same], [n for n in old if n not in same]
    if not old:
        return None
    for each in new:
        await stores.publish(each)
    for _ in range(ATTEMPTS):
        now = await _refs(stores, about)
        if now != seen and not await _still_whole(
            stores, about, new, old, (set(now.values()), set(seen.values()))
        ):
            return None
        if await stores.db.write(functools.partial(_swap, repo_id, new, old, now)):
            await asyncio.to_thread(stores.git.let_go, repo_id)
            await asyncio.to_thread(stores.git.write_commit_graph, repo_id, list(now.values()))
            return made
    return None


def _rest(
    stores: Stores, repo_id: str, old: list[str], tips: list[str], past: Collection[str] | None
) -> Pack | None:
    """Pack what is kept of what no ref reaches."""
    left = stores.git.unreached(repo_id, old, tips)
    if past is not None and left:
        gone = stores.git.unreached(repo_id, old, [*tips, *past])
        left = {oid: size for oid, size in left.items() if oid not in gone}
    return stores.git.pack_rest(repo_id, left) if left else None


async def _old_packs(stores: Stores, about: Row, before_ms: int) -> list[str]:
    rows = await stores.db.all(_PACKS, repo_pk=about.pk)
    return [row.name for row in rows if row.created_ms < before_ms]


async def _refs(stores: Stores, about: Row) -> dict[str, str]:
    return {row.name: row.oid for row in await all_refs(stores.db, about.pk)}


async def _still_whole(
    stores: Stores, about: Row, new: list[Pack], old: list[str], refs: tuple[set[str], set[str]]
) -> bool:
    """Tell whether refs that moved meanwhile need nothing of the packs that are to go."""
    again = await stores.db.one(_FIND, repo_id=about.id)
    if again is None:
        return False
    await stores.open_git(again)
    rows = await stores.db.all(_PACKS, repo_pk=about.pk)
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
    rows = {row.name: row for row in await tx.all(_PACKS, repo_pk=about.pk)}
    if not set(old) <= rows.keys() or any(each.name in rows for each in new):
        return False
    if refs is not None and refs != {r.name: r.oid for r in await all_refs(tx, about.pk)}:
        return False
    now = now_ms()
    await tx.many(_DROP, [{"repo_pk": about.pk, "which": name} for name in old])
    await tx.many(_BURY, [{"repo_id": repo_id, "name": name, "since_ms": now} for name in old])
    await blobs.unlink(tx, about.pk, [BlobKey(BlobKind.PACK, name) for name in old])
    for each in new:
        await add_pack(tx, about.pk, each)
    more = sum(each.size for each in new) - sum(rows[name].bytes for name in old)
    await add_usage(tx, about.pk, packs=len(new), used_bytes=more)
    return True


async def remove_dead_packs(stores: Stores, *, grace_ms: int) -> int:
    """Unlink packs that were folded longer ago than that; return how many were done with."""
    rows = await stores.db.all(_DEAD, before_ms=now_ms() - grace_ms)
    done = 0
    for row in rows:
        async with stores.locks.of(row.repo_id):  # a push may just bring it back
            forgotten = await stores.db.write(functools.partial(_forget, row))
            done += forgotten is not None
            if forgotten:
                await asyncio.to_thread(stores.git.remove_pack, row.repo_id, row.name)
    return done


async def _forget(row: Row, tx: Tx) -> bool | None:
    """Take a pack from the list of dead ones; return whether its file may go.

    None if nothing may be deleted just now (a backup is reading), and it stays in the list.
    """
    if not await blobs.may_delete(tx):
        return None
    await tx.run(_FORGET, which_repo=row.repo_id, which=row.name)
    return await tx.one(_REGISTERED, repo_id=row.repo_id, which=row.name) is None
