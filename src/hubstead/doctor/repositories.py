"""Iteration of the checks over all repositories."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from hubstead.commits import PackRow, list_packs
from hubstead.doctor.findings import Finding, Inspection, Severity
from hubstead.errors import BlobDamaged
from hubstead.gitstore import GitRepo, RepoMissing
from hubstead.ids import Kind
from hubstead.repos import Repo, RepoDetails, every_repo


@dataclass(frozen=True)
class RepoInspection:
    """One repository of an inspection, with its details."""

    inspection: Inspection
    repo: Repo
    details: RepoDetails

    @property
    def subject(self) -> str:
        """Its name in findings: ``models/acme/bert``."""
        return f"{self.repo.kind.plural}/{self.repo.full_name}"

    async def packs(self) -> list[PackRow]:
        """Return its registered packs."""
        return await list_packs(self.inspection.storage.db, self.repo.pk)

    async def git(self) -> GitRepo | None:
        """Return its git objects, or None if they cannot be opened, which ``targets`` reports."""
        try:
            return await self.inspection.storage.open_git(self.repo)
        except (RepoMissing, BlobDamaged):
            return None

    def finding(self, check: str, what: str, hint: str, *, fault: bool = True) -> Finding:
        """Return a finding about this repository."""
        severity = Severity.FAULT if fault else Severity.WARNING
        return Finding(check, severity, self.subject, what, hint)


async def inspect_repos(
    inspection: Inspection, *, with_buckets: bool = False
) -> AsyncIterator[RepoInspection]:
    """Yield every repository that has git, or every one, the oldest first."""
    async for repo, details in every_repo(inspection.storage.db):
        if with_buckets or repo.kind is not Kind.BUCKET:
            yield RepoInspection(inspection, repo, details)
