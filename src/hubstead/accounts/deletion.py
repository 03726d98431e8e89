"""Deletion of accounts."""

from __future__ import annotations

from hubstead.accounts.accounts import delete_row, find_account
from hubstead.accounts.orgs import require_other_admins
from hubstead.db import Conflict, Database, Tx
from hubstead.errors import InvalidInput


async def delete_account(db: Database, name: str, kind: str) -> None:
    """Delete a user or organization for good, with its tokens and memberships.

    Raises:
        AccountNotFound: there is no such account.
        InvalidInput: the account owns repositories.
        LastAdministrator: the user is the last administrator of an organization.
    """
    account = await find_account(db, name, kind)

    async def write(tx: Tx) -> None:
        await require_other_admins(tx, account.pk)
        await delete_row(tx, account.pk)

    try:
        await db.write(write)
    except Conflict:
        raise InvalidInput(
            reason=f"{account.name} owns repositories: delete or move them first"
        ) from None
