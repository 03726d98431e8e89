"""``hubstead token``: access tokens."""

from __future__ import annotations

import sys

import click

from hubstead import accounts
from hubstead.cli.context import Context, secret_option, with_context
from hubstead.cli.output import Facts, iso_time, print_result, print_rows
from hubstead.db import Database, Tx


@click.group("token")
def command() -> None:
    """Create, list and revoke access tokens."""


@command.command("create")
@click.argument("user")
@click.option("--name", default="token", show_default=True, help="What lists call it.")
@click.option(
    "--role",
    type=click.Choice(["read", "write"]),
    default="write",
    show_default=True,
    help="What it may do: read, or all that its user may.",
)
@secret_option("--value", text="An existing token to take over, of any form.")
@with_context
def create(place: Context, user: str, name: str, role: str, value: str | None) -> None:
    """Create a token for USER and print it, this once.

    The token alone goes to standard output: export HF_TOKEN=$(hubstead token create ada)
    """

    async def add(db: Database) -> tuple[str, accounts.AccessToken]:
        owner = await accounts.find_account(db, user, "user")

        async def write(tx: Tx) -> tuple[str, accounts.AccessToken]:
            secret = await accounts.add_token(tx, owner.pk, name=name, role=role, value=value)
            return secret, (await accounts.list_tokens(tx, owner.name))[-1]

        return await db.write(write)

    secret, token = place.query(add)
    facts = _facts(token)
    if value is None:
        facts = {**facts, "token": secret}
        print_result(place, secret, facts)
    else:
        print_result(place, f"Took over a token for {token.user} (id {token.id}).", facts)


@command.command("list")
@click.argument("user", required=False)
@with_context
def list_(place: Context, user: str | None) -> None:
    """List tokens, never their values.

    Those of USER, or of everybody.
    """

    async def read(db: Database) -> list[accounts.AccessToken]:
        found = user and await accounts.find_account(db, user, "user")
        return await accounts.list_tokens(db, found.name if found else None)

    columns = ("id", "user", "name", "role", "kind", "ends_in", "created", "last_used", "expires")
    print_rows(place, [_facts(token) for token in place.query(read)], columns)


def _facts(token: accounts.AccessToken) -> Facts:
    return {
        "id": token.id,
        "user": token.user,
        "name": token.name,
        "role": token.role,
        "kind": token.kind,
        "ends_in": token.hint,
        "created": iso_time(token.created_ms),
        "last_used": iso_time(token.last_used_ms),
        "expires": iso_time(token.expires_ms),
    }


@command.command("revoke")
@click.argument("token")
@with_context
def revoke(place: Context, token: str) -> None:
    """End a token.

    TOKEN is its id or its value; '-' reads either from standard input.
    """
    which = sys.stdin.readline().strip() if token == "-" else token

    async def end(db: Database) -> None:
        async def write(tx: Tx) -> None:
            await accounts.revoke_token(tx, which)

        await db.write(write)

    place.query(end)
    print_result(place, "Revoked the token.", {"revoked": True})
