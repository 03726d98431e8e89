"""The repositories as the checks go through them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from hubstead.accounts import ANONYMOUS
from hubstead.accounts.tables import account
from hubstead.commits.tables import pack
from hubstead.db import Row, scan
from hubstead.doctor.findings import Finding, Patient, Severity
from hubstead.errors import HubError
from hubstead.gitstore import GitRepo
from hubstead.repos import Repo
from hubstead.repos.access import shape
from hubstead.repos.tables import repo

_BATCH = 500
_EVERY = scan(
    select(repo, account.c.name.label("owner"), account.c.kind.label("owner_kind"))
    .join_from(repo, account, repo.c.owner_pk == account.c.pk)
    .where(repo.c.pk > bindparam("after_pk"))
    .order_by(repo.c.pk)
    .limit(_BATCH)
)
_PACKS = scan(
    select(pack.c.name, pack.c.bytes)
    .where(pack.c.repo_pk == bindparam("which_pk"))
    .order_by(pack.c.name)
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
        except HubError:
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
