"""Who may do what with a repository: opening one checks the caller's right to it.

A caller's role in a repository is decided in this order:

1. The owner is ``admin``. A member of the owning organization has their role there, except that
   a contributor is ``admin`` of the repositories they created and ``read`` of the others.
2. Everybody else is ``none`` and sees public repositories.

Whoever may read the files and is signed in may propose: discuss, and open pull requests. Their
author, or a caller who may write the repository, changes them (``require_author_or_writer``).

A token of role ``read`` takes writing away. For ``none`` a private repository looks like an absent
one: the statement that opens it returns no row, so the code that follows is the same.

Visibility is decided in SQL alone, by ``visible``, for single repositories as for lists.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    literal_column,
    select,
)

from hubstead.accounts import (
    Actor,
    membership_of,
    moved_to,
    require_writable,
    role_in_owned,
    shown_to_caller,
)
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

#: The errors by which ``open_repo`` and ``require_right`` deny a caller a repository.
DENIED = (RepoNotFound, LoginRequired, Forbidden, Gated, RepoDisabled)


class Right(IntEnum):
    """A right to a repository; a right includes those before it."""

    VIEW = 1  # see that it exists, its metadata and its tree
    READ = 2  # read the bytes of its files
    PROPOSE = 3  # open discussions and pull requests, comment, upload for an own pull request
    WRITE = 4
    ADMIN = 5


class Repo(msgspec.Struct, frozen=True):
    """An opened repository: proof that the caller has the right it was opened with."""

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
    role: str  # of the caller: none, read, write, admin

    @property
    def repo_id(self) -> RepoId:
        """Its present name."""
        return RepoId(self.kind, self.owner, self.name)

    @property
    def full_name(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"


_RANK = {"none": 0, "read": 1, "write": 2, "admin": 3}

_UNTIL_ROLE = (
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
)
_COLUMNS = (*_UNTIL_ROLE, members.c.role.label("member_role"))
_IS_ALIAS = literal_column("0", Integer).label("is_alias")
#: The columns of a ``RepoRow``; needs ``accounts`` joined for the owner, ``members`` for the actor.
REPO_COLUMNS = (*_COLUMNS, _IS_ALIAS)
#: The same for no caller, whose role is none; needs only ``accounts`` joined.
COLUMNS_FOR_NO_CALLER = (
    *_UNTIL_ROLE,
    literal_column("NULL", Text).label("member_role"),
    _IS_ALIAS,
)
_MEMBERSHIP = membership_of(repos.c.owner_pk)
#: The condition that anybody may see a row of ``repos``.
PUBLIC = repos.c.private == 0


def visible() -> ColumnElement[bool]:
    """Return the condition that ``actor_pk`` may see a row of ``repos``.

    Needs ``members`` joined for the actor, which ``visible_repos`` does.
    """
    return shown_to_caller(repos.c.private, repos.c.owner_pk)


_OPEN = (
    select(*_COLUMNS, repo_names.c.is_alias)
    .join_from(repo_names, repos, repo_names.c.repo_pk == repos.c.pk)
    .join(accounts, repos.c.owner_pk == accounts.c.pk)
    .outerjoin(members, _MEMBERSHIP)
    .where(repo_names.c.kind == bindparam("kind"), repo_names.c.name_key == bindparam("key"))
    .where(visible())
)


class RepoRow(NamedTuple):
    """A row of ``REPO_COLUMNS``."""

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
    select(*REPO_COLUMNS)
    .join_from(repos, accounts, repos.c.owner_pk == accounts.c.pk)
    .outerjoin(members, _MEMBERSHIP)
    .where(repos.c.id == bindparam("repo_id"), visible())
)
_OPEN_BY_ID = indexed(_BY_ID, RepoRow)
_OPEN_BY_PK = indexed(
    select(*REPO_COLUMNS)
    .join_from(repos, accounts, repos.c.owner_pk == accounts.c.pk)
    .outerjoin(members, _MEMBERSHIP)
    .where(repos.c.pk == bindparam("repo_pk"), visible()),
    RepoRow,
)
_REOPEN = indexed(_BY_ID.with_for_update(of=repos), RepoRow)


def visible_repos(query: Select[Any]) -> Select[Any]:
    """Return ``query``, which selects from ``repos``, limited to what its caller may see.

    The statement gains the parameter ``actor_pk``: the caller's ``Actor.pk``.
    """
    return query.outerjoin(members, _MEMBERSHIP).where(visible())


class Namespace(NamedTuple):
    """An account below which the caller may create repositories, and the caller's role in it."""

    pk: int
    name: str
    kind: str
    role: str | None


