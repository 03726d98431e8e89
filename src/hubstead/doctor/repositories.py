"""The repositories as the checks go through them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from hubstead.commits import PackRow, list_packs
from hubstead.doctor.findings import Fault, Inspection, Severity
from hubstead.errors import BlobCorrupt, BlobNotFound
from hubstead.gitstore import GitRepo, RepoMissing
from hubstead.repos import Repo, RepoDetails, every_repo


@dataclass(frozen=True)
class RepoInspection:
    """One repository: as others open it, and its details."""

    patient: Inspection
    repo: Repo
    details: RepoDetails

    @property
    def subject(self) -> str:
        """What findings call it."""
        return f"{self.repo.kind.plural}/{self.repo.full_name}"

    async def packs(self) -> list[PackRow]:
        """Return its registered packs."""
        return await list_packs(self.patient.stores.db, self.repo.pk)

    async def git(self) -> GitRepo | None:
        """Return its objects, or None: ``targets`` says so and the other checks pass it by."""
        try:
            return await self.patient.stores.open_git(self.repo)
        except (RepoMissing, BlobNotFound, BlobCorrupt):
            return None

    def finding(self, check: str, what: str, hint: str, *, fault: bool = True) -> Fault:
        """Return a finding about this repository."""
        severity = Severity.FAULT if fault else Severity.WARNING
        return Fault(check, severity, self.subject, what, hint)


async def inspect_repos(patient: Inspection) -> AsyncIterator[RepoInspection]:
    """Yield every repository, oldest first."""
    async for repo, details in every_repo(patient.stores.db):
        yield RepoInspection(patient, repo, details)
