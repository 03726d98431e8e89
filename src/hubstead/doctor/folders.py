"""What lies in the folders of git without a row: litter, once it is old."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy import select

from hubstead.commits import list_deleted_repos, retired_pack_names
from hubstead.db import scan
from hubstead.doctor.findings import Fault, Inspection, Severity
from hubstead.doctor.repositories import RepoInspection, inspect_repos
from hubstead.repos.tables import repos

_IDS = scan(select(repos.c.id), str)


_SWEPT = "nothing: it is removed in time"


async def packs_without_row(patient: Inspection) -> AsyncIterator[Fault]:
    """No repository's folder has packs that are not registered."""
    async for case in inspect_repos(patient):
        folder = patient.stores.git.packs_path(case.repo.id)
        here = sorted(folder.glob("pack-*.pack"))
        names = [pack.name for pack in await case.packs()]
        names += await retired_pack_names(patient.stores.db, case.repo.id)
        known = {f"pack-{name}.pack" for name in names}
        for path in here:
            if path.name not in known and _is_old(patient, path):
                what = f"{path.name} is not registered"
                yield _litter("packs_without_row", case.subject, what)


async def leftovers(patient: Inspection) -> AsyncIterator[Fault]:
    """No drafts of packs and repositories that a crash left are lying about."""
    async for case in inspect_repos(patient):
        for path in _unfinished(case):
            if _is_old(patient, path):
                yield _litter("leftovers", case.subject, f"{path.name} was never finished")
    for path in sorted(patient.stores.git.root.glob("??/tmp_*")):
        if _is_old(patient, path):
            yield _litter("leftovers", f"folder {path.name}", "it was never finished")


def _unfinished(case: RepoInspection) -> list[Path]:
    return sorted(case.patient.stores.git.packs_path(case.repo.id).glob("tmp_*"))


async def folders_without_row(patient: Inspection) -> AsyncIterator[Fault]:
    """Each folder of git belongs to a repository, or to one deleted within the grace period."""
    db, git = patient.stores.db, patient.stores.git
    on_disk = list(git.repo_ids())
    dead = {row.repo_id: row.since_ms for row in await list_deleted_repos(db)}
    alive = set(await db.all(_IDS))
    for repo_id in sorted(dead.keys() & alive):
        what, hint = "it is marked as deleted, but its repository is there", "remove that mark"
        yield Fault("folders_without_row", Severity.FAULT, f"folder {repo_id}", what, hint)
    grace_ms = patient.stores.settings.blobs.grace_seconds * 1000
    for repo_id, since_ms in dead.items():
        if repo_id not in alive and patient.is_old(since_ms, than_ms=grace_ms + patient.young_ms):
            what = "its repository was deleted, and the grace period is over"
            yield _litter("folders_without_row", f"folder {repo_id}", what)
    for repo_id in on_disk:
        if repo_id not in alive and repo_id not in dead and _is_old(patient, git.path(repo_id)):
            what = "it belongs to no repository"
            yield _litter("folders_without_row", f"folder {repo_id}", what, "remove it")


def _is_old(patient: Inspection, path: Path) -> bool:
    try:
        return patient.is_old(path.stat().st_mtime * 1000)
    except FileNotFoundError:
        return False


def _litter(check: str, subject: str, what: str, hint: str = _SWEPT) -> Fault:
    return Fault(check, Severity.LITTER, subject, what, hint)
