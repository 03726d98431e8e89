"""The room's background work: folders of deleted repositories, packs that no row names."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy import bindparam, select

from hubstead.commits.delete_repo import is_deleted_repo, remove_deleted_repos
from hubstead.commits.packs import known_packs
from hubstead.commits.ref_updates import FOLD
from hubstead.commits.repack import repack_repo
from hubstead.commits.retired import ROWS_STAY_MS, delete_retired_rows, remove_retired_packs
from hubstead.commits.storage import Storage
from hubstead.db import scan
from hubstead.gitstore import RepoMissing
from hubstead.jobs import Job
from hubstead.repos.tables import repos

BURY = "commits.bury"

#: How often each job is due, in seconds.
EVERY_S = {BURY: 600.0}
#: A pack without a row, or a draft, that is younger than this may still be under way.
LITTER_S = 86_400.0

_KNOWN = scan(select(repos.c.id).where(repos.c.id == bindparam("repo_id")), str)


def handlers(stores: Storage) -> dict[str, Callable[[Job], Awaitable[None]]]:
    """Return who does the jobs of this room."""

    async def bury(_job: object) -> None:
        grace_ms = int(stores.settings.blobs.grace_seconds * 1000)
        while await remove_deleted_repos(stores, grace_ms=grace_ms):
            pass
        await delete_retired_rows(stores, older_than_ms=_pack_grace_ms(stores) + ROWS_STAY_MS)

    async def fold(job: Job) -> None:
        await repack_repo(stores, job.subject)

    return {BURY: bury, FOLD: fold}


def _pack_grace_ms(stores: Storage) -> int:
    return int(stores.settings.git.pack_grace_seconds * 1000)


async def keep_packs_few(stores: Storage) -> None:
    """Have this node let go of what it needs no more of git; every node does so for itself."""
    await remove_retired_packs(stores, grace_ms=_pack_grace_ms(stores))
    await asyncio.to_thread(stores.git.refresh_handles)
    grace_s = stores.settings.git.pack_grace_seconds
    await asyncio.to_thread(stores.git.sweep_projections, older_than_s=grace_s)


async def sweep_folders(stores: Storage, *, older_than_s: float = LITTER_S) -> None:
    """Remove from this node's folders of git what no row names and nobody is writing any more.

    Every node does so for itself: folders are caches where packs are blobs, and what other nodes
    folded or deleted stays in them.
    """
    await asyncio.to_thread(stores.git.sweep_drafts, older_than_s=older_than_s)
    for repo_id in await asyncio.to_thread(lambda: list(stores.git.repo_ids())):
        await _sweep_folder(stores, repo_id, older_than_s)


async def _sweep_folder(stores: Storage, repo_id: str, older_than_s: float) -> None:
    if await is_deleted_repo(stores.db, repo_id):
        return  # the other job's
    known = await stores.db.all(_KNOWN, repo_id=repo_id)
    registered = await known_packs(stores.db, repo_id)
    await asyncio.to_thread(_sweep, stores, repo_id, registered, bool(known), older_than_s)


def _sweep(
    stores: Storage, repo_id: str, registered: set[str], known: bool, older_than_s: float
) -> None:
    try:
        if not known:
            if stores.git.is_older(repo_id, older_than_s):
                stores.git.remove(repo_id)  # made by a creation that a crash ended
            return
        stores.git.sweep(repo_id, older_than_s=older_than_s)
        for name in stores.git.pack_names(repo_id):
            if name not in registered and stores.git.is_older(repo_id, older_than_s, name):
                stores.git.remove_pack(repo_id, name)
    except RepoMissing:
        return
