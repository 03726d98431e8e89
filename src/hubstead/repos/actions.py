"""Making, naming, changing and removing repositories (their rows; content is ``commits/``)."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, delete, select, update

from hubstead.accounts import Actor
from hubstead.db import Database, Reader, Tx, indexed, insert, insert_into
from hubstead.errors import Forbidden, InvalidInput
from hubstead.ids import Kind, RepoId, check_repo_name, now_ms
from hubstead.outbox import record_event
from hubstead.repos.access import Repo, Right, open_namespace, open_repo, reopen
from hubstead.repos.errors import RepoExists
from hubstead.repos.events import RepoRenamed, SettingsChanged
from hubstead.repos.queries import event_facts
from hubstead.repos.tables import repo_names, repos

GATES = ("", "auto", "manual")


class NewRepo(msgspec.Struct, frozen=True):
    """A repository to be made."""

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
        """The name it will have."""
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


class _Holder(NamedTuple):
    repo_pk: int
    is_alias: int


_HOLDER = indexed(
    select(repo_names.c.repo_pk, repo_names.c.is_alias).where(
        repo_names.c.kind == bindparam("kind"), repo_names.c.name_key == bindparam("key")
    ),
    _Holder,
)
# A past name makes way for a present one; a present one stays (DO UPDATE … WHERE touches nothing).
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
        settings=bindparam("kept"),
        modified_ms=bindparam("at_ms"),
    )
    .where(repos.c.pk == bindparam("which_pk"))
)
_KEPT = indexed(select(repos.c.settings).where(repos.c.pk == bindparam("which_pk")), str)


async def insert_repo(tx: Tx, actor: Actor, new: NewRepo) -> int:
    """Make the row and the name of a repository and return its number.

    Raises:
        InvalidName: the name breaks a rule.
        RepoExists: a repository has that name.
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
    taken = await tx.one(_TAKE_NAME, kind=wanted.kind.value, key=wanted.key, repo_pk=repo_pk)
    if taken is None:
        raise RepoExists(repo_id=wanted)


async def name_is_free(db: Reader, wanted: RepoId) -> bool:
    """Tell whether no repository has the name today (a past name counts as free)."""
    row = await db.one(_HOLDER, kind=wanted.kind.value, key=wanted.key)
    return row is None or bool(row.is_alias)


async def move_repo(db: Database, actor: Actor, source: RepoId, target: RepoId) -> Repo:
    """Give a repository another name or owner; the old name goes on leading to it.

    Raises:
        Those of ``open_repo`` (right ADMIN) for the source and ``open_namespace`` for the target.
        Forbidden: from one user to another.
        InvalidName, RepoExists: the new name.
    """

    async def move(tx: Tx) -> Repo:
        opened = await open_repo(tx, actor, source, Right.ADMIN, lock=True)
        owner = await open_namespace(tx, actor, target.owner)
        check_repo_name(target.name)
        if owner.kind == "user" and opened.owner_kind == "user" and owner.pk != opened.owner_pk:
            raise Forbidden(reason="a repository cannot be moved from one user to another")
        wanted = RepoId(target.kind, owner.name, target.name)
        if wanted.key == opened.repo_id.key:
            if wanted == opened.repo_id:
                return opened
        else:
            await tx.run(_MAKE_ALIAS, which_pk=opened.pk)
            if not await _retake(tx, wanted, opened.pk):
                raise RepoExists(repo_id=wanted)
        await tx.run(_RENAME, which_pk=opened.pk, new_name=target.name, new_owner_pk=owner.pk)
        moved = await open_repo(tx, actor, wanted)
        facts = event_facts(moved)
        await record_event(tx, opened.pk, RepoRenamed(**facts, old_name=opened.full_name))
        return moved

    return await db.write(move)


async def _retake(tx: Tx, wanted: RepoId, repo_pk: int) -> bool:
    if not await name_is_free(tx, wanted):
        return False
    await _take_name(tx, wanted, repo_pk)
    return True


class SettingsChange(msgspec.Struct, frozen=True):
    """What a caller wants changed; None leaves a thing as it is."""

    private: bool | None = None
    gated: str | None = None  # "", auto, manual
    others: dict[str, object] = {}  # kept and echoed, such as discussionsDisabled


async def change_settings(
    db: Database, actor: Actor, repo_id: RepoId, change: SettingsChange
) -> Repo:
    """Change settings of a repository and return it as it is then.

    Raises:
        Those of ``open_repo`` (right ADMIN).
        InvalidInput: an unknown gate.
    """
    if change.gated is not None and change.gated not in GATES:
        raise InvalidInput(reason='"gated" must be one of [false, auto, manual]')

    async def write(tx: Tx) -> Repo:
        opened = await open_repo(tx, actor, repo_id, Right.ADMIN, lock=True)
        stored = await tx.single(_KEPT, which_pk=opened.pk)
        kept = msgspec.json.decode(stored) | change.others
        private = opened.private if change.private is None else change.private
        gated = opened.gated if change.gated is None else change.gated
        await tx.run(
            _SETTINGS,
            which_pk=opened.pk,
            is_private=int(private),
            gate=gated,
            kept=msgspec.json.encode(kept).decode(),
            at_ms=now_ms(),
        )
        changed = await reopen(tx, actor, opened, Right.ADMIN)
        names = [name for name in ("private", "gated") if getattr(change, name) is not None]
        await record_event(
            tx,
            opened.pk,
            SettingsChanged(
                **event_facts(changed),
                was_private=opened.private,
                changed=[*names, *change.others],
            ),
        )
        return changed

    return await db.write(write)


async def remove_repo(tx: Tx, opened: Repo) -> None:
    """Remove the row, and names, refs and links with it (``commits`` looks after the bytes)."""
    await tx.run(_DELETE, which_pk=opened.pk)
