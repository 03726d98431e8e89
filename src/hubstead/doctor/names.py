"""Checks of the case-folded names that keep accounts and repositories unique."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import NamedTuple

from sqlalchemy import select

from hubstead.accounts.tables import accounts
from hubstead.db import scan
from hubstead.doctor.findings import Finding, Inspection, Severity
from hubstead.doctor.repositories import inspect_repos
from hubstead.errors import InvalidName
from hubstead.ids import FIRST_USER, check_account_name
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
_HINT = "correct the row by hand: the name cannot be resolved, or another account can take it"


async def account_names(inspection: Inspection) -> AsyncIterator[Finding]:
    """The key of every account is its case-folded name."""
    for row in await inspection.storage.db.all(_ACCOUNTS):
        if row.name_key != row.name.casefold():
            what = f"it is known as {row.name_key!r}"
            yield Finding("account_names", Severity.FAULT, f"account {row.name}", what, _HINT)


async def reserved_names(inspection: Inspection) -> AsyncIterator[Finding]:
    """No account has a name that addresses need, but for the first administrator's."""
    for row in await inspection.storage.db.all(_ACCOUNTS):
        if row.name_key == FIRST_USER:
            continue
        try:
            check_account_name(row.name, by_admin=True)
        except InvalidName as error:
            yield Finding(
                "reserved_names",
                Severity.WARNING,
                f"account {row.name}",
                f"no new account could have its name: {error.reason}",
                "rename it (hubstead user rename, hubstead org rename): pages or git may need it",
            )


async def repository_names(inspection: Inspection) -> AsyncIterator[Finding]:
    """Every repository has exactly one current row in the table of names: its own."""
    names: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for row in await inspection.storage.db.all(_NAMES):
        names[row.repo_pk].append((row.kind, row.name_key))
    async for repository in inspect_repos(inspection, with_buckets=True):
        current = names.get(repository.repo.pk, [])
        own = (repository.repo.kind.value, repository.repo.repo_id.key)
        if current != [own]:
            known = ", ".join(f"{kind} {key}" for kind, key in current) or "nothing"
            yield repository.finding(
                "repository_names", f"the table of names knows it as {known}", _HINT
            )
