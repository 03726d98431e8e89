"""Links of repositories to blobs, holds of uploads, and the life of a blob in between.

Knowing a hash is not owning the bytes: a link exists only for bytes that were uploaded to the
repository, or that its writer may read in another one; the caller of `link_blobs` has checked it.

States of a blob (``unreferenced_ms`` of its row):

- live (null): a repository links it, or an upload holds it.
- unreferenced (a time): the last link or hold has ended; linking it again revives it.
- deleting (0): the grace period is over and its bytes are going (`deletion.py`); linking it is
  refused until its row is gone.

An LFS object may be *reconstructable* (``reconstructable_ms``): room ``xet`` assembles it from
xorbs, so its own bytes are not needed (`xet_backed.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    update,
)

from hubstead.blobs.damage import damaged_blobs
from hubstead.blobs.interface import BlobStore
from hubstead.blobs.keys import BlobKey, BlobKind, StoredKey, stored_key
from hubstead.blobs.stored_names import mark_stored_unreferenced, reclaim_stored, replace_bytes
from hubstead.blobs.tables import DELETING, blobs, holds, repo_blobs, uploads
from hubstead.db import (
    Database,
    DatabaseNow,
    Reader,
    Tx,
    any_of,
    indexed,
    insert,
    insert_into,
    scan,
)
from hubstead.errors import BlobMissing, HubError, Unavailable

#: How many expired holds one call deletes.
BATCH = 200


class _Added(NamedTuple):
    bytes: int
    reconstructable_ms: int | None
    stored: str | None


#: Adds or revives the row of a blob whose bytes are stored. If the blob is reconstructable and the
#: bytes lie under its own name, they are unneeded since now: `delete_plain_copies` removes them.
_ADD = indexed(
    insert_into(blobs, "kind", "name", "bytes", "stored")
    .values(created_ms=DatabaseNow())
    .on_conflict_do_update(
        index_elements=["kind", "name"],
        set_={
            "unreferenced_ms": None,
            "reconstructable_ms": case(
                (blobs.c.reconstructable_ms.is_(None), cast(null(), BigInteger)),
                (
                    cast(bindparam("stored"), Text).is_(None),
                    DatabaseNow(),
                ),
                else_=blobs.c.reconstructable_ms,
            ),
        },
        where=or_(blobs.c.unreferenced_ms.is_(None), blobs.c.unreferenced_ms != DELETING),
    )
    .returning(blobs.c.bytes, blobs.c.reconstructable_ms, blobs.c.stored),
    _Added,
)
_MARK_PLAIN = indexed(
    update(blobs)
    .values(reconstructable_ms=None, damaged_ms=None, bytes=bindparam("size"))
    .where(blobs.c.kind == bindparam("which_kind"), blobs.c.name == bindparam("which_name"))
)
_REVIVE = indexed(
    update(blobs)
    .values(unreferenced_ms=None)
    .where(
        blobs.c.kind == bindparam("which_kind"),
        blobs.c.name == bindparam("which_name"),
        or_(blobs.c.unreferenced_ms.is_(None), blobs.c.unreferenced_ms != DELETING),
    )
)
_LINK = indexed(
    insert_into(
        repo_blobs,
        "repo_pk",
        "kind",
        "name",
        "bytes",
        "path",
        "ref",
        "pusher_pk",
        "committed",
    )
    .values(created_ms=DatabaseNow())
    .on_conflict_do_update(
        index_elements=["repo_pk", "kind", "name"],
        set_={
            "committed": 1,
            "path": func.coalesce(repo_blobs.c.path, bindparam("path")),
            "ref": func.coalesce(repo_blobs.c.ref, bindparam("ref")),
        },
        where=literal_column("excluded.committed") == 1,
    )
)
_NEW_HOLD = insert_into(holds, "repo_pk", "kind", "name").values(
    until_ms=DatabaseNow() + bindparam("hold_ms", type_=BigInteger)
)
_HOLD = indexed(
    _NEW_HOLD.on_conflict_do_update(
        index_elements=["repo_pk", "kind", "name"],
        set_={"until_ms": _NEW_HOLD.excluded.until_ms},
        where=holds.c.until_ms < _NEW_HOLD.excluded.until_ms,
    )
)
_DELETE_HOLD = indexed(
    delete(holds).where(
        holds.c.repo_pk == bindparam("repo_pk"),
        holds.c.kind == bindparam("kind"),
        holds.c.name == bindparam("name"),
    )
)
# The time is checked again: an upload may have extended the hold since it was selected.
_DELETE_EXPIRED_HOLD = indexed(
    delete(holds).where(
        holds.c.repo_pk == bindparam("repo_pk"),
        holds.c.kind == bindparam("kind"),
        holds.c.name == bindparam("name"),
        holds.c.until_ms < DatabaseNow(),
    )
)
# A delete, unlike a read, makes a concurrent upload that extends such a hold wait for the commit.
_DELETE_EXPIRED_HOLDS = indexed(
    delete(holds).where(
        holds.c.repo_pk == bindparam("repo_pk"),
        holds.c.kind == bindparam("kind"),
        holds.c.until_ms < DatabaseNow(),
        any_of(holds.c.name, "names"),
    )
)
_DELETE_UPLOAD = indexed(delete(uploads).where(uploads.c.id == bindparam("which_upload")))
_LINK_COLUMNS = (repo_blobs.c.name, repo_blobs.c.bytes, repo_blobs.c.committed, repo_blobs.c.path)


class LinkedBlob(NamedTuple):
    """A blob as a repository links it."""

    name: str
    bytes: int
    committed: int
    path: str | None


_SELECT_LINKS = scan(
    select(*_LINK_COLUMNS).where(
        repo_blobs.c.repo_pk == bindparam("repo_pk"),
        repo_blobs.c.kind == bindparam("kind"),
        any_of(repo_blobs.c.name, "names"),
    ),
    LinkedBlob,
)
_SELECT_LINK = indexed(
    select(*_LINK_COLUMNS).where(
        repo_blobs.c.repo_pk == bindparam("repo_pk"),
        repo_blobs.c.kind == bindparam("kind"),
        repo_blobs.c.name == bindparam("name"),
    ),
    LinkedBlob,
)


class LinkingRepo(NamedTuple):
    """A repository that links a blob."""

    repo_pk: int
    bytes: int


_LINKING_REPOS = indexed(
    select(repo_blobs.c.repo_pk, repo_blobs.c.bytes)
    .where(repo_blobs.c.kind == bindparam("kind"), repo_blobs.c.name == bindparam("name"))
    .order_by(repo_blobs.c.repo_pk)
    .limit(100),
    LinkingRepo,
)
_UNLINK = indexed(
    delete(repo_blobs).where(
        repo_blobs.c.repo_pk == bindparam("repo_pk"),
        repo_blobs.c.kind == bindparam("kind"),
        repo_blobs.c.name == bindparam("name"),
    )
)
_UNLINK_ALL = indexed(delete(repo_blobs).where(repo_blobs.c.repo_pk == bindparam("repo_pk")))
_DELETE_HOLDS = indexed(delete(holds).where(holds.c.repo_pk == bindparam("repo_pk")))


class _Blob(NamedTuple):
    kind: str
    name: str


_OF_REPO = scan(
    select(repo_blobs.c.kind, repo_blobs.c.name).where(
        repo_blobs.c.repo_pk == bindparam("repo_pk")
    ),
    _Blob,
)


class LfsFile(NamedTuple):
    """An LFS object that commits of a repository name."""

    repo_pk: int
    kind: str
    name: str
    bytes: int
    path: str | None
    ref: str | None
    pusher_pk: int | None
    committed: int
    created_ms: int


_LIST_LFS = scan(
    select(repo_blobs)
    .where(
        repo_blobs.c.repo_pk == bindparam("repo_pk"),
        repo_blobs.c.kind == BlobKind.LFS.value,
        repo_blobs.c.committed == 1,
        or_(
            repo_blobs.c.created_ms < bindparam("before_ms"),
            and_(
                repo_blobs.c.created_ms == bindparam("before_ms"),
                repo_blobs.c.name < bindparam("before_name"),
            ),
        ),
    )
    .order_by(repo_blobs.c.created_ms.desc(), repo_blobs.c.name.desc())
    .limit(bindparam("limit")),
    LfsFile,
)
_linked = (
    select(repo_blobs.c.name)
    .where(repo_blobs.c.kind == blobs.c.kind, repo_blobs.c.name == blobs.c.name)
    .exists()
)
_MARK_UNREFERENCED = indexed(
    update(blobs)
    .values(unreferenced_ms=DatabaseNow())
    .where(
        blobs.c.kind == bindparam("which_kind"),
        blobs.c.name == bindparam("which_name"),
        blobs.c.unreferenced_ms.is_(None),
        not_(_linked),
    )
)


class _Hold(NamedTuple):
    repo_pk: int
    kind: str
    name: str


_EXPIRED_HOLDS = scan(
    select(holds.c.repo_pk, holds.c.kind, holds.c.name)
    .where(holds.c.until_ms < DatabaseNow())
    .limit(BATCH),
    _Hold,
)
_UNLINK_UNCOMMITTED = indexed(
    delete(repo_blobs).where(
        repo_blobs.c.repo_pk == bindparam("repo_pk"),
        repo_blobs.c.kind == bindparam("kind"),
        repo_blobs.c.name == bindparam("name"),
        repo_blobs.c.committed == 0,
    )
)
_COPIED = ("kind", "name", "bytes", "path", "ref", "pusher_pk", "committed", "created_ms")
_COPY_LINKS = indexed(
    insert(repo_blobs)
    .from_select(
        ["repo_pk", *_COPIED],
        select(
            cast(bindparam("target_pk"), BigInteger), *(repo_blobs.c[name] for name in _COPIED)
        ).where(
            repo_blobs.c.repo_pk == bindparam("source_pk"),
            repo_blobs.c.kind == BlobKind.LFS.value,
            repo_blobs.c.committed == 1,
        ),
    )
    .on_conflict_do_nothing()
)


class Link(msgspec.Struct, frozen=True):
    """A blob that a commit of a repository names."""

    key: BlobKey
    bytes: int
    path: str | None = None
    ref: str | None = None


async def linked(db: Reader, repo_pk: int, key: BlobKey) -> LinkedBlob | None:
    """Return the repository's link to a blob, or None."""
    return await db.one(_SELECT_LINK, repo_pk=repo_pk, kind=key.kind.value, name=key.name)


