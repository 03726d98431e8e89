"""Packs of repositories: registered ones, and retired ones whose files wait to be removed.

All statements on the tables ``pack`` and ``dead_pack``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, func, select

from hubstead import blobs
from hubstead.blobs import BlobKey, BlobKind, StoredKey, parse_stored, stored_key
from hubstead.blobs.tables import blobs as blob_rows
from hubstead.commits.tables import packs, retired_packs
from hubstead.db import DatabaseNow, Reader, SqliteFile, Tx, any_of, indexed, insert_into, scan
from hubstead.gitstore import Pack
from hubstead.repos.tables import repos

# -- registered packs --------------------------------------------------------------------------


class PackRow(NamedTuple):
    """A registered pack."""

    name: str
    objects: int
    bytes: int
    created_ms: int
    stored: str | None  # the stored name of its blob; None: the name of the pack

    @property
    def key(self) -> StoredKey:
        """The key of the pack in the blob store."""
        return stored_key(BlobKey(BlobKind.PACK, self.name), self.stored)


class RepoPack(NamedTuple):
    """A registered pack of any repository."""

    repo_id: str
    name: str
    bytes: int


_ALL = scan(
    select(packs.c.name, packs.c.objects, packs.c.bytes, packs.c.created_ms, blob_rows.c.stored)
    .outerjoin_from(
        packs,
        blob_rows,
        and_(blob_rows.c.kind == BlobKind.PACK.value, blob_rows.c.name == packs.c.name),
    )
    .where(packs.c.repo_pk == bindparam("repo_pk"))
    .order_by(packs.c.name),
    PackRow,
)
_NAMES = scan(
    select(packs.c.name).where(packs.c.repo_pk == bindparam("repo_pk")).order_by(packs.c.name), str
)
_OF_REPO_ID = (
    select(packs.c.name)
    .join_from(packs, repos, packs.c.repo_pk == repos.c.pk)
    .where(repos.c.id == bindparam("repo_id"))
)
_NAMES_OF_REPO_ID = scan(_OF_REPO_ID, str)
_REGISTERED = scan(_OF_REPO_ID.where(any_of(packs.c.name, "names")), str)
_EVERY = scan(
    select(repos.c.id.label("repo_id"), packs.c.name, packs.c.bytes)
    .join_from(packs, repos, packs.c.repo_pk == repos.c.pk)
    .order_by(repos.c.id, packs.c.name),
    RepoPack,
)
_ADD = indexed(
    insert_into(packs, "repo_pk", "name", "objects", "bytes")
    .values(created_ms=DatabaseNow())
    .on_conflict_do_nothing()
)
_DELETE = indexed(
    delete(packs).where(packs.c.repo_pk == bindparam("repo_pk"), packs.c.name == bindparam("which"))
)


class SnapshotPack(NamedTuple):
    """A pack in the snapshot of a backup, whichever repositories have it."""

    name: str
    bytes: int
    stored: str | None


_OF_SNAPSHOT = scan(
    select(
        packs.c.name,
        func.max(packs.c.bytes).label("bytes"),
        func.max(blob_rows.c.stored).label("stored"),
    )
    .outerjoin_from(
        packs,
        blob_rows,
        and_(blob_rows.c.kind == BlobKind.PACK.value, blob_rows.c.name == packs.c.name),
    )
    .group_by(packs.c.name),
    SnapshotPack,
)
_REPOS_OF_SNAPSHOT_PACK = scan(
    select(repos.c.id)
    .join_from(packs, repos, repos.c.pk == packs.c.repo_pk)
    .where(packs.c.name == bindparam("which")),
    str,
)


def snapshot_packs(rows: SqliteFile) -> Iterator[SnapshotPack]:
    """Yield the registered packs of a snapshot, without duplicates."""
    return rows.rows(_OF_SNAPSHOT)


def repos_of_snapshot_pack(rows: SqliteFile, name: str) -> list[str]:
    """Return the ids of the repositories of a snapshot that have a pack."""
    return list(rows.rows(_REPOS_OF_SNAPSHOT_PACK, which=name))


async def list_packs(db: Reader, repo_pk: int) -> list[PackRow]:
    """Return the registered packs of a repository, by name."""
    return await db.all(_ALL, repo_pk=repo_pk)


async def pack_names(db: Reader, repo_pk: int) -> list[str]:
    """Return the names of a repository's registered packs, in order."""
    return await db.all(_NAMES, repo_pk=repo_pk)


async def packs_older_than(db: Reader, repo_pk: int, before_ms: int) -> list[str]:
    """Return the names of packs that were registered before a time."""
    return [row.name for row in await list_packs(db, repo_pk) if row.created_ms < before_ms]


async def registered_packs(db: Reader, repo_id: str, names: Sequence[str]) -> set[str]:
    """Return those of ``names`` that are registered packs of a repository."""
    return set(await db.all(_REGISTERED, repo_id=repo_id, names=list(names)))


