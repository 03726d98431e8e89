"""``hubstead repo``: repositories, as the machine's administrator sees them."""

from __future__ import annotations

from typing import NamedTuple

import click
import msgspec
from sqlalchemy import select

from hubstead import commits, repos
from hubstead.accounts import Actor, find_account
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
_NAME_HELP = "NAME is owner/name, before it models/, datasets/, spaces/ or kernels/ (or --kind)."
_kind_option = click.option(
    "--kind", type=click.Choice([kind.value for kind in Kind]), help="model unless NAME says."
)


@click.group("repo")
def command() -> None:
    """List, show and delete repositories."""


@command.command("list")
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]))
@click.option("--owner", help="Only those of this user or organization.")
@with_context
def list_(place: Context, kind: str | None, owner: str | None) -> None:
    """List all repositories, private ones too."""

    async def read(db: Database) -> list[_RepoRow]:
        return await db.all(_ALL)

    rows = [
        _row(row)
        for row in place.query(read)
        if (kind is None or row.kind == kind)
        and (owner is None or row.owner.casefold() == owner.casefold())
    ]
    print_rows(place, rows, ("kind", "name", "private", "bytes", "modified"))


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
def info(place: Context, name: str, kind: str | None) -> None:
    """Show one repository with its branches and tags."""
    wanted = repo_id_of(name, kind)

    async def read(db: Database) -> Facts:
        return await _facts(db, await find_repo(db, wanted))

    print_facts(place, place.query(read))


async def _facts(db: Database, opened: repos.Repo) -> Facts:
    details = await repos.load_details(db, opened)
    refs = await commits.list_refs(db, opened.pk)
    return {
        "kind": opened.kind.value,
        "name": opened.full_name,
        "id": opened.id,
        "private": opened.private,
        "gated": opened.gated or None,
        "disabled": opened.disabled,
        "default_branch": opened.default_branch,
        "bytes": details.used_bytes,
        "packs": opened.packs,
        "created": iso_time(opened.created_ms),
        "modified": iso_time(opened.modified_ms),
        "tags": msgspec.json.decode(details.tags),
        "refs": {row.name: row.target for row in refs},
    }


@command.command("delete", epilog=_NAME_HELP)
@click.argument("name")
@_kind_option
@with_context
def delete(place: Context, name: str, kind: str | None) -> None:
    """Delete a repository for good; its bytes go after the grace period."""
    settings, wanted = place.settings(), repo_id_of(name, kind)

    from hubstead.app import open_storage

    async def remove() -> repos.Repo:
        async with open_storage(settings) as stores:
            owner = await _as_owner(stores.db, wanted)
            return await commits.delete_repository(stores, owner, wanted)

    gone = run(remove)
    facts = {"kind": gone.kind.value, "name": gone.full_name, "deleted": True}
    print_result(place, f"Deleted the {gone.kind} {gone.full_name}.", facts)


def repo_id_of(name: str, kind: str | None = None) -> RepoId:
    """Return the repository that a user means by ``name``, such as ``datasets/acme/texts``."""
    first, slash, rest = name.partition("/")
    if slash and "/" in rest and first in {each.plural for each in Kind}:
        return RepoId.parse(Kind.parse(first), rest)
    return RepoId.parse(Kind(kind or "model"), name)


async def find_repo(db: Reader, wanted: RepoId) -> repos.Repo:
    """Open a repository as its owner.

    Raises:
        RepoNotFound: there is none.
    """
    return await repos.open_repo(db, await _as_owner(db, wanted), wanted)


async def _as_owner(db: Reader, wanted: RepoId) -> Actor:
    """Return the owner as the one who acts: whoever runs this holds the machine anyway."""
    try:
        owner = await find_account(db, wanted.owner)
    except AccountNotFound:
        raise RepoNotFound() from None
    return Actor(pk=owner.pk, name=owner.name, may_write=True)
