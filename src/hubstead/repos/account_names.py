"""Renames of accounts, with the names of the repositories that they own."""

from __future__ import annotations

from sqlalchemy import bindparam, func, literal, select, update

from hubstead.accounts import (
    ANONYMOUS,
    Account,
    Actor,
    OrgRight,
    find_account,
    load_account,
    open_org,
    require_writable,
    set_account_name,
)
from hubstead.accounts.tables import accounts
from hubstead.db import Database, Tx, indexed, insert, scan
from hubstead.errors import Forbidden
from hubstead.ids import account_key
from hubstead.outbox import record_event
from hubstead.repos.access import COLUMNS_FOR_NO_CALLER, RepoRow, repo_from_row
from hubstead.repos.events import RepoRenamed, repo_subject
from hubstead.repos.queries import event_facts
from hubstead.repos.tables import repo_names, repos

_OWNED = select(repos.c.pk).where(repos.c.owner_pk == bindparam("owner"))
_LOCK = scan(_OWNED.order_by(repos.c.pk).with_for_update(), int)
_ROWS = scan(
    select(*COLUMNS_FOR_NO_CALLER)
    .join_from(repos, accounts, repos.c.owner_pk == accounts.c.pk)
    .where(repos.c.owner_pk == bindparam("owner"))
    .order_by(repos.c.pk),
    RepoRow,
)
_MAKE_ALIASES = indexed(
    update(repo_names)
    .values(is_alias=1)
    .where(repo_names.c.is_alias == 0, repo_names.c.repo_pk.in_(_OWNED))
)
# Names are ASCII, so that ``lower`` is the key of a name. The account had no other repositories
# under its new name: what the conflict finds there is a past name.
_NAMES = select(
    repos.c.kind,
    (bindparam("new_key") + literal("/") + func.lower(repos.c.name)).label("name_key"),
    repos.c.pk,
    literal(0).label("is_alias"),
).where(repos.c.owner_pk == bindparam("owner"))
_TAKE_NAMES = indexed(
    insert(repo_names)
    .from_select(["kind", "name_key", "repo_pk", "is_alias"], _NAMES)
    .on_conflict_do_update(
        index_elements=["kind", "name_key"],
        set_={"repo_pk": insert(repo_names).excluded.repo_pk, "is_alias": 0},
    )
)


async def rename_account(
    db: Database, actor: Actor, name: str, kind: str, new_name: str
) -> Account:
    """Rename the caller's own account, or an organization that they administer.

    The old names, of the account and of its repositories, redirect until they are taken.

    Raises:
        LoginRequired, Forbidden, AccountNotFound: the caller may not.
        InvalidName, NameTaken: the new name is not allowed, or taken.
    """
    require_writable(actor)
    account = await find_account(db, name, kind)
    if account.kind == "org":
        await open_org(db, actor, name, OrgRight.ADMIN)
    elif account.pk != actor.pk:
        raise Forbidden(reason=f"{account.name} is not your account")
    return await db.write(_rename, account.pk, new_name, actor)


async def rename_account_as_operator(db: Database, name: str, kind: str, new_name: str) -> Account:
    """Rename any account; for the operator's commands, never for a request.

    Raises:
        AccountNotFound: there is no such account of that kind.
        InvalidName, NameTaken: the new name is not allowed, or taken.
    """
    account = await find_account(db, name, kind)
    return await db.write(_rename, account.pk, new_name, None)


async def _rename(tx: Tx, account_pk: int, new_name: str, actor: Actor | None) -> Account:
    """Rename an account; ``actor`` is None for the operator."""
    account = await load_account(tx, account_pk)
    if actor is not None and account.kind == "org":
        await open_org(tx, actor, account.name, OrgRight.ADMIN)
    if new_name == account.name:
        return account
    # The account first: who is about to create a repository below it waits for this transaction.
    await set_account_name(tx, account, new_name, by_admin=actor is None)
    await tx.all(_LOCK, owner=account.pk)
    if account_key(new_name) != account_key(account.name):
        await tx.run(_MAKE_ALIASES, owner=account.pk)
        await tx.run(_TAKE_NAMES, owner=account.pk, new_key=account_key(new_name))
    for row in await tx.all(_ROWS, owner=account.pk):
        repo = repo_from_row(row, ANONYMOUS)
        old_name = f"{account.name}/{repo.name}"
        await record_event(
            tx, repo_subject(repo.pk), RepoRenamed(**event_facts(repo), old_name=old_name)
        )
    return await load_account(tx, account_pk)