async def known_packs(db: Reader, repo_id: str) -> set[str]:
    """Return the names of a repository's packs, registered or retired."""
    names = set(await db.all(_NAMES_OF_REPO_ID, repo_id=repo_id))
    return names | set(await retired_pack_names(db, repo_id))  # second: a repack may run


async def every_pack(db: Reader) -> list[RepoPack]:
    """Return the registered packs of all repositories."""
    return await db.all(_EVERY)


async def add_pack(tx: Tx, repo_pk: int, pack: Pack) -> bool:
    """Register a pack that `Storage.publish` returned as one of the repository.

    Returns:
        Whether the pack is new: a repeated push of the same objects yields a registered pack.
    """
    added = await tx.run(
        _ADD,
        repo_pk=repo_pk,
        name=pack.name,
        objects=pack.objects,
        bytes=pack.size,
    )
    assert pack.stored is not None, "the pack was published"
    place = parse_stored(BlobKind.PACK, pack.stored)
    key = BlobKey(BlobKind.PACK, pack.name)
    await blobs.link_new_blob(tx, repo_pk, key, pack.size, place=place)
    return bool(added)


async def replace_packs(tx: Tx, repo_pk: int, repo_id: str, names: Sequence[str]) -> None:
    """Retire registered packs of a repository, and unlink their blobs."""
    await tx.run_many(_DELETE, [{"repo_pk": repo_pk, "which": name} for name in names])
    await retire_packs(tx, repo_id, names)
    await blobs.unlink_blobs(tx, repo_pk, [BlobKey(BlobKind.PACK, name) for name in names])


# -- retired packs -----------------------------------------------------------------------------


class RetiredPack(NamedTuple):
    """A pack that its repository has not needed since ``since_ms``."""

    name: str
    since_ms: int


class _DueCount(NamedTuple):
    due: bool
    packs: int


_RETIRE = indexed(
    insert_into(retired_packs, "repo_id", "name")
    .values(since_ms=DatabaseNow())
    .on_conflict_do_update(
        index_elements=["repo_id", "name"],
        set_={"since_ms": DatabaseNow()},
    )
)
_DUE = (retired_packs.c.since_ms >= bindparam("from_ms")) & (
    retired_packs.c.since_ms < bindparam("before_ms")
)
_REPOS_WITH_RETIRED = scan(select(retired_packs.c.repo_id).where(_DUE).distinct(), str)
_RETIRED = scan(
    select(retired_packs.c.name, retired_packs.c.since_ms).where(
        retired_packs.c.repo_id == bindparam("which_repo"), _DUE
    ),
    RetiredPack,
)
_RETIRED_NAMES = scan(
    select(retired_packs.c.name).where(retired_packs.c.repo_id == bindparam("repo_id")), str
)
_RETIRED_COUNTS = scan(
    select(
        (retired_packs.c.since_ms < bindparam("before_ms")).label("due"),
        func.count().label("packs"),
    ).group_by(retired_packs.c.since_ms < bindparam("before_ms")),
    _DueCount,
)
_DELETE_RETIRED = indexed(
    delete(retired_packs).where(
        retired_packs.c.repo_id == bindparam("which_repo"),
        retired_packs.c.name == bindparam("which"),
    )
)
_DELETE_RETIRED_BEFORE = scan(
    delete(retired_packs).where(retired_packs.c.since_ms < bindparam("before_ms"))
)


async def retire_packs(tx: Tx, repo_id: str, names: Iterable[str]) -> None:
    """Record that a repository does not need some packs from now on."""
    await tx.run_many(_RETIRE, [{"repo_id": repo_id, "name": name} for name in names])


async def repos_with_retired_packs(db: Reader, *, from_ms: int, before_ms: int) -> list[str]:
    """Return the ids of repositories with packs retired in that time."""
    return await db.all(_REPOS_WITH_RETIRED, from_ms=from_ms, before_ms=before_ms)


async def list_retired_packs(
    db: Reader, repo_id: str, *, from_ms: int, before_ms: int
) -> list[RetiredPack]:
    """Return a repository's packs that were retired in that time."""
    return await db.all(_RETIRED, which_repo=repo_id, from_ms=from_ms, before_ms=before_ms)


async def retired_pack_names(db: Reader, repo_id: str) -> list[str]:
    """Return the names of a repository's retired packs."""
    return await db.all(_RETIRED_NAMES, repo_id=repo_id)


async def count_retired_packs(db: Reader, before_ms: int) -> dict[bool, int]:
    """Count retired packs: under True those that were retired before a time."""
    return {row.due: row.packs for row in await db.all(_RETIRED_COUNTS, before_ms=before_ms)}


async def delete_retired(tx: Tx, repo_id: str, names: Iterable[str]) -> None:
    """Delete the rows of some retired packs."""
    await tx.run_many(_DELETE_RETIRED, [{"which_repo": repo_id, "which": name} for name in names])


async def delete_retired_before(tx: Tx, before_ms: int) -> None:
    """Delete the rows of all packs that were retired before a time."""
    await tx.run(_DELETE_RETIRED_BEFORE, before_ms=before_ms)
