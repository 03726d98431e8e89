"""``hubstead collection``: the collections of all users and organizations."""

from __future__ import annotations

import click

from hubstead import accounts, collections
from hubstead.cli.context import Context, with_context
from hubstead.cli.output import Facts, iso_time, print_result, print_rows
from hubstead.db import Database


@click.group("collection")
def command() -> None:
    """List and delete collections."""


@command.command("list")
@click.option("--owner", help="Only those of this user or organization.")
@with_context
def list_(context: Context, owner: str | None) -> None:
    """List all collections, private ones too."""

    async def read(db: Database) -> list[Facts]:
        only = (await accounts.find_account(db, owner)).pk if owner else None
        return [
            _facts(collection)
            async for collection in collections.every_collection(db)
            if only in (None, collection.owner_pk)
        ]

    print_rows(context, context.query(read))


def _facts(collection: collections.Collection) -> Facts:
    return {
        "slug": collection.slug,
        "title": collection.title,
        "owner": collection.owner,
        "private": collection.private,
        "upvotes": collection.upvotes,
        "updated": iso_time(collection.modified_ms),
    }


@command.command("delete")
@click.argument("slug")
@with_context
def delete(context: Context, slug: str) -> None:
    """Delete the collection SLUG for good; what it lists stays."""

    async def remove(db: Database) -> None:
        await collections.remove_collection(db, slug)

    context.query(remove)
    print_result(context, f"Deleted the collection {slug}.", {"slug": slug, "deleted": True})
