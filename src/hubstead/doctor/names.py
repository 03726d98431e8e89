"""Names are unique without regard to case because of their folded form, so that must be right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import NamedTuple

from sqlalchemy import select

from hubstead.accounts.tables import accounts
from hubstead.db import scan
from hubstead.doctor.findings import Fault, Inspection, Severity
from hubstead.doctor.repositories import inspect_repos
from hubstead.repos.tables import repo_names


class _AccountName(NamedTuple):
    name: str
    name_key: str


_ACCOUNTS = scan(select(accounts.c.name, accounts.c.name_key).order_by(accounts.c.pk), _AccountName)


class _RepoName(NamedTuple):
    repo_pk: int
    kind: str
    name_key: str


_NAMES = scan(
    select(repo_names.c.repo_pk, repo_names.c.kind, repo_names.c.name_key)
    .where(repo_names.c.is_alias == 0)
    .order_by(repo_names.c.kind, repo_names.c.name_key),
    _RepoName,
)
_HINT = "correct the row by hand: the name cannot be found, or somebody else may take it"


async def account_names(patient: Inspection) -> AsyncIterator[Fault]:
    """Each account is known by its own name."""
    for row in await patient.stores.db.all(_ACCOUNTS):
        if row.name_key != row.name.casefold():
            what = f"it is known as {row.name_key!r}"
            yield Fault("account_names", Severity.FAULT, f"account {row.name}", what, _HINT)


async def repository_names(patient: Inspection) -> AsyncIterator[Fault]:
    """Each repository has exactly one name of today, which is its own."""
    names: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for row in await patient.stores.db.all(_NAMES):
        names[row.repo_pk].append((row.kind, row.name_key))
    async for case in inspect_repos(patient):
        found = names.get(case.repo.pk, [])
        own = (case.repo.kind.value, case.repo.repo_id.key)
        if found != [own]:
            known = ", ".join(f"{kind} {key}" for kind, key in found) or "nothing"
            yield case.finding("repository_names", f"the table of names knows it as {known}", _HINT)