_SELECT_NAMESPACE = (
    select(accounts.c.pk, accounts.c.name, accounts.c.kind, members.c.role)
    .outerjoin_from(
        accounts,
        members,
        and_(members.c.org_pk == accounts.c.pk, members.c.user_pk == bindparam("actor_pk")),
    )
    .where(accounts.c.name_key == bindparam("key"))
)
_NAMESPACE = indexed(_SELECT_NAMESPACE, Namespace)
#: Makes a rename of the account wait, so that the name that a transaction read is still its name.
_LOCK_NAMESPACE = indexed(
    _SELECT_NAMESPACE.with_for_update(of=accounts, read=True, key_share=True), Namespace
)


async def open_repo(
    db: Reader, actor: Actor, repo_id: RepoId, right: Right = Right.VIEW, *, lock: bool = False
) -> Repo:
    """Return the repository called ``repo_id`` if ``actor`` has ``right`` to it.

    Args:
        db: The database, or the transaction that changes the repository.
        actor: The caller.
        repo_id: The repository's name, in any case.
        right: The right that the caller needs.
        lock: Inside a transaction: lock the repository's row until its end.

    Raises:
        RepoNotFound: the repository does not exist, or is hidden from the caller.
        RepoMoved: a past name of a repository that the caller may see; ``target`` is its name.
        LoginRequired: writing needs a caller who is signed in.
        Forbidden: the caller lacks the right, or their token is read-only.
        Gated: reading files needs the owner's approval.
        RepoDisabled: the repository is disabled.
    """
    statement = _OPEN_AND_LOCK if lock else _OPEN_BY_NAME
    row = await db.one(statement, kind=repo_id.kind.value, key=repo_id.key, actor_pk=actor.pk)
    repo = _admit(row, actor)
    if row is not None and row.is_alias:
        raise RepoMoved(target=repo.repo_id)
    require_right(repo, actor, right)
    return repo


async def open_repo_by_id(
    db: Reader, actor: Actor, repo_id: str, right: Right = Right.VIEW
) -> Repo:
    """Return the repository with this immutable id; see ``open_repo`` for the errors."""
    repo = _admit(await db.one(_OPEN_BY_ID, repo_id=repo_id, actor_pk=actor.pk), actor)
    require_right(repo, actor, right)
    return repo


async def open_repo_by_pk(
    db: Reader, actor: Actor, repo_pk: int, right: Right = Right.VIEW
) -> Repo:
    """Return the repository with this number; see ``open_repo`` for the errors."""
    repo = _admit(await db.one(_OPEN_BY_PK, repo_pk=repo_pk, actor_pk=actor.pk), actor)
    require_right(repo, actor, right)
    return repo


async def try_open_repo_by_pk(
    db: Reader, actor: Actor, repo_pk: int, right: Right = Right.VIEW
) -> Repo | None:
    """Return the repository with this number, or None if ``actor`` lacks ``right`` to it.

    Raises:
        Unavailable: the database cannot answer, so the right is unknown.
    """
    try:
        return await open_repo_by_pk(db, actor, repo_pk, right)
    except DENIED:
        return None


