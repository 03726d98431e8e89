"""Deleting a repository, and clearing away what no row names any more."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, select

from hubstead import blobs
from hubstead.accounts import Actor
from hubstead.commits.storage import Storage
from hubstead.commits.tables import deleted_repos
from hubstead.db import DatabaseNow, Reader, Tx, database_now_ms, indexed, insert_into, scan
from hubstead.ids import RepoId
from hubstead.outbox import record_event
from hubstead.repos import (
    Repo,
    RepoDeleted,
    Right,
    event_facts,
    open_repo,
    remove_repo,
    repo_subject,
)


class DeletedRepo(NamedTuple):
    """A deleted repository whose folder waits to be removed."""

    repo_id: str
    since_ms: int


class _DueCount(NamedTuple):
    due: bool
    repos: int


_ADD = indexed(
    insert_into(deleted_repos, "repo_id").values(since_ms=DatabaseNow()).on_conflict_do_nothing()
)
_DUE = scan(
    select(deleted_repos.c.repo_id)
    .where(deleted_repos.c.since_ms < bindparam("before_ms"))
    .limit(100),
    str,
)
_FIND = indexed(
    select(deleted_repos.c.repo_id).where(deleted_repos.c.repo_id == bindparam("repo_id")), str
)
_ALL = scan(
    select(deleted_repos.c.repo_id, deleted_repos.c.since_ms).order_by(deleted_repos.c.repo_id),
    DeletedRepo,
)
_COUNTS = scan(
    select(
        (deleted_repos.c.since_ms < bindparam("before_ms")).label("due"),
        func.count().label("repos"),
    ).group_by(deleted_repos.c.since_ms < bindparam("before_ms")),
    _DueCount,
)
_DELETE = indexed(delete(deleted_repos).where(deleted_repos.c.repo_id == bindparam("which")))


async def delete_repository(stores: Storage, actor: Actor, repo_id: RepoId) -> Repo:
    """Delete a repository for good; who makes one of the same name inherits nothing.

    Its blobs are doomed where no other repository links them, its folder of git goes after the
    grace period.

    Raises:
        Those of ``open_repo`` (right ADMIN).
    """

    async def remove(tx: Tx) -> Repo:
        opened = await open_repo(tx, actor, repo_id, Right.ADMIN, lock=True)
        await delete_repo_rows(tx, opened)
        return opened

    return await stores.db.write(remove)


async def delete_repo_rows(tx: Tx, opened: Repo) -> None:
    """Do the deleting for a repository whose row this transaction holds."""
    await record_event(tx, repo_subject(opened.pk), RepoDeleted(**event_facts(opened)))
    await blobs.unlink_repo(tx, opened.pk)
    await tx.run(_ADD, repo_id=opened.id)
    await remove_repo(tx, opened)


async def remove_deleted_repos(stores: Storage, *, grace_ms: int) -> int:
    """Remove folders of repositories deleted longer ago than that; return how many."""
    before_ms = await database_now_ms(stores.db) - grace_ms
    ids = await stores.db.all(_DUE, before_ms=before_ms)
    for repo_id in ids:
        await asyncio.to_thread(stores.git.remove, repo_id)

    async def forget(tx: Tx) -> None:
        await tx.run_many(_DELETE, [{"which": repo_id} for repo_id in ids])

    if ids:
        await stores.db.write(forget)
    return len(ids)


async def is_deleted_repo(db: Reader, repo_id: str) -> bool:
    """Tell whether the folder of a deleted repository still waits to be removed."""
    return await db.one(_FIND, repo_id=repo_id) is not None


async def list_deleted_repos(db: Reader) -> list[DeletedRepo]:
    """Return the deleted repositories whose folders wait to be removed, by id."""
    return await db.all(_ALL)


async def count_deleted_repos(db: Reader, before_ms: int) -> dict[bool, int]:
    """Count them: under True those that were deleted before a time."""
    return {row.due: row.repos for row in await db.all(_COUNTS, before_ms=before_ms)}
