"""Retired packs: replaced by a repack, or left over from a write that failed.

Their rows record since when. Each node removes its own files after the grace period, once no
program that began before its end still reads the repository. Blobs of packs are deleted like all
unreferenced blobs.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from hubstead import blobs
from hubstead.admission import Lane, run_to_the_end
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

#: How long after the grace period rows of retired packs stay, for nodes that are behind. The
#: sweep of unregistered packs removes what a node misses.
ROWS_STAY_MS = 3_600_000
#: A transaction may commit this long after it read the clock.
_LATE_MS = 60_000


async def _mark_published_unreferenced(tx: Tx, pack: Pack) -> None:
    key = BlobKey(BlobKind.PACK, pack.name)
    if pack.stored == key.name:
        await blobs.register_blob(tx, key, pack.size)
        await blobs.mark_unreferenced(tx, [key])
    elif pack.stored is not None:
        await blobs.mark_stored_unreferenced(
            tx, [(blobs.parse_stored(key.kind, pack.stored), pack.size)]
        )


async def discard_packs(storage: Storage, repo_id: str, packs: Sequence[Pack]) -> None:
    """Retire packs of a failed write, published or not.

    A pack that another writer of the same bytes registered stays.
    """
    if packs:
        await storage.db.write(_discard_packs, repo_id, packs, storage.packs_are_blobs)


async def _discard_packs(
    tx: Tx, repo_id: str, packs: Sequence[Pack], packs_are_blobs: bool
) -> None:
    known = await registered_packs(tx, repo_id, [pack.name for pack in packs])
    unregistered = [pack for pack in packs if pack.name not in known]
    await retire_packs(tx, repo_id, [pack.name for pack in unregistered])
    if packs_are_blobs:
        for pack in unregistered:
            await _mark_published_unreferenced(tx, pack)


async def remove_retired_packs(storage: Storage, *, grace_ms: int) -> int:
    """Remove packs that were retired over ``grace_ms`` ago and that no program here reads.

    Where packs are blobs every node runs this, and the rows stay for the other nodes. Elsewhere
    a pause of deletion stops the removal, because a backup copies the files.

    Returns:
        How many retired packs this node is done with.
    """
    before = await database_now_ms(storage.db) - grace_ms
    scope = {"from_ms": storage.retired_from_ms, "before_ms": before}
    done, waiting = 0, []
    for repo_id in await repos_with_retired_packs(storage.db, **scope):
        rows = await list_retired_packs(storage.db, repo_id, **scope)
        unread = [row.name for row in rows if not _is_read(storage, repo_id, row, before)]
        if len(unread) < len(rows):
            waiting.append(min(row.since_ms for row in rows))
        done += await _remove(storage, repo_id, unread)
    if storage.packs_are_blobs:
        storage.retired_from_ms = min([before - _LATE_MS, *waiting])
    return done


def _is_read(storage: Storage, repo_id: str, row: RetiredPack, before_ms: int) -> bool:
    """Tell whether a program began to read before the grace period of the pack was over."""
    reading_s = storage.git.readers.oldest_s(repo_id)
    return reading_s is not None and before_ms - row.since_ms < reading_s * 1000


async def _remove(storage: Storage, repo_id: str, names: Sequence[str]) -> int:
    if not names:
        return 0
    async with storage.locks.of(repo_id):  # a push may register one again
        if storage.packs_are_blobs:
            known = await registered_packs(storage.db, repo_id, names)
        else:
            registered = await storage.db.write(functools.partial(_delete_rows, repo_id, names))
            if registered is None:
                return 0
            known = registered
        gone = [name for name in names if name not in known]
        await run_to_the_end(Lane.BACKGROUND, storage.git.remove_packs, repo_id, gone)
    storage.look_again(repo_id)
    return len(names)


async def _delete_rows(repo_id: str, names: Sequence[str], tx: Tx) -> set[str] | None:
    """Delete rows of retired packs; return those packs that are registered again and must stay.

    Return None, and delete no row, while a backup pauses deletion.
    """
    if not await blobs.may_delete_blobs(tx):
        return None
    await delete_retired(tx, repo_id, names)
    return await registered_packs(tx, repo_id, names)


async def delete_retired_rows(storage: Storage, *, older_than_ms: int) -> None:
    """Delete the rows of packs retired over ``older_than_ms`` ago, where packs are blobs."""
    if storage.packs_are_blobs:
        before = await database_now_ms(storage.db) - older_than_ms
        await storage.db.write(delete_retired_before, before)
