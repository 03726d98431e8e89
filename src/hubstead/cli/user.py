"""``hubstead user``: user accounts."""

from __future__ import annotations

from functools import partial

import click

from hubstead import accounts, repos
from hubstead.cli.context import Context, secret_option, with_context
from hubstead.cli.output import Facts, iso_time, print_result, print_rows
from hubstead.db import Database


@click.group("user")
def command() -> None:
    """Create, list, rename, disable and delete users."""


@command.command("create")
@click.argument("name")
@secret_option("--password", text="A password to sign in with; without one only tokens work.")
@click.option("--email", help="The e-mail address of the user's commits.")
@click.option("--fullname", default="", help="The display name.")
@click.option(
    "--admin", is_flag=True, help="Administrator of the server; this opens no private repository."
)
@with_context
def create(
    context: Context,
    *,
    name: str,
    password: str | None,
    email: str | None,
    fullname: str,
    admin: bool,
) -> None:
    """Create the user NAME."""

    async def add(db: Database) -> accounts.Account:
        hashed = None if password is None else await accounts.Passwords().hash(password)
        await db.write(
            accounts.add_user,
            name,
            password_hash=hashed,
            email=email,
            fullname=fullname,
            is_admin=admin,
        )
        return await accounts.find_account(db, name)

    user = context.query(add, make=True)
    print_result(context, f"Created the user {user.name}.", _facts(user))


@command.command("list")
@with_context
def list_(context: Context) -> None:
    """List all users."""

    async def read(db: Database) -> list[accounts.Account]:
        return await accounts.list_accounts(db, "user")

    columns = ("name", "fullname", "email", "admin", "disabled", "created")
    print_rows(context, [_facts(user) for user in context.query(read)], columns)


def _facts(user: accounts.Account) -> Facts:
    return {
        "name": user.name,
        "id": user.id,
        "fullname": user.fullname,
        "email": user.email,
        "admin": bool(user.is_admin),
        "disabled": bool(user.disabled),
        "created": iso_time(user.created_ms),
    }


@command.command("disable")
@click.argument("name")
@with_context
def disable(context: Context, name: str) -> None:
    """Disable a user: their tokens and password stop working until `hubstead user enable`."""
    _set_disabled(context, name, disabled=True)


@command.command("enable")
@click.argument("name")
@with_context
def enable(context: Context, name: str) -> None:
    """Enable a disabled user."""
    _set_disabled(context, name, disabled=False)


def _set_disabled(context: Context, name: str, *, disabled: bool) -> None:
    async def write(db: Database) -> accounts.Account:
        await db.write(partial(accounts.disable_user, name=name, disabled=disabled))
        return await accounts.find_account(db, name)

    user = context.query(write)
    print_result(
        context, f"{'Disabled' if disabled else 'Enabled'} the user {user.name}.", _facts(user)
    )


@command.command("rename")
@click.argument("name")
@click.argument("new")
@with_context
def rename(context: Context, name: str, new: str) -> None:
    """Rename the user NAME; their old addresses and their repositories' redirect."""

    async def change(db: Database) -> accounts.Account:
        return await repos.rename_account_as_operator(db, name, "user", new)

    account = context.query(change)
    facts = {"name": account.name, "id": account.id, "was": name}
    print_result(context, f"The user {name} is now called {account.name}.", facts)


@command.command("delete")
@click.argument("name")
@with_context
def delete(context: Context, name: str) -> None:
    """Delete a user with their tokens and memberships; refused while they own repositories."""
    from hubstead.app import ACCOUNT_RELEASES

    async def remove(db: Database) -> None:
        await accounts.delete_account(db, name, "user", ACCOUNT_RELEASES)

    context.query(remove)
    print_result(context, f"Deleted the user {name}.", {"name": name, "deleted": True})


@command.command("set-password")
@click.argument("name")
@secret_option("--password", text="The new password; without it, the command prompts for it.")
@with_context
def set_password(context: Context, name: str, password: str | None) -> None:
    """Change a user's password and end the sessions of the old one."""
    new = password or click.prompt("New password", hide_input=True, confirmation_prompt=True)

    async def change(db: Database) -> None:
        user = await accounts.find_account(db, name, "user")
        hashed = await accounts.Passwords().hash(new)
        await db.write(accounts.set_password, user.name, hashed)

    context.query(change)
    print_result(context, f"Changed the password of {name}.", {"name": name, "changed": True})
