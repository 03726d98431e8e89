"""``hubstead stats``: storage use and savings of deduplication."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import click
import msgspec
from sqlalchemy import select

from hubstead.accounts.tables import accounts
from hubstead.cli.context import Context, with_context
from hubstead.cli.output import human_size, print_facts, print_rows
from hubstead.cli.repo import find_repo, repo_id_of
from hubstead.db import Database, Reader, scan
from hubstead.ids import Kind
from hubstead.repos.tables import repos
from hubstead.xet import Usage, hub_usage, usage_of, usage_of_all


class _NameRow(NamedTuple):
    pk: int
    kind: str
    owner: str
    name: str


_NAMES = scan(
    select(repos.c.pk, repos.c.kind, accounts.c.name.label("owner"), repos.c.name)
    .join_from(repos, accounts, repos.c.owner_pk == accounts.c.pk)
    .order_by(repos.c.kind, accounts.c.name_key, repos.c.name),
    _NameRow,
)
_SIZES = ("logical", "stored", "unique", "shared")


@click.command("stats")
@click.argument("name", metavar="[REPO]", required=False)
@with_context
def command(context: Context, *, name: str | None) -> None:
    """Show the storage use of LFS and Xet files, and the savings of deduplication.

    logical: the sum of file sizes. stored: the bytes stored for the files, counting a chunk once
    per repository. unique: bytes that no other repository needs; deleting the repository frees
    about this much. shared: the rest; with REPO, also which repositories share it.
    """
    if name is None:
        _show_hub(context)
    else:
        _show_repo(context, name)


def _show_repo(context: Context, name: str) -> None:
    repo_id = repo_id_of(name)

    async def read(db: Database) -> dict[str, Any]:
        repo = await find_repo(db, repo_id)
        usage = await usage_of(db, repo.pk)
        names = await _names(db)
        by_bytes = sorted(usage.shared_with.items(), key=lambda pair: -pair[1])
        shared = {names[pk]: size for pk, size in by_bytes if pk in names}
        return {"repository": names[repo.pk], **_facts(usage), "shared_with": shared}

    facts = context.query(read)
    if context.as_json:
        print_facts(context, facts)
        return
    shared = facts.pop("shared_with")
    print_facts(context, _readable(facts))
    if shared:
        click.echo("")
        print_rows(
            context, [{"shared_with": repo, "size": human_size(shared[repo])} for repo in shared]
        )


def _show_hub(context: Context) -> None:
    async def read(db: Database) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        names, usages = await _names(db), await usage_of_all(db)
        total = {"logical": sum(usage.logical for usage in usages.values())}
        total |= msgspec.to_builtins(await hub_usage(db))
        return total, [
            {"repository": name, **_facts(usages[pk])} for pk, name in names.items() if pk in usages
        ]

    total, rows = context.query(read)
    if context.as_json:
        click.echo(json.dumps({"total": total, "repositories": rows}, indent=2))
        return
    print_rows(context, [_readable(row) for row in rows])
    click.echo(
        f"\nfiles of all repositories: {human_size(total['logical'])}"
        f"\ndistinct files:            {human_size(total['distinct'])}"
        f"\nstored for them:           {human_size(total['plain'] + total['xorb_bytes'])}, "
        f"and {human_size(total['xorb_index'])} in the database"
    )


def _facts(usage: Usage) -> dict[str, Any]:
    return {"files": usage.files, **{name: getattr(usage, name) for name in _SIZES}}


def _readable(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: human_size(fact) if name in _SIZES else fact for name, fact in facts.items()}


async def _names(db: Reader) -> dict[int, str]:
    rows = await db.all(_NAMES)
    return {row.pk: f"{Kind(row.kind).plural}/{row.owner}/{row.name}" for row in rows}
