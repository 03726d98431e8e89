"""Deletion of accounts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from hubstead.accounts.accounts import delete_row, find_account, lock_account
from hubstead.accounts.orgs import require_other_admins
from hubstead.db import Conflict, Database, Tx
from hubstead.errors import InvalidInput

#: Removes what another room keeps of an account, inside the transaction that deletes it.
ReleaseAccount: TypeAlias = Callable[[Tx, int], Awaitable[None]]


async def delete_account(
    db: Database, name: str, kind: str, releases: Sequence[ReleaseAccount] = ()
) -> None:
    """Delete a user or organization for good, with its tokens and memberships.

    Args:
        db: The database.
        name: The account's present name, in any case.
        kind: ``user`` or ``org``.
        releases: What other rooms do first (``app.ACCOUNT_RELEASES``): they correct counts.

    Raises:
        AccountNotFound: there is no such account.
        InvalidInput: the account owns repositories.
        LastAdministrator: the user is the last administrator of an organization.
    """
    account = await find_account(db, name, kind)

    async def write(tx: Tx) -> None:
        await lock_account(tx, account.pk)
        await require_other_admins(tx, account.pk)
        for release in releases:
            await release(tx, account.pk)
        await delete_row(tx, account.pk)

    try:
        await db.write(write)
    except Conflict:
        raise InvalidInput(
            reason=f"{account.name} owns repositories: delete or move them first"
        ) from None