async def linked_many(
    db: Reader, repo_pk: int, kind: BlobKind, names: Sequence[str]
) -> dict[str, LinkedBlob]:
    """Return the repository's links to those of the blobs that it links, by name."""
    if not names:
        return {}
    rows = await db.all(_SELECT_LINKS, repo_pk=repo_pk, kind=kind.value, names=list(names))
    return {row.name: row for row in rows}


async def hold_blobs(
    tx: Tx, repo_pk: int, kind: BlobKind, names: Sequence[str], hold_ms: int
) -> dict[str, LinkedBlob]:
    """Hold blobs that a repository links for ``hold_ms`` from now: commits will name them.

    Committed blobs get a hold, too: the commits that name them may be unreachable from any ref.

    Returns:
        The links as `linked_many` returns them; the other blobs get no hold.
    """
    holds_to_add = [{"repo_pk": repo_pk, "kind": kind.value, "name": name} for name in names]
    # The holds come before the links, so a concurrent unlink either sees the hold or is seen here.
    await tx.run_many(_HOLD, [{**hold, "hold_ms": hold_ms} for hold in holds_to_add])
    links = await linked_many(tx, repo_pk, kind, names)
    await tx.run_many(_DELETE_HOLD, [hold for hold in holds_to_add if hold["name"] not in links])
    return links


