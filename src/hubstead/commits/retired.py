"""Packs that no repository needs any more: replaced by a repack, or made in vain.

Their rows say since when. Each node removes its own files, once the grace period is over and no
program that began before then still reads the repository there. The blobs of packs are deleted as
all blobs are.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence

from hubstead import blobs
from hubstead.blobs import BlobKey, BlobKind
from hubstead.commits.packs import (
    RetiredPack,
    delete_retired,
    delete_retired_before,
    list_retired_packs,
    registered_packs,
    repos_with_retired_packs,
    retire_packs,
)
from hubstead.commits.storage import Storage
from hubstead.db import Tx, database_now_ms
from hubstead.gitstore import Pack

#: So long after the grace period the rows of retired packs stay for nodes that are behind. What
#: a node misses by that, its sweep of unregistered packs removes.
ROWS_STAY_MS = 3_600_000
#: A transaction may commit this long after it read the clock.
_LATE_MS = 60_000


async def _doom_published(tx: Tx, pack: Pack) -> None:
    key = BlobKey(BlobKind.PACK, pack.name)
    if pack.stored == key.name:
        await blobs.register_blob(tx, key, pack.size)
        await blobs.mark_unreferenced(tx, [key])
    elif pack.stored is not None:
        await blobs.mark_stored_unreferenced(
            tx, [(blobs.parse_stored(key.kind, pack.stored), pack.size)]
        )


async def discard_packs(stores: Storage, repo_id: str, made: Sequence[Pack]) -> None:
    """Retire packs that were made, and perhaps published, but did not become the repository's.

    A pack that is registered, by another writer of the very same bytes, is left alone.
    """

    async def discard(tx: Tx) -> None:
        known = await registered_packs(tx, repo_id, [pack.name for pack in made])
        vain = [pack for pack in made if pack.name not in known]
        await retire_packs(tx, repo_id, [pack.name for pack in vain])
        if stores.packs_are_blobs:
            for pack in vain:
                await _doom_published(tx, pack)

    if made:
        await stores.db.write(discard)


async def remove_retired_packs(stores: Storage, *, grace_ms: int) -> int:
    """Remove from this node what was retired longer ago than that and nothing here reads.

    Where packs are blobs every node does so, and the rows stay for the others; else nothing is
    removed during a pause of deletion, because a backup copies the files.

    Returns:
        How many packs were done with.
    """
    before = await database_now_ms(stores.db) - grace_ms
    scope = {"from_ms": stores.retired_from_ms, "before_ms": before}
    done, waiting = 0, []
    for repo_id in await repos_with_retired_packs(stores.db, **scope):
        rows = await list_retired_packs(stores.db, repo_id, **scope)
        unread = [row.name for row in rows if not _is_read(stores, repo_id, row, before)]
        if len(unread) < len(rows):
            waiting.append(min(row.since_ms for row in rows))
        done += await _remove(stores, repo_id, unread)
    if stores.packs_are_blobs:
        stores.retired_from_ms = min([before - _LATE_MS, *waiting])
    return done


def _is_read(stores: Storage, repo_id: str, row: RetiredPack, before_ms: int) -> bool:
    """Tell whether a program here reads since before the grace period of a pack was over."""
    reading_s = stores.git.reading_s(repo_id)
    return reading_s is not None and before_ms - row.since_ms < reading_s * 1000


async def _remove(stores: Storage, repo_id: str, names: Sequence[str]) -> int:
    if not names:
        return 0
    async with stores.locks.of(repo_id):  # a push may just bring one back
        if stores.packs_are_blobs:
            known = await registered_packs(stores.db, repo_id, names)
        else:
            taken = await stores.db.write(functools.partial(_forget, repo_id, names))
            if taken is None:
                return 0
            known = taken
        gone = [name for name in names if name not in known]
        await asyncio.to_thread(stores.git.remove_packs, repo_id, gone)
    stores.look_again(repo_id)
    return len(names)


async def _forget(repo_id: str, names: Sequence[str], tx: Tx) -> set[str] | None:
    """Take packs from the list; return those that are registered again, so that they stay.

    None if nothing may be deleted just now (a backup is reading), and they stay in the list.
    """
    if not await blobs.may_delete_blobs(tx):
        return None
    await delete_retired(tx, repo_id, names)
    return await registered_packs(tx, repo_id, names)


async def delete_retired_rows(stores: Storage, *, older_than_ms: int) -> None:
    """Drop the rows of packs retired longer ago than that, where every node has removed them."""
    if stores.packs_are_blobs:
        before = await database_now_ms(stores.db) - older_than_ms
        await stores.db.write(delete_retired_before, before)
