"""Who may do what with a repository. Opening one *is* asking.

A caller's standing in a repository is decided in this order:

1. the owner: ``admin``; a member of the owning organization: their role there, except that a
   contributor is ``admin`` of what they made and ``read`` of the rest;
2. everybody else: ``none``, who may see what is public.

A token of role ``read`` takes away writing. A private repository does not exist for ``none``:
the same statement runs and the same error is raised as for a name nobody has.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import msgspec
from sqlalchemy import Integer, and_, bindparam, literal_column, select

from hubstead.accounts import Actor
from hubstead.accounts.tables import accounts, members
from hubstead.db import Reader, Tx, indexed
from hubstead.errors import (
    Forbidden,
    Gated,
    LoginRequired,
    RepoDisabled,
    RepoNotFound,
)
from hubstead.ids import Kind, RepoId, account_key
from hubstead.repos.errors import RepoMoved
from hubstead.repos.tables import repo_names, repos

#: What ``open_repo`` and ``require`` raise when the repository is not for this caller.
DENIED = (RepoNotFound, LoginRequired, Forbidden, Gated, RepoDisabled)


class Right(IntEnum):
    """What a caller wants to do; each includes those before it."""

    VIEW = 1  # see that it is there, its metadata and its tree
    READ = 2  # read its files
    WRITE = 3
    ADMIN = 4


class Repo(msgspec.Struct, frozen=True):
    """A repository that was opened: whoever holds one has asked for the right to it."""

    pk: int
    id: str  # 24 hex
    kind: Kind
    owner: str
    owner_pk: int
    owner_kind: str  # user, org
    name: str
    private: bool
    gated: str  # "", auto, manual
    disabled: bool
    default_branch: str
    head: str | None  # the tip of the default branch, None while it has none
    sdk: str | None
    lfs_multipart_threshold: int | None
    packs: int
    created_ms: int
    modified_ms: int
    role: str  # the caller's standing: none, read, write, admin

    @property
    def repo_id(self) -> RepoId:
        """Its name today."""
        return RepoId(self.kind, self.owner, self.name)

    @property
    def full_name(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"


_RANK = {"none": 0, "read": 1, "write": 2, "admin": 3}

OPENED_COLUMNS = (
    repos.c.pk,
    repos.c.id,
    repos.c.kind,
    accounts.c.name.label("owner"),
    repos.c.owner_pk,
    accounts.c.kind.label("owner_kind"),
    repos.c.creator_pk,
    repos.c.name,
    repos.c.private,
    repos.c.gated,
    repos.c.disabled,
    repos.c.default_branch,
    repos.c.head,
    repos.c.sdk,
    repos.c.lfs_multipart_threshold,
    repos.c.packs,
    repos.c.created_ms,
    repos.c.modified_ms,
    members.c.role.label("member_role"),
)
NO_ALIAS = literal_column("0", Integer).label("is_alias")  # opened otherwise than by a name
_MEMBERSHIP = and_(members.c.org_pk == repos.c.owner_pk, members.c.user_pk == bindparam("actor_pk"))
_OPEN = (
    select(*OPENED_COLUMNS, repo_names.c.is_alias)
    .join_from(repo_names, repos, repo_names.c.repo_pk == repos.c.pk)
    .join(accounts, repos.c.owner_pk == accounts.c.pk)
    .outerjoin(members, _MEMBERSHIP)
    .where(repo_names.c.kind == bindparam("kind"), repo_names.c.name_key == bindparam("key"))
)


class RepoRow(NamedTuple):
    """A row of ``OPENED_COLUMNS``."""

    pk: int
    id: str
    kind: str
    owner: str
    owner_pk: int
    owner_kind: str
    creator_pk: int | None
    name: str
    private: int
    gated: str
    disabled: int
    default_branch: str
    head: str | None
    sdk: str | None
    lfs_multipart_threshold: int | None
    packs: int
    created_ms: int
    modified_ms: int
    member_role: str | None
    is_alias: int


_OPEN_BY_NAME = indexed(_OPEN, RepoRow)
_OPEN_AND_LOCK = indexed(_OPEN.with_for_update(of=repos), RepoRow)
_BY_ID = (
    select(*OPENED_COLUMNS, NO_ALIAS)
    .join_from(repos, accounts, repos.c.owner_pk == accounts.c.pk)
    .outerjoin(members, _MEMBERSHIP)
    .where(repos.c.id == bindparam("repo_id"))
)
_OPEN_BY_ID = indexed(_BY_ID, RepoRow)
_OPEN_BY_PK = indexed(
    select(*OPENED_COLUMNS, NO_ALIAS)
    .join_from(repos, accounts, repos.c.owner_pk == accounts.c.pk)
    .outerjoin(members, _MEMBERSHIP)
    .where(repos.c.pk == bindparam("repo_pk")),
    RepoRow,
)
_REOPEN = indexed(_BY_ID.with_for_update(of=repos), RepoRow)


class Namespace(NamedTuple):
    """An account below which the caller may make repositories, and their role in it."""

    pk: int
    name: str
    kind: str
    role: str | None


_NAMESPACE = indexed(
    select(accounts.c.pk, accounts.c.name, accounts.c.kind, members.c.role)
    .outerjoin_from(
        accounts,
        members,
        and_(members.c.org_pk == accounts.c.pk, members.c.user_pk == bindparam("actor_pk")),
    )
    .where(accounts.c.name_key == bindparam("key")),
    Namespace,
)


async def open_repo(
    db: Reader, actor: Actor, repo_id: RepoId, right: Right = Right.VIEW, *, lock: bool = False
) -> Repo:
    """Return the repository called ``repo_id`` if ``actor`` has ``right`` to it.

    Args:
        db: The database, or the transaction that is going to change the repository.
        actor: Who asks.
        repo_id: Its name, in any case.
        right: What for.
        lock: Inside a transaction: keep others from changing it until the end.

    Raises:
        RepoNotFound: it does not exist, or not for this caller.
        RepoMoved: an old name of a repository the caller may read; ``target`` is its name now.
        LoginRequired: visible, but writing needs somebody signed in.
        Forbidden: visible, but the caller may not do that.
        Gated: its files need its owners' approval.
        RepoDisabled: it was disabled.
    """
    statement = _OPEN_AND_LOCK if lock else _OPEN_BY_NAME
    row = await db.one(statement, kind=repo_id.kind.value, key=repo_id.key, actor_pk=actor.pk)
    opened = _admit(row, actor)
    if row is not None and row.is_alias:
        raise RepoMoved(target=opened.repo_id)
    require_right(opened, actor, right)
    return opened


async def open_repo_by_id(
    db: Reader, actor: Actor, repo_id: str, right: Right = Right.VIEW
) -> Repo:
    """Return the repository with this immutable id; see ``open_repo`` for the errors."""
    opened = _admit(await db.one(_OPEN_BY_ID, repo_id=repo_id, actor_pk=actor.pk), actor)
    require_right(opened, actor, right)
    return opened


async def open_repo_by_pk(
    db: Reader, actor: Actor, repo_pk: int, right: Right = Right.VIEW
) -> Repo:
    """Return the repository with this number; see ``open_repo`` for the errors."""
    opened = _admit(await db.one(_OPEN_BY_PK, repo_pk=repo_pk, actor_pk=actor.pk), actor)
    require_right(opened, actor, right)
    return opened


async def try_open_repo_by_pk(
    db: Reader, actor: Actor, repo_pk: int, right: Right = Right.VIEW
) -> Repo | None:
    """Return the repository with this number, or None if ``actor`` lacks ``right`` to it.

    Raises:
        Unavailable: the database cannot answer, which says nothing of rights.
    """
    try:
        return await open_repo_by_pk(db, actor, repo_pk, right)
    except DENIED:
        return None


async def reopen(tx: Tx, actor: Actor, opened: Repo, right: Right) -> Repo:
    """Ask again, inside the transaction that writes, and lock the repository's row.

    Rights may have gone since the request began; nothing is cached.
    """
    again = _admit(await tx.one(_REOPEN, repo_id=opened.id, actor_pk=actor.pk), actor)
    require_right(again, actor, right)
    return again


def _admit(row: RepoRow | None, actor: Actor) -> Repo:
    if row is None:
        raise RepoNotFound()
    opened = repo_from_row(row, actor)
    if opened.private and opened.role == "none":
        raise RepoNotFound()
    return opened


def repo_from_row(row: RepoRow, actor: Actor) -> Repo:
    """Make a ``Repo`` of a row of ``OPENED_COLUMNS``, with the caller's standing in it."""
    return Repo(
        pk=row.pk,
        id=row.id,
        kind=Kind(row.kind),
        owner=row.owner,
        owner_pk=row.owner_pk,
        owner_kind=row.owner_kind,
        name=row.name,
        private=bool(row.private),
        gated=row.gated,
        disabled=bool(row.disabled),
        default_branch=row.default_branch,
        head=row.head,
        sdk=row.sdk,
        lfs_multipart_threshold=row.lfs_multipart_threshold,
        packs=row.packs,
        created_ms=row.created_ms,
        modified_ms=row.modified_ms,
        role=_standing(row, actor),
    )


