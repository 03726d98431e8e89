"""Deletion of repositories, and of their folders after the grace period."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, select

from hubstead import blobs
from hubstead.accounts import Actor
from hubstead.admission import Lane, run_to_the_end
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


async def delete_repository(storage: Storage, actor: Actor, repo_id: RepoId) -> Repo:
    """Delete a repository for good; a later one of the same name inherits nothing.

    Blobs that no other repository links become unreferenced; a job removes the git folder after
    the grace period.

    Raises:
        Those of ``open_repo`` (right ADMIN).
    """
    return await storage.db.write(_delete_repository, actor, repo_id)


async def _delete_repository(tx: Tx, actor: Actor, repo_id: RepoId) -> Repo:
    repo = await open_repo(tx, actor, repo_id, Right.ADMIN, lock=True)
    await delete_repo_rows(tx, repo)
    return repo


async def delete_repo_rows(tx: Tx, repo: Repo) -> None:
    """Delete the rows of a repository whose row this transaction has locked."""
    await record_event(tx, repo_subject(repo.pk), RepoDeleted(**event_facts(repo)))
    await blobs.unlink_repo(tx, repo.pk)
    await tx.run(_ADD, repo_id=repo.id)
    await remove_repo(tx, repo)


async def remove_deleted_repos(storage: Storage, *, grace_ms: int) -> int:
    """Remove up to 100 folders of repositories deleted over ``grace_ms`` ago; return how many."""
    before_ms = await database_now_ms(storage.db) - grace_ms
    ids = await storage.db.all(_DUE, before_ms=before_ms)
    for repo_id in ids:
        await run_to_the_end(Lane.BACKGROUND, storage.git.remove, repo_id)
    if ids:
        await storage.db.write(_delete_rows, ids)
    return len(ids)


async def _delete_rows(tx: Tx, repo_ids: Sequence[str]) -> None:
    await tx.run_many(_DELETE, [{"which": repo_id} for repo_id in repo_ids])


async def is_deleted_repo(db: Reader, repo_id: str) -> bool:
    """Tell whether the folder of a deleted repository still waits to be removed."""
    return await db.one(_FIND, repo_id=repo_id) is not None


async def list_deleted_repos(db: Reader) -> list[DeletedRepo]:
    """Return the deleted repositories whose folders wait to be removed, by id."""
    return await db.all(_ALL)


async def count_deleted_repos(db: Reader, before_ms: int) -> dict[bool, int]:
    """Count deleted repositories: under True those that were deleted before a time."""
    return {row.due: row.repos for row in await db.all(_COUNTS, before_ms=before_ms)}
