"""``hubstead org``: organizations and their members."""

from __future__ import annotations

import click

from hubstead import accounts, repos
from hubstead.cli.context import Context, with_context
from hubstead.cli.output import Facts, iso_time, print_result, print_rows
from hubstead.db import Database
from hubstead.errors import NotFound


@click.group("org")
def command() -> None:
    """Create, list, rename and delete organizations, and manage their members."""


@command.command("create")
@click.argument("name")
@click.option("--owner", required=True, metavar="USER", help="Its first administrator.")
@click.option("--fullname", default="", help="The display name.")
@with_context
def create(context: Context, name: str, owner: str, fullname: str) -> None:
    """Create the organization NAME."""

    async def add(db: Database) -> Facts:
        user = await accounts.find_account(db, owner, "user")
        org = await db.write(accounts.add_org, name, user.pk, fullname=fullname)
        return await _facts(db, org)

    facts = context.query(add)
    print_result(context, f"Created the organization {facts['name']}.", facts)


@command.command("add")
@click.argument("org")
@click.argument("user")
@click.option(
    "--role",
    type=click.Choice(accounts.ORG_ROLES),
    required=True,
    help="The member's rights; a contributor creates repositories and reads all others.",
)
@with_context
def add(context: Context, org: str, user: str, role: str) -> None:
    """Add USER to ORG, or change their role in it."""

    async def join(db: Database) -> Facts:
        organization = await accounts.open_org_as_operator(db, org)
        member = await accounts.find_account(db, user, "user")
        await db.write(accounts.set_member, organization, member.pk, role)
        return {"org": organization.name, "user": member.name, "role": role}

    facts = context.query(join)
    print_result(context, f"{facts['user']} is in {facts['org']} with the role {role}.", facts)


@command.command("remove")
@click.argument("org")
@click.argument("user")
@with_context
def remove(context: Context, org: str, user: str) -> None:
    """Remove USER from ORG."""

    async def leave(db: Database) -> Facts:
        organization = await accounts.open_org_as_operator(db, org)
        member = await accounts.find_account(db, user, "user")
        if not await db.write(accounts.remove_member, organization, member.pk):
            raise NotFound(reason=f"{member.name} is not in {organization.name}")
        return {"org": organization.name, "user": member.name, "removed": True}

    facts = context.query(leave)
    print_result(context, f"{facts['user']} is no longer in {facts['org']}.", facts)


@command.command("list")
@with_context
def list_(context: Context) -> None:
    """List all organizations with their members and roles."""

    async def read(db: Database) -> list[Facts]:
        orgs = await accounts.list_accounts(db, "org")
        return [await _facts(db, await accounts.open_org_as_operator(db, o.name)) for o in orgs]

    print_rows(context, context.query(read), ("name", "fullname", "members", "created"))


async def _facts(db: Database, org: accounts.Organization) -> Facts:
    members = await accounts.list_members(db, org)
    return {
        "name": org.name,
        "id": org.id,
        "fullname": org.fullname,
        "members": {member.name: member.role for member in members},
        "created": iso_time(org.created_ms),
    }


@command.command("rename")
@click.argument("name")
@click.argument("new")
@with_context
def rename(context: Context, name: str, new: str) -> None:
    """Rename the organization NAME; its old addresses and its repositories' redirect."""

    async def change(db: Database) -> accounts.Account:
        return await repos.rename_account_as_operator(db, name, "org", new)

    account = context.query(change)
    facts = {"name": account.name, "id": account.id, "was": name}
    print_result(context, f"The organization {name} is now called {account.name}.", facts)


@command.command("delete")
@click.argument("name")
@with_context
def delete(context: Context, name: str) -> None:
    """Delete the organization NAME; refused while it owns repositories."""
    from hubstead.app import ACCOUNT_RELEASES

    async def remove(db: Database) -> None:
        await accounts.delete_account(db, name, "org", ACCOUNT_RELEASES)

    context.query(remove)
    print_result(context, f"Deleted the organization {name}.", {"name": name, "deleted": True})
