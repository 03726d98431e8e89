"""``hubstead org``: organizations and their members."""

from __future__ import annotations

import click

from hubstead import accounts
from hubstead.cli.context import Context, with_context
from hubstead.cli.output import Facts, iso_time, print_result, print_rows
from hubstead.db import Database, Tx
from hubstead.errors import NotFound


@click.group("org")
def command() -> None:
    """Create and list organizations, and who is in them."""


@command.command("create")
@click.argument("name")
@click.option("--owner", required=True, metavar="USER", help="Its first administrator.")
@click.option("--fullname", default="", help="The name for people.")
@with_context
def create(place: Context, name: str, owner: str, fullname: str) -> None:
    """Create the organization NAME."""

    async def add(db: Database) -> Facts:
        user = await accounts.find_account(db, owner, "user")

        async def write(tx: Tx) -> accounts.Organization:
            return await accounts.add_org(tx, name, user.pk, fullname=fullname)

        return await _facts(db, await db.write(write))

    made = place.query(add)
    print_result(place, f"Created the organization {made['name']}.", made)


@command.command("add")
@click.argument("org")
@click.argument("user")
@click.option(
    "--role",
    type=click.Choice(accounts.ORG_ROLES),
    required=True,
    help="What they may do with its repositories; a contributor makes some and reads the rest.",
)
@with_context
def add(place: Context, org: str, user: str, role: str) -> None:
    """Take USER into ORG, or change their role there."""

    async def join(db: Database) -> Facts:
        opened = await accounts.open_org_as_operator(db, org)
        member = await accounts.find_account(db, user, "user")

        async def write(tx: Tx) -> None:
            await accounts.set_member(tx, opened, member.pk, role)

        await db.write(write)
        return {"org": opened.name, "user": member.name, "role": role}

    done = place.query(join)
    print_result(place, f"{done['user']} is in {done['org']} with the role {role}.", done)


@command.command("remove")
@click.argument("org")
@click.argument("user")
@with_context
def remove(place: Context, org: str, user: str) -> None:
    """Take USER out of ORG."""

    async def leave(db: Database) -> Facts:
        opened = await accounts.open_org_as_operator(db, org)
        member = await accounts.find_account(db, user, "user")

        async def write(tx: Tx) -> bool:
            return await accounts.remove_member(tx, opened, member.pk)

        if not await db.write(write):
            raise NotFound(reason=f"{member.name} is not in {opened.name}")
        return {"org": opened.name, "user": member.name, "removed": True}

    done = place.query(leave)
    print_result(place, f"{done['user']} is no longer in {done['org']}.", done)


@command.command("list")
@with_context
def list_(place: Context) -> None:
    """List all organizations with their members and roles."""

    async def read(db: Database) -> list[Facts]:
        orgs = await accounts.list_accounts(db, "org")
        return [await _facts(db, await accounts.open_org_as_operator(db, o.name)) for o in orgs]

    print_rows(place, place.query(read), ("name", "fullname", "members", "created"))


async def _facts(db: Database, org: accounts.Organization) -> Facts:
    members = await accounts.list_members(db, org)
    return {
        "name": org.name,
        "id": org.id,
        "fullname": org.fullname,
        "members": {member.name: member.role for member in members},
        "created": iso_time(org.created_ms),
    }


@command.command("delete")
@click.argument("name")
@with_context
def delete(place: Context, name: str) -> None:
    """Delete an organization.

    Refused while it owns repositories.
    """

    async def gone(db: Database) -> None:
        await accounts.delete_account(db, name, "org")

    place.query(gone)
    print_result(place, f"Deleted the organization {name}.", {"name": name, "deleted": True})
