"""Creating, renaming, changing and deleting the rows of repositories (content: ``commits``)."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, delete, func, select, update

from hubstead.accounts import Actor
from hubstead.db import Database, Reader, Tx, indexed, insert, insert_into
from hubstead.errors import Forbidden, InvalidInput, LimitReached
from hubstead.ids import Kind, RepoId, check_repo_name, now_ms
from hubstead.outbox import record_event
from hubstead.repos.access import Repo, Right, open_namespace, open_repo, reopen
from hubstead.repos.errors import RepoExists
from hubstead.repos.events import RepoRenamed, SettingsChanged, repo_subject
from hubstead.repos.queries import event_facts
from hubstead.repos.tables import repo_names, repos

GATES = ("", "auto", "manual")


class NewRepo(msgspec.Struct, frozen=True):
    """A repository to create."""

    id: str  # 24 hex
    kind: Kind
    owner: str
    owner_pk: int
    name: str
    private: bool = False
    sdk: str | None = None
    lfs_multipart_threshold: int | None = None

    @property
    def repo_id(self) -> RepoId:
        """Its name."""
        return RepoId(self.kind, self.owner, self.name)


_INSERT = indexed(
    insert_into(
        repos,
        "id",
        "kind",
        "owner_pk",
        "creator_pk",
        "name",
        "private",
        "sdk",
        "lfs_multipart_threshold",
        "created_ms",
        "modified_ms",
    ).returning(repos.c.pk),
    int,
)


class _NameRow(NamedTuple):
    repo_pk: int
    is_alias: int


_BY_NAME = indexed(
    select(repo_names.c.repo_pk, repo_names.c.is_alias).where(
        repo_names.c.kind == bindparam("kind"), repo_names.c.name_key == bindparam("key")
    ),
    _NameRow,
)
# Taking a past name succeeds, a present one returns no row (DO UPDATE … WHERE updates nothing).
_TAKE_NAME = indexed(
    insert(repo_names)
    .values(
        kind=bindparam("kind"),
        name_key=bindparam("key"),
        repo_pk=bindparam("repo_pk"),
        is_alias=0,
    )
    .on_conflict_do_update(
        index_elements=["kind", "name_key"],
        set_={"repo_pk": bindparam("repo_pk"), "is_alias": 0},
        where=repo_names.c.is_alias == 1,
    )
    .returning(repo_names.c.repo_pk),
    int,
)
_MAKE_ALIAS = indexed(
    update(repo_names)
    .values(is_alias=1)
    .where(repo_names.c.repo_pk == bindparam("which_pk"), repo_names.c.is_alias == 0)
)
_RENAME = indexed(
    update(repos)
    .values(name=bindparam("new_name"), owner_pk=bindparam("new_owner_pk"))
    .where(repos.c.pk == bindparam("which_pk"))
)
_DELETE = indexed(delete(repos).where(repos.c.pk == bindparam("which_pk")))
_SETTINGS = indexed(
    update(repos)
    .values(
        private=bindparam("is_private"),
        gated=bindparam("gate"),
        settings=bindparam("settings_json"),
        modified_ms=bindparam("at_ms"),
    )
    .where(repos.c.pk == bindparam("which_pk"))
)
_STORED_SETTINGS = indexed(select(repos.c.settings).where(repos.c.pk == bindparam("which_pk")), str)


_COUNT = indexed(
    select(func.count().label("n"))
    .select_from(repos)
    .where(repos.c.owner_pk == bindparam("owner_pk")),
    int,
)


async def require_room_for_repo(db: Reader, owner: str, owner_pk: int, limit: int) -> None:
    """Check that an owner may have one more repository.

    Raises:
        LimitReached: the owner has ``limit`` repositories.
    """
    if await db.single(_COUNT, owner_pk=owner_pk) >= limit:
        setting = "max_repositories_per_owner"
        raise LimitReached(owner=owner, limit=limit, what="repositories", setting=setting)


async def insert_repo(tx: Tx, actor: Actor, new: NewRepo) -> int:
    """Insert the row and the name of a repository and return its number.

    Raises:
        InvalidName: the name breaks a rule.
        RepoExists: another repository has the name.
    """
    check_repo_name(new.name)
    now = now_ms()
    pk = await tx.single(
        _INSERT,
        id=new.id,
        kind=new.kind.value,
        owner_pk=new.owner_pk,
        creator_pk=actor.pk,
        name=new.name,
        private=int(new.private),
        sdk=new.sdk,
        lfs_multipart_threshold=new.lfs_multipart_threshold,
        created_ms=now,
        modified_ms=now,
    )
    await _take_name(tx, new.repo_id, pk)
    return pk


async def _take_name(tx: Tx, wanted: RepoId, repo_pk: int) -> None:
    row = await tx.one(_TAKE_NAME, kind=wanted.kind.value, key=wanted.key, repo_pk=repo_pk)
    if row is None:
        raise RepoExists(repo_id=wanted)


async def name_is_free(db: Reader, wanted: RepoId) -> bool:
    """Return whether no repository has the name at present (a past name is free)."""
    row = await db.one(_BY_NAME, kind=wanted.kind.value, key=wanted.key)
    return row is None or bool(row.is_alias)


async def move_repo(db: Database, actor: Actor, source: RepoId, target: RepoId) -> Repo:
    """Give a repository another name or owner; the old name redirects to it.

    Raises:
        Those of ``open_repo`` (right ADMIN) for the source and ``open_namespace`` for the target.
        Forbidden: the move is from one user to another.
        InvalidName, RepoExists: the new name is not allowed, or taken.
    """
    return await db.write(_move, actor, source, target)


async def _move(tx: Tx, actor: Actor, source: RepoId, target: RepoId) -> Repo:
    repo = await open_repo(tx, actor, source, Right.ADMIN, lock=True)
    owner = await open_namespace(tx, actor, target.owner, lock=True)
    check_repo_name(target.name)
    if owner.kind == "user" and repo.owner_kind == "user" and owner.pk != repo.owner_pk:
        raise Forbidden(reason="a repository cannot be moved from one user to another")
    wanted = RepoId(target.kind, owner.name, target.name)
    if wanted.key == repo.repo_id.key:
        if wanted == repo.repo_id:
            return repo
    else:
        await tx.run(_MAKE_ALIAS, which_pk=repo.pk)
        if not await name_is_free(tx, wanted):
            raise RepoExists(repo_id=wanted)
        await _take_name(tx, wanted, repo.pk)
    await tx.run(_RENAME, which_pk=repo.pk, new_name=target.name, new_owner_pk=owner.pk)
    moved = await open_repo(tx, actor, wanted)
    facts = event_facts(moved)
    await record_event(tx, repo_subject(repo.pk), RepoRenamed(**facts, old_name=repo.full_name))
    return moved


class SettingsChange(msgspec.Struct, frozen=True):
    """New values of settings; None leaves a setting as it is."""

    private: bool | None = None
    gated: str | None = None  # "", auto, manual
    others: dict[str, object] = {}  # stored and returned, without effect


async def change_settings(
    db: Database, actor: Actor, repo_id: RepoId, change: SettingsChange
) -> Repo:
    """Change settings of a repository and return it with the new ones.

    Raises:
        Those of ``open_repo`` (right ADMIN).
        InvalidInput: an unknown gate.
    """
    if change.gated is not None and change.gated not in GATES:
        raise InvalidInput(reason='"gated" must be one of [false, auto, manual]')

    return await db.write(_change, actor, repo_id, change)


async def _change(tx: Tx, actor: Actor, repo_id: RepoId, change: SettingsChange) -> Repo:
    repo = await open_repo(tx, actor, repo_id, Right.ADMIN, lock=True)
    stored = await tx.single(_STORED_SETTINGS, which_pk=repo.pk)
    settings = msgspec.json.decode(stored) | change.others
    private = repo.private if change.private is None else change.private
    gated = repo.gated if change.gated is None else change.gated
    await tx.run(
        _SETTINGS,
        which_pk=repo.pk,
        is_private=int(private),
        gate=gated,
        settings_json=msgspec.json.encode(settings).decode(),
        at_ms=now_ms(),
    )
    changed = await reopen(tx, actor, repo, Right.ADMIN)
    names = [name for name in ("private", "gated") if getattr(change, name) is not None]
    await record_event(
        tx,
        repo_subject(repo.pk),
        SettingsChanged(
            **event_facts(changed),
            was_private=repo.private,
            changed=[*names, *change.others],
        ),
    )
    return changed


async def remove_repo(tx: Tx, repo: Repo) -> None:
    """Delete the row, which deletes names, refs and links; ``commits`` deletes the bytes."""
    await tx.run(_DELETE, which_pk=repo.pk)
