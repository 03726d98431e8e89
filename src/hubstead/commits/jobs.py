"""Background work of the room: repacks, and removal of deleted repositories and unused packs."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from hubstead.admission import Lane, run_in_lane
from hubstead.commits.delete_repo import is_deleted_repo, remove_deleted_repos
from hubstead.commits.packs import known_packs
from hubstead.commits.ref_updates import REPACK
from hubstead.commits.repack import repack_repo
from hubstead.commits.retired import ROWS_STAY_MS, delete_retired_rows, remove_retired_packs
from hubstead.commits.storage import Storage
from hubstead.db import scan
from hubstead.gitstore import RepoMissing
from hubstead.jobs import Job, JobType
from hubstead.repos.tables import repos

REMOVE_DELETED = "commits.bury"

#: A draft, or a pack without a row, that is younger may belong to a running write.
UNREGISTERED_AGE_S = 86_400.0

_KNOWN = scan(select(repos.c.id).where(repos.c.id == bindparam("repo_id")), str)


def commit_jobs(storage: Storage) -> list[JobType]:
    """Return the room's types of jobs."""

    async def remove_deleted(_job: Job) -> None:
        grace_ms = int(storage.settings.blobs.grace_seconds * 1000)
        while await remove_deleted_repos(storage, grace_ms=grace_ms):
            pass
        await delete_retired_rows(storage, older_than_ms=_pack_grace_ms(storage) + ROWS_STAY_MS)

    async def repack(job: Job) -> None:
        await repack_repo(storage, job.subject)

    return [
        JobType(name=REMOVE_DELETED, handler=remove_deleted, interval_s=600.0),
        JobType(name=REPACK, handler=repack),
    ]


def _pack_grace_ms(storage: Storage) -> int:
    return int(storage.settings.git.pack_grace_seconds * 1000)


async def maintain_packs(storage: Storage) -> None:
    """Remove retired packs and old projections from this node; every node runs this."""
    await remove_retired_packs(storage, grace_ms=_pack_grace_ms(storage))
    await run_in_lane(Lane.WRITES, storage.git.handles.refresh)
    grace_s = storage.settings.git.pack_grace_seconds
    await run_in_lane(Lane.WRITES, storage.git.sweep_projections, older_than_s=grace_s)


async def sweep_folders(storage: Storage, *, older_than_s: float = UNREGISTERED_AGE_S) -> None:
    """Remove from this node the drafts, packs and folders that no row names and no write uses.

    Every node runs this: where packs are blobs the folders are caches, and packs that other
    nodes repacked or deleted stay in them.
    """
    await run_in_lane(Lane.WRITES, storage.git.sweep_drafts, older_than_s=older_than_s)
    for repo_id in await run_in_lane(Lane.WRITES, lambda: list(storage.git.repo_ids())):
        await _sweep_folder(storage, repo_id, older_than_s)


async def _sweep_folder(storage: Storage, repo_id: str, older_than_s: float) -> None:
    if await is_deleted_repo(storage.db, repo_id):
        return  # `REMOVE_DELETED` removes it
    known = await storage.db.all(_KNOWN, repo_id=repo_id)
    registered = await known_packs(storage.db, repo_id)
    await run_in_lane(Lane.WRITES, _sweep, storage, repo_id, registered, bool(known), older_than_s)


def _sweep(
    storage: Storage, repo_id: str, registered: set[str], known: bool, older_than_s: float
) -> None:
    try:
        if not known:
            if storage.git.is_older(repo_id, older_than_s):
                storage.git.remove(repo_id)  # a crash ended the creation of the repository
            return
        storage.git.sweep(repo_id, older_than_s=older_than_s)
        for name in storage.git.pack_names(repo_id):
            if name not in registered and storage.git.is_older(repo_id, older_than_s, name):
                storage.git.remove_pack(repo_id, name)
    except RepoMissing:
        return
