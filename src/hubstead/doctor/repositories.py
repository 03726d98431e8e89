"""The repositories as the checks go through them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import and_, bindparam, func, select

from hubstead.blobs import BlobKind
from hubstead.blobs.tables import blobs
from hubstead.commits.tables import packs
from hubstead.db import scan
from hubstead.doctor.findings import Fault, Inspection, Severity
from hubstead.errors import BlobCorrupt, BlobNotFound
from hubstead.gitstore import GitRepo, RepoMissing
from hubstead.repos import Repo, RepoDetails, every_repo


class PackRow(NamedTuple):
    """A registered pack."""

    name: str
    bytes: int
    place: str  # the name under which a store of blobs has it


_PACKS = scan(
    select(packs.c.name, packs.c.bytes, func.coalesce(blobs.c.stored, packs.c.name).label("place"))
    .outerjoin_from(
        packs, blobs, and_(blobs.c.kind == BlobKind.PACK.value, blobs.c.name == packs.c.name)
    )
    .where(packs.c.repo_pk == bindparam("which_pk"))
    .order_by(packs.c.name),
    PackRow,
)


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
        return await self.patient.stores.db.all(_PACKS, which_pk=self.repo.pk)

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
