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
@click.option("--name", default="token", show_default=True, help="The name in lists of tokens.")
@click.option(
    "--role",
    type=click.Choice(["read", "write"]),
    default="write",
    show_default=True,
    help="read: read only; write: all rights of its user.",
)
@secret_option("--value", text="An existing token of any form, to import instead of a new one.")
@with_context
def create(context: Context, user: str, name: str, role: str, value: str | None) -> None:
    """Create a token for USER and print it; the hub cannot show it again.

    Standard output has only the token: export HF_TOKEN=$(hubstead token create ada)
    """

    async def add(db: Database) -> tuple[str, accounts.AccessToken]:
        owner = await accounts.find_account(db, user, "user")
        limit = context.settings().accounts.max_tokens
        return await db.write(_add, owner, name=name, role=role, value=value, limit=limit)

    secret, token = context.query(add)
    facts = _facts(token)
    if value is None:
        facts = {**facts, "token": secret}
        print_result(context, secret, facts)
    else:
        print_result(context, f"Imported a token for {token.user} (id {token.id}).", facts)


async def _add(
    tx: Tx, owner: accounts.Account, *, name: str, role: str, value: str | None, limit: int
) -> tuple[str, accounts.AccessToken]:
    secret = await accounts.add_token(tx, owner.pk, name=name, role=role, value=value, limit=limit)
    return secret, (await accounts.list_tokens(tx, owner.name))[-1]


@command.command("list")
@click.argument("user", required=False)
@with_context
def list_(context: Context, user: str | None) -> None:
    """List the tokens of USER or of all users, without their values."""

    async def read(db: Database) -> list[accounts.AccessToken]:
        owner = user and await accounts.find_account(db, user, "user")
        return await accounts.list_tokens(db, owner.name if owner else None)

    columns = ("id", "user", "name", "role", "kind", "ends_in", "created", "last_used", "expires")
    print_rows(context, [_facts(token) for token in context.query(read)], columns)


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
def revoke(context: Context, token: str) -> None:
    """Revoke a token.

    TOKEN is its id or its value; '-' reads either from standard input.
    """
    id_or_value = sys.stdin.readline().strip() if token == "-" else token

    async def remove(db: Database) -> None:
        await db.write(accounts.revoke_token, id_or_value)

    context.query(remove)
    print_result(context, "Revoked the token.", {"revoked": True})
