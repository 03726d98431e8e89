"""``hubstead user``: people."""

from __future__ import annotations

from functools import partial

import click

from hubstead import accounts
from hubstead.cli.context import Context, secret_option, with_context
from hubstead.cli.output import Facts, iso_time, print_result, print_rows
from hubstead.db import Database, Tx


@click.group("user")
def command() -> None:
    """Create, list, disable and delete users."""


@command.command("create")
@click.argument("name")
@secret_option("--password", text="For signing in by password; without one only tokens work.")
@click.option("--email", help="The e-mail address that commits name.")
@click.option("--fullname", default="", help="The name for people.")
@click.option(
    "--admin", is_flag=True, help="An administrator of the server: opens nothing of others."
)
@with_context
def create(
    place: Context,
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

        async def write(tx: Tx) -> accounts.Account:
            await accounts.add_user(
                tx, name, password_hash=hashed, email=email, fullname=fullname, is_admin=admin
            )
            return await accounts.find_account(tx, name)

        return await db.write(write)

    made = place.query(add, make=True)
    print_result(place, f"Created the user {made.name}.", _facts(made))


@command.command("list")
@with_context
def list_(place: Context) -> None:
    """List all users."""

    async def read(db: Database) -> list[accounts.Account]:
        return await accounts.list_accounts(db, "user")

    columns = ("name", "fullname", "email", "admin", "disabled", "created")
    print_rows(place, [_facts(user) for user in place.query(read)], columns)


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
def disable(place: Context, name: str) -> None:
    """Shut a user out.

    No token and no password of theirs works until they are enabled again.
    """
    _switch(place, name, disabled=True)


@command.command("enable")
@click.argument("name")
@with_context
def enable(place: Context, name: str) -> None:
    """Let a disabled user in again."""
    _switch(place, name, disabled=False)


def _switch(place: Context, name: str, *, disabled: bool) -> None:
    async def switch(db: Database) -> accounts.Account:
        await db.write(partial(accounts.disable_user, name=name, disabled=disabled))
        return await accounts.find_account(db, name)

    user = place.query(switch)
    print_result(
        place, f"{'Disabled' if disabled else 'Enabled'} the user {user.name}.", _facts(user)
    )


@command.command("delete")
@click.argument("name")
@with_context
def delete(place: Context, name: str) -> None:
    """Delete a user.

    Their tokens and memberships go as well. Refused while they own repositories.
    """

    async def remove(db: Database) -> None:
        await accounts.delete_account(db, name, "user")

    place.query(remove)
    print_result(place, f"Deleted the user {name}.", {"name": name, "deleted": True})


@command.command("set-password")
@click.argument("name")
@secret_option("--password", text="The new password (asked for unless given).")
@with_context
def set_password(place: Context, name: str, password: str | None) -> None:
    """Change a user's password.

    Sessions that were made with the old one end.
    """
    new = password or click.prompt("New password", hide_input=True, confirmation_prompt=True)

    async def change(db: Database) -> None:
        user = await accounts.find_account(db, name, "user")
        hashed = await accounts.Passwords().hash(new)

        async def write(tx: Tx) -> None:
            await accounts.set_password(tx, user.name, hashed)

        await db.write(write)

    place.query(change)
    print_result(place, f"Changed the password of {name}.", {"name": name, "changed": True})