def _standing(row: RepoRow, actor: Actor) -> str:
    if not actor.signed_in:
        return "none"
    if row.owner_pk == actor.pk:
        return "admin"
    if row.member_role == "contributor":
        return "admin" if row.creator_pk == actor.pk else "read"
    return row.member_role or "none"


def require_right(opened: Repo, actor: Actor, right: Right) -> None:
    """Raise unless the caller who opened the repository has ``right`` to it as well."""
    if opened.disabled:
        raise RepoDisabled()
    if right >= Right.READ and opened.gated and opened.role == "none":
        raise Gated(repo=f"{opened.kind} {opened.full_name}")
    if right >= Right.WRITE:
        _require_write(opened, actor, right)


def allows(opened: Repo, actor: Actor, right: Right) -> bool:
    """Return whether the caller who opened the repository has ``right`` to it as well."""
    try:
        require_right(opened, actor, right)
    except DENIED:
        return False
    return True


def _require_write(opened: Repo, actor: Actor, right: Right) -> None:
    if not actor.signed_in:
        raise LoginRequired()
    if _RANK[opened.role] < _RANK["admin" if right is Right.ADMIN else "write"]:
        raise Forbidden(
            reason=f"You don't have the rights to do this with the {opened.kind} {opened.full_name}"
        )
    if not actor.may_write:
        raise Forbidden(
            reason=f"The token {actor.token_name!r} has the role {actor.token_role}: "
            "this needs one with the role write"
        )


async def open_namespace(db: Reader, actor: Actor, name: str | None) -> Namespace:
    """Return the account below which ``actor`` may make repositories.

    Args:
        db: The database or a transaction.
        actor: Who asks.
        name: A user or organization; None for the caller's own.

    Raises:
        LoginRequired: nobody is signed in.
        Forbidden: not the caller's, and no organization in which they may make one; the same
            for a name that nobody has.
    """
    if not actor.signed_in:
        raise LoginRequired()
    row = await db.one(_NAMESPACE, key=account_key(name or actor.name), actor_pk=actor.pk)
    if row is None or not (row.pk == actor.pk or row.role in ("contributor", "write", "admin")):
        raise Forbidden(
            reason=f"You don't have the rights to create a repository under the namespace {name!r}"
        )
    if not actor.may_write:
        raise Forbidden(
            reason=f"The token {actor.token_name!r} has the role {actor.token_role}: "
            "this needs one with the role write"
        )
    return row
