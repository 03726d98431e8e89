"""``hubstead repo``: all repositories, for the administrator of the machine."""

from __future__ import annotations

from typing import NamedTuple

import click
import msgspec
from sqlalchemy import select

from hubstead import commits, repos
from hubstead.accounts import Actor, owner_as_operator
from hubstead.accounts.tables import accounts
from hubstead.cli.context import Context, run, with_context
from hubstead.cli.output import Facts, iso_time, print_facts, print_result, print_rows
from hubstead.db import Database, Reader, scan
from hubstead.errors import AccountNotFound, RepoNotFound
from hubstead.ids import Kind, RepoId
from hubstead.repos.tables import repos as repos_table


class _RepoRow(NamedTuple):
    kind: str
    owner: str
    name: str
    id: str
    private: int
    disabled: int
    used_bytes: int
    created_ms: int
    modified_ms: int


_ALL = scan(
    select(
        repos_table.c.kind,
        accounts.c.name.label("owner"),
        repos_table.c.name,
        repos_table.c.id,
        repos_table.c.private,
        repos_table.c.disabled,
        repos_table.c.used_bytes,
        repos_table.c.created_ms,
        repos_table.c.modified_ms,
    )
    .join_from(repos_table, accounts, repos_table.c.owner_pk == accounts.c.pk)
    .order_by(repos_table.c.kind, accounts.c.name_key, repos_table.c.name),
    _RepoRow,
)
_NAME_HELP = (
    "NAME is owner/name, prefixed by models/, datasets/, spaces/, kernels/ or buckets/ (or --kind)."
)
_kind_option = click.option(
    "--kind",
    type=click.Choice([kind.value for kind in Kind]),
    help="The kind, if NAME has no prefix; by default model.",
)


@click.group("repo")
def command() -> None:
    """List, show and delete repositories."""


@command.command("list")
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]))
@click.option("--owner", help="Only repositories of this user or organization.")
@with_context
def list_(context: Context, kind: str | None, owner: str | None) -> None:
    """List all repositories, including private ones."""

    async def read(db: Database) -> list[_RepoRow]:
        return await db.all(_ALL)

    rows = [
        _row(row)
        for row in context.query(read)
        if (kind is None or row.kind == kind)
        and (owner is None or row.owner.casefold() == owner.casefold())
    ]
    print_rows(context, rows, ("kind", "name", "private", "bytes", "modified"))


def _row(row: _RepoRow) -> Facts:
    return {
        "kind": row.kind,
        "name": f"{row.owner}/{row.name}",
        "id": row.id,
        "private": bool(row.private),
        "disabled": bool(row.disabled),
        "bytes": row.used_bytes,
        "created": iso_time(row.created_ms),
        "modified": iso_time(row.modified_ms),
    }


@command.command("info", epilog=_NAME_HELP)
@click.argument("name")
@_kind_option
@with_context
def info(context: Context, name: str, kind: str | None) -> None:
    """Show a repository with its branches and tags."""
    repo_id = repo_id_of(name, kind)

    async def read(db: Database) -> Facts:
        return await _facts(db, await find_repo(db, repo_id))

    print_facts(context, context.query(read))


async def _facts(db: Database, repo: repos.Repo) -> Facts:
    details = await repos.load_details(db, repo)
    refs = await commits.list_refs(db, repo.pk)
    return {
        "kind": repo.kind.value,
        "name": repo.full_name,
        "id": repo.id,
        "private": repo.private,
        "gated": repo.gated or None,
        "disabled": repo.disabled,
        "default_branch": repo.default_branch,
        "bytes": details.used_bytes,
        "packs": repo.packs,
        "created": iso_time(repo.created_ms),
        "modified": iso_time(repo.modified_ms),
        "tags": msgspec.json.decode(details.tags),
        "refs": {row.name: row.target for row in refs},
    }


@command.command("delete", epilog=_NAME_HELP)
@click.argument("name")
@_kind_option
@with_context
def delete(context: Context, name: str, kind: str | None) -> None:
    """Delete a repository; its bytes are deleted after the grace period."""
    settings, repo_id = context.settings(), repo_id_of(name, kind)

    from hubstead.app import open_storage

    async def remove() -> repos.Repo:
        async with open_storage(settings) as storage:
            owner = await _as_owner(storage.db, repo_id)
            return await commits.delete_repository(storage, owner, repo_id)

    repo = run(remove)
    facts = {"kind": repo.kind.value, "name": repo.full_name, "deleted": True}
    print_result(context, f"Deleted the {repo.kind} {repo.full_name}.", facts)


def repo_id_of(name: str, kind: str | None = None) -> RepoId:
    """Parse a repository name, such as ``datasets/acme/texts``.

    Args:
        name: ``owner/name``, optionally prefixed by the plural of a kind.
        kind: The kind of a name without prefix; None: model.

    Raises:
        InvalidInput: the name is not valid.
    """
    first, slash, rest = name.partition("/")
    if slash and "/" in rest and first in {kind.plural for kind in Kind}:
        return RepoId.parse(Kind.parse_any(first), rest)
    return RepoId.parse(Kind(kind or "model"), name)


async def find_repo(db: Reader, repo_id: RepoId) -> repos.Repo:
    """Open a repository as its owner.

    Raises:
        RepoNotFound: there is no such repository.
    """
    return await repos.open_repo(db, await _as_owner(db, repo_id), repo_id)


async def _as_owner(db: Reader, repo_id: RepoId) -> Actor:
    try:
        return await owner_as_operator(db, repo_id.owner)
    except AccountNotFound:
        raise RepoNotFound() from None
