"""``hubstead stats``."""

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
from hubstead.xet.usage import Usage, hub_usage, usage_of, usage_of_all


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
def command(place: Context, *, name: str | None) -> None:
    """Tell what LFS and Xet files take, and what deduplication saves.

    logical: the sizes of the files added up. stored: the bytes kept for them, each chunk counted
    once per repository. unique: those that no other repository needs, so that deleting the
    repository makes about so much room. shared: the rest; with REPO, with which ones.
    """
    if name is None:
        _show_hub(place)
    else:
        _show_repo(place, name)


def _show_repo(place: Context, name: str) -> None:
    wanted = repo_id_of(name)

    async def read(db: Database) -> dict[str, Any]:
        opened = await find_repo(db, wanted)
        found = await usage_of(db, opened.pk)
        names = await _names(db)
        by_bytes = sorted(found.shared_with.items(), key=lambda pair: -pair[1])
        shared = {names[pk]: size for pk, size in by_bytes if pk in names}
        return {"repository": names[opened.pk], **_facts(found), "shared_with": shared}

    facts = place.query(read)
    if place.as_json:
        print_facts(place, facts)
        return
    shared = facts.pop("shared_with")
    print_facts(place, _readable(facts))
    if shared:
        click.echo("")
        print_rows(place, [{"shared_with": who, "size": human_size(shared[who])} for who in shared])


def _show_hub(place: Context) -> None:
    async def read(db: Database) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        names, usages = await _names(db), await usage_of_all(db)
        total = {"logical": sum(usage.logical for usage in usages.values())}
        total |= msgspec.to_builtins(await hub_usage(db))
        found = [(name, usages[pk]) for pk, name in names.items() if pk in usages]
        return total, [{"repository": name, **_facts(usage)} for name, usage in found]

    total, rows = place.query(read)
    if place.as_json:
        click.echo(json.dumps({"total": total, "repositories": rows}, indent=2))
        return
    print_rows(place, [_readable(row) for row in rows])
    click.echo(
        f"\nfiles of all repositories: {human_size(total['logical'])}"
        f"\neach different file once:  {human_size(total['distinct'])}"
        f"\nstored for them:           {human_size(total['plain'] + total['xorb_bytes'])}, "
        f"and {human_size(total['xorb_index'])} in the database"
    )


def _facts(found: Usage) -> dict[str, Any]:
    return {"files": found.files, **{name: getattr(found, name) for name in _SIZES}}


def _readable(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: human_size(each) if name in _SIZES else each for name, each in facts.items()}


async def _names(db: Reader) -> dict[int, str]:
    rows = await db.all(_NAMES)
    return {row.pk: f"{Kind(row.kind).plural}/{row.owner}/{row.name}" for row in rows}