async def linking_repos(db: Reader, key: BlobKey) -> list[LinkingRepo]:
    """Return up to 100 repositories that link a blob."""
    return await db.all(_LINKING_REPOS, kind=key.kind.value, name=key.name)


async def register_upload(
    db: Database,
    store: BlobStore,
    repo_pk: int,
    key: BlobKey,
    size: int,
    *,
    pusher_pk: int | None,
    hold_ms: int,
    place: StoredKey | None = None,
    upload_id: str | None = None,
    replaced: bool = False,
) -> None:
    """Register that a user uploaded a blob, whose bytes are in the store, to a repository.

    No upload succeeds while the stored bytes are damaged. If the blob already has bytes, they
    stay and the uploaded ones are deleted; if those are missing or damaged, the uploaded ones
    replace them.

    Args:
        db: The database.
        store: Where the bytes are.
        repo_pk: The repository.
        key: The blob.
        size: Its bytes.
        pusher_pk: Who uploaded it.
        hold_ms: How long the hold for the commit that names it lasts, in milliseconds.
        place: Their stored name (`new_stored_name`); the blob's own name if None.
        upload_id: The multipart upload that this completes; its row is deleted.
        replaced: The bytes replace damaged ones, or damaged xorbs: the blob becomes plain.

    Raises:
        Unavailable: a blob of this name is being deleted, or is damaged; upload it again.
        Conflict: the repository is gone.
    """

    uploaded = place or key

    async def add(tx: Tx) -> _Registered:
        row = await _register(tx, key, size, uploaded)
        await _link(tx, repo_pk, Link(key, size), pusher_pk, committed=0)
        await tx.run(_HOLD, repo_pk=repo_pk, kind=key.kind.value, name=key.name, hold_ms=hold_ms)
        if upload_id is not None:
            await tx.run(_DELETE_UPLOAD, which_upload=upload_id)
        if replaced:
            if row.place != uploaded:
                await replace_bytes(tx, key, size, old=row.place, new=uploaded)
            await tx.run(_MARK_PLAIN, which_kind=key.kind.value, which_name=key.name, size=size)
            return _Registered(uploaded, None)
        return row

    row = await db.write(add)
    if row.place == uploaded:
        if row.reconstructable_ms is None:
            await _check_stored(db, store, repo_pk, key, uploaded)
        return
    # The committed row protects its bytes from deletion, so one check now is enough.
    if row.reconstructable_ms is None and await damaged_blobs(db, store, key.kind, [key.name]):

        async def replace(tx: Tx) -> bool:
            done = await replace_bytes(tx, key, size, old=row.place, new=uploaded)
            if done:
                await tx.run(_MARK_PLAIN, which_kind=key.kind.value, which_name=key.name, size=size)
            return done

        if await db.write(replace):
            return
    if uploaded != key:
        with suppress(HubError):  # the bytes are an orphan then
            await store.delete(uploaded)