async def reopen(tx: Tx, actor: Actor, repo: Repo, right: Right) -> Repo:
    """Check the right again inside the transaction that writes, and lock the repository's row.

    The caller may have lost the right since the request began. Raises as ``open_repo`` does.
    """
    current = _admit(await tx.one(_REOPEN, repo_id=repo.id, actor_pk=actor.pk), actor)
    require_right(current, actor, right)
    return current


def _admit(row: RepoRow | None, actor: Actor) -> Repo:
    if row is None:
        raise RepoNotFound()
    return repo_from_row(row, actor)


def repo_from_row(row: RepoRow, actor: Actor) -> Repo:
    """Return the ``Repo`` of a row of ``REPO_COLUMNS``, with the role of ``actor`` in it."""
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
        role=_role(row, actor),
    )


def _role(row: RepoRow, actor: Actor) -> str:
    return role_in_owned(
        actor, owner_pk=row.owner_pk, creator_pk=row.creator_pk, member_role=row.member_role
    )


def require_right(repo: Repo, actor: Actor, right: Right) -> None:
    """Raise unless the caller who opened the repository has ``right`` to it as well.

    Raises:
        LoginRequired, Forbidden, Gated, RepoDisabled: as ``open_repo`` does.
    """
    if repo.disabled:
        raise RepoDisabled()
    if right >= Right.READ and repo.gated and repo.role == "none":
        raise Gated(repo=f"{repo.kind} {repo.full_name}")
    if right < Right.PROPOSE:
        return
    if not actor.signed_in:
        raise LoginRequired()
    if (
        right >= Right.WRITE
        and _RANK[repo.role] < _RANK["admin" if right is Right.ADMIN else "write"]
    ):
        raise Forbidden(
            reason=f"You don't have the rights to do this with the {repo.kind} {repo.full_name}"
        )
    require_writable(actor)


def require_author_or_writer(repo: Repo, actor: Actor, author_pk: int | None) -> None:
    """Raise unless the caller wrote something in the repository, or may write the repository.

    Args:
        repo: The repository, opened for the caller.
        actor: The caller.
        author_pk: The author of a discussion, comment or pull request; None: the account is gone.

    Raises:
        LoginRequired, Forbidden, Gated, RepoDisabled: as ``open_repo`` does.
    """
    is_author = actor.signed_in and author_pk == actor.pk
    require_right(repo, actor, Right.PROPOSE if is_author else Right.WRITE)


def allows(repo: Repo, actor: Actor, right: Right) -> bool:
    """Return whether the caller who opened the repository has ``right`` to it as well."""
    try:
        require_right(repo, actor, right)
    except DENIED:
        return False
    return True


async def open_namespace(
    db: Reader, actor: Actor, name: str | None, *, lock: bool = False, what: str = "repository"
) -> Namespace:
    """Return the account below which ``actor`` may create repositories, and collections.

    Args:
        db: The database or a transaction.
        actor: The caller.
        name: A user or organization, by its present or a past name; None for the caller's own
            account.
        lock: Inside a transaction: let the account keep its name until the end.
        what: What the caller is about to create, for the message of the error.

    Raises:
        LoginRequired: the caller is not signed in.
        Forbidden: another user's account, an organization in which the caller may not create
            repositories, a name without an account, or a read-only token.
    """
    if not actor.signed_in:
        raise LoginRequired()
    statement = _LOCK_NAMESPACE if lock else _NAMESPACE
    key = account_key(name or actor.name)
    row = await db.one(statement, key=key, actor_pk=actor.pk)
    if row is None and (target := await moved_to(db, key)):
        row = await db.one(statement, key=account_key(target), actor_pk=actor.pk)
    if row is None or not (row.pk == actor.pk or row.role in ("contributor", "write", "admin")):
        raise Forbidden(
            reason=f"You don't have the rights to create a {what} under the namespace {name!r}"
        )
    require_writable(actor)
    return row
