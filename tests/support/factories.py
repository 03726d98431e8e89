"""Factories of users, organizations and repositories, through the rooms that own them.

Each takes what the test is about and defaults the rest::

    anna = await a_user(db, "anna")
    acme = await an_org(db, "acme", anna, {"read": bert})
    model = await a_repo(db, anna, "acme/bert", private=True)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs
from sqlalchemy import Table, bindparam, update

from hubstead.accounts import Actor, add_org, add_user, find_account, set_member
from hubstead.db import Database, Tx, indexed
from hubstead.ids import Kind, RepoId, new_object_id
from hubstead.repos import NewRepo, Repo, Right, insert_repo, open_repo
from hubstead.repos.tables import repos


async def a_user(db: Database, name: str = "anna", **facts: Any) -> Actor:
    """Add a user and return their actor, with a write token."""

    async def add(tx: Tx) -> int:
        return await add_user(tx, name, **facts)

    pk = await db.write(add)
    is_admin = bool(facts.get("is_admin"))
    return Actor(pk=pk, name=name, is_admin=is_admin, may_write=True, token_role="write")


async def an_org(
    db: Database, name: str, owner: Actor, members: Mapping[str, Actor] | None = None
) -> int:
    """Add an organization of ``owner`` with ``members`` by role, and return its primary key."""

    async def add(tx: Tx) -> int:
        org = await add_org(tx, name, owner.pk)
        for role, member in (members or {}).items():
            await set_member(tx, org, member.pk, role)
        return org.pk

    return await db.write(add)


async def a_repo(
    db: Database,
    creator: Actor,
    name: str = "anna/bert",
    *,
    kind: Kind = Kind.MODEL,
    private: bool = False,
    **columns: object,
) -> Repo:
    """Add a repository without content and open it as its creator.

    ``columns`` sets further columns of its row (``gated``, ``disabled``, ``downloads``, …).
    """
    repo_id = RepoId.parse(kind, name)
    owner = await find_account(db, repo_id.owner)
    new = NewRepo(
        id=new_object_id(),
        kind=kind,
        owner=owner.name,
        owner_pk=owner.pk,
        name=repo_id.name,
        private=private,
    )

    async def add(tx: Tx) -> Repo:
        pk = await insert_repo(tx, creator, new)
        repo = await open_repo(tx, creator, repo_id, Right.VIEW)
        if columns:
            await _set(tx, pk, columns)
        fields = {name: columns[name] for name in columns.keys() & set(Repo.__struct_fields__)}
        return structs.replace(repo, **fields)

    return await db.write(add)


async def _set(tx: Tx, pk: int, columns: Mapping[str, object]) -> None:
    changed = await tx.run(_setting(repos, columns), which_pk=pk)
    assert changed == 1


def _setting(table: Table, columns: Mapping[str, object]) -> Any:
    return indexed(update(table).values(dict(columns)).where(table.c.pk == bindparam("which_pk")))