async def _check_stored(
    db: Database, store: BlobStore, repo_pk: int, key: BlobKey, place: StoredKey
) -> None:
    """Unlink an uploaded blob whose bytes are gone, and fail if they are damaged.

    The writer may have left older bytes under the blob's own name in place, which
    `delete_unreferenced` then deleted before the row protected them.

    Raises:
        Unavailable: the bytes are gone or damaged.
    """
    if await store.size(place) is None:

        async def undo(tx: Tx) -> None:
            await unlink_blobs(tx, repo_pk, [key])

        await db.write(undo)
        raise Unavailable(reason="the object was just being removed, upload it again")
    if await damaged_blobs(db, store, key.kind, [key.name]):
        raise Unavailable(reason="what is stored of the object is damaged, upload it again")


async def link_blobs(tx: Tx, repo_pk: int, links: Iterable[Link], *, pusher_pk: int | None) -> None:
    """Link blobs that commits of a repository name; the caller has checked the right to.

    Raises:
        BlobMissing: a blob is deleted, or being deleted.
    """
    for link in links:
        key = link.key
        if not await tx.run(_REVIVE, which_kind=key.kind.value, which_name=key.name):
            raise BlobMissing(name=key.name, path=link.path or "")
        await _link(tx, repo_pk, link, pusher_pk, committed=1)
        await tx.run(_DELETE_HOLD, repo_pk=repo_pk, kind=key.kind.value, name=key.name)


async def link_temporarily(
    tx: Tx, repo_pk: int, key: BlobKey, size: int, *, pusher_pk: int | None, hold_ms: int
) -> bool:
    """Link a blob of another repository until a commit names it or ``hold_ms`` is over.

    The caller has checked that the user may read the other repository and write this one.

    Returns:
        False if the blob is being deleted.
    """
    if not await tx.run(_REVIVE, which_kind=key.kind.value, which_name=key.name):
        return False
    await _link(tx, repo_pk, Link(key, size), pusher_pk, committed=0)
    await tx.run(_HOLD, repo_pk=repo_pk, kind=key.kind.value, name=key.name, hold_ms=hold_ms)
    return True


async def copy_links(tx: Tx, source_pk: int, repo_pk: int) -> None:
    """Link every LFS object that commits of repository ``source_pk`` name to ``repo_pk``."""
    await tx.run(_COPY_LINKS, source_pk=source_pk, target_pk=repo_pk)


async def link_new_blob(
    tx: Tx, repo_pk: int, key: BlobKey, size: int, *, place: StoredKey | None = None
) -> None:
    """Register and link a blob that the hub stored for one repository, such as a pack.

    If the blob already has bytes, they stay, and the bytes at ``place`` become unreferenced.
    """
    place = place or key
    row = await _register(tx, key, size, place)
    if row.place != place:
        await mark_stored_unreferenced(tx, [(place, size)])
    await _link(tx, repo_pk, Link(key, size), None, committed=1)


