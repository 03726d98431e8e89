"""Checks for files and folders of git without a row: leftovers, once they are old."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy import select

from hubstead.commits import list_deleted_repos, retired_pack_names
from hubstead.db import scan
from hubstead.doctor.findings import Finding, Inspection, Severity
from hubstead.doctor.repositories import RepoInspection, inspect_repos
from hubstead.repos.tables import repos

_IDS = scan(select(repos.c.id), str)


_EXPIRES = "nothing: the hub deletes it in time"


async def packs_without_row(inspection: Inspection) -> AsyncIterator[Finding]:
    """Every pack in a repository's folder is registered or retired."""
    async for repository in inspect_repos(inspection):
        folder = inspection.storage.git.packs_path(repository.repo.id)
        paths = sorted(folder.glob("pack-*.pack"))
        names = [pack.name for pack in await repository.packs()]
        names += await retired_pack_names(inspection.storage.db, repository.repo.id)
        known = {f"pack-{name}.pack" for name in names}
        for path in paths:
            if path.name not in known and _is_old(inspection, path):
                what = f"{path.name} is not registered"
                yield _leftover("packs_without_row", repository.subject, what)


async def leftovers(inspection: Inspection) -> AsyncIterator[Finding]:
    """No crash left drafts of packs or repositories behind."""
    async for repository in inspect_repos(inspection):
        for path in _unfinished(repository):
            if _is_old(inspection, path):
                yield _leftover("leftovers", repository.subject, f"{path.name} was never finished")
    for path in sorted(inspection.storage.git.root.glob("??/tmp_*")):
        if _is_old(inspection, path):
            yield _leftover("leftovers", f"folder {path.name}", "it was never finished")


def _unfinished(repository: RepoInspection) -> list[Path]:
    return sorted(repository.inspection.storage.git.packs_path(repository.repo.id).glob("tmp_*"))


async def folders_without_row(inspection: Inspection) -> AsyncIterator[Finding]:
    """Every git folder belongs to a repository, or to one deleted within the grace period."""
    db, git = inspection.storage.db, inspection.storage.git
    on_disk = list(git.repo_ids())
    deleted = {row.repo_id: row.since_ms for row in await list_deleted_repos(db)}
    existing = set(await db.all(_IDS))
    for repo_id in sorted(deleted.keys() & existing):
        what, hint = "it is marked as deleted, but its repository exists", "remove that mark"
        yield Finding("folders_without_row", Severity.FAULT, f"folder {repo_id}", what, hint)
    grace_ms = inspection.storage.settings.blobs.grace_seconds * 1000
    for repo_id, since_ms in deleted.items():
        if repo_id not in existing and inspection.is_old(
            since_ms, than_ms=grace_ms + inspection.young_ms
        ):
            what = "its repository was deleted, and the grace period is over"
            yield _leftover("folders_without_row", f"folder {repo_id}", what)
    for repo_id in on_disk:
        if (
            repo_id not in existing
            and repo_id not in deleted
            and _is_old(inspection, git.path(repo_id))
        ):
            what = "it belongs to no repository"
            yield _leftover("folders_without_row", f"folder {repo_id}", what, "remove it")


def _is_old(inspection: Inspection, path: Path) -> bool:
    try:
        return inspection.is_old(path.stat().st_mtime * 1000)
    except FileNotFoundError:
        return False


def _leftover(check: str, subject: str, what: str, hint: str = _EXPIRES) -> Finding:
    return Finding(check, Severity.LEFTOVER, subject, what, hint)
