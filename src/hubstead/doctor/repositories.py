"""The repositories as the checks go through them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from hubstead.accounts import ANONYMOUS
from hubstead.accounts.tables import accounts
from hubstead.commits.tables import packs
from hubstead.db import Row, scan
from hubstead.doctor.findings import Finding, Patient, Severity
from hubstead.errors import BlobCorrupt, BlobNotFound
from hubstead.gitstore import GitRepo, RepoMissing
from hubstead.repos import Repo
from hubstead.repos.access import shape
from hubstead.repos.tables import repos

_BATCH = 500
_EVERY = scan(
    select(repos, accounts.c.name.label("owner"), accounts.c.kind.label("owner_kind"))
    .join_from(repos, accounts, repos.c.owner_pk == accounts.c.pk)
    .where(repos.c.pk > bindparam("after_pk"))
    .order_by(repos.c.pk)
    .limit(_BATCH)
)
_PACKS = scan(
    select(packs.c.name, packs.c.bytes)
    .where(packs.c.repo_pk == bindparam("which_pk"))
    .order_by(packs.c.name)
)


@dataclass(frozen=True)
class Case:
    """One repository: as others open it, and its whole row."""

    patient: Patient
    repo: Repo
    row: Row

    @property
    def subject(self) -> str:
        """What findings call it."""
        return f"{self.repo.kind.plural}/{self.repo.full_name}"

    async def packs(self) -> list[Row]:
        """Return (name, bytes) of its registered packs."""
        return await self.patient.stores.db.all(_PACKS, which_pk=self.repo.pk)

    async def git(self) -> GitRepo | None:
        """Return its objects, or None: ``targets`` says so and the other checks pass it by."""
        try:
            return await self.patient.stores.open_git(self.repo)
        except (RepoMissing, BlobNotFound, BlobCorrupt):
            return None

    def finding(self, check: str, what: str, hint: str, *, fault: bool = True) -> Finding:
        """Return a finding about this repository."""
        severity = Severity.FAULT if fault else Severity.WARNING
        return Finding(check, severity, self.subject, what, hint)


async def every_case(patient: Patient) -> AsyncIterator[Case]:
    """Yield every repository, oldest first."""
    after = 0
    while rows := await patient.stores.db.all(_EVERY, after_pk=after):
        for row in rows:
            yield Case(patient, shape(row, ANONYMOUS), row)
        after = rows[-1].pk