async def register_blob(tx: Tx, key: BlobKey, size: int) -> int | None:
    """Register a blob whose bytes are in the store, or revive it.

    Without a link, this serves only kinds that another room references by rows of its own and
    releases with `mark_unreferenced`.

    Returns:
        The time since which the bytes are unneeded, in milliseconds since the epoch; None if they
        are needed.

    Raises:
        Unavailable: a blob of this name is being deleted.
    """
    return (await _register(tx, key, size, key)).reconstructable_ms


class _Registered(msgspec.Struct, frozen=True):
    """The row of a registered blob."""

    place: StoredKey  # the blob's stored name: another one than the upload's if it had bytes
    reconstructable_ms: int | None


async def _register(tx: Tx, key: BlobKey, size: int, place: StoredKey) -> _Registered:
    await reclaim_stored(tx, key, place)
    row = await tx.one(
        _ADD,
        kind=key.kind.value,
        name=key.name,
        bytes=size,
        stored=None if place == key else place.name,
    )
    if row is None:
        raise Unavailable(reason="the object is just being removed, try again")
    return _Registered(stored_key(key, row.stored), row.reconstructable_ms)


async def mark_unreferenced(tx: Tx, keys: Iterable[BlobKey]) -> None:
    """Mark blobs that no repository links as unreferenced: the grace period begins."""
    await tx.run_many(
        _MARK_UNREFERENCED, [{"which_kind": key.kind.value, "which_name": key.name} for key in keys]
    )


async def _link(tx: Tx, repo_pk: int, link: Link, pusher_pk: int | None, committed: int) -> None:
    await tx.run(
        _LINK,
        repo_pk=repo_pk,
        kind=link.key.kind.value,
        name=link.key.name,
        bytes=link.bytes,
        path=link.path,
        ref=link.ref,
        pusher_pk=pusher_pk,
        committed=committed,
    )


async def unlink_blobs(tx: Tx, repo_pk: int, keys: Iterable[BlobKey]) -> None:
    """Delete a repository's links to blobs; blobs without another link become unreferenced."""
    for key in keys:
        await tx.run(_UNLINK, repo_pk=repo_pk, kind=key.kind.value, name=key.name)
        await tx.run(_DELETE_HOLD, repo_pk=repo_pk, kind=key.kind.value, name=key.name)
        await mark_unreferenced(tx, [key])


async def unlink_repo(tx: Tx, repo_pk: int) -> None:
    """Delete all links and holds of a repository that is being deleted."""
    rows = await tx.all(_OF_REPO, repo_pk=repo_pk)
    await tx.run(_DELETE_HOLDS, repo_pk=repo_pk)
    await tx.run(_UNLINK_ALL, repo_pk=repo_pk)
    await tx.run_many(
        _MARK_UNREFERENCED, [{"which_kind": row.kind, "which_name": row.name} for row in rows]
    )


async def list_lfs_links(
    db: Reader, repo_pk: int, *, before: tuple[int, str] | None = None, limit: int = 1000
) -> list[LfsFile]:
    """Return the LFS files that a repository's commits name, newest first.

    ``before`` is (created_ms, name) of the last row of the page before.
    """
    before_ms, before_name = before or (2**62, "")
    return await db.all(
        _LIST_LFS, repo_pk=repo_pk, before_ms=before_ms, before_name=before_name, limit=limit
    )


async def delete_expired_holds(tx: Tx, repo_pk: int, kind: BlobKind, names: Sequence[str]) -> None:
    """Delete a repository's expired holds of these blobs; the blobs stay linked.

    Until ``tx`` ends, an upload that extends one of these holds waits.
    """
    await tx.run(_DELETE_EXPIRED_HOLDS, repo_pk=repo_pk, kind=kind.value, names=list(names))


async def expire_holds(db: Database) -> int:
    """Unlink blobs whose hold expired before a commit; return how many holds there were."""

    async def expire(tx: Tx) -> int:
        rows = await tx.all(_EXPIRED_HOLDS)
        for row in rows:
            key = {"repo_pk": row.repo_pk, "kind": row.kind, "name": row.name}
            if not await tx.run(_DELETE_EXPIRED_HOLD, **key):
                continue
            await tx.run(_UNLINK_UNCOMMITTED, **key)
            await tx.run(_MARK_UNREFERENCED, which_kind=row.kind, which_name=row.name)
        return len(rows)

    return await db.write(expire)
