"""Links of repositories to blobs, holds of uploads, and the life of a blob in between.

Knowing a hash is not owning the bytes: a link exists only for bytes that were uploaded to the
repository, or that its writer may read in another one; the caller of `link_blobs` has checked it.

States of a blob (``doomed_ms`` of its row):

- live (null): a repository links it, or an upload holds it.
- unreferenced (a time): the last link or hold has ended; linking it again revives it.
- deleting (0): the grace period is over and its bytes are going (`deletion.py`); linking it is
  refused until its row is gone.

An LFS object may be *reconstructable* (``folded_ms``): room ``xet`` assembles it from xorbs, so
its own bytes are not needed (`xet_backed.py`).
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

#: How many holds are ended at a time.
BATCH = 200


class _Added(NamedTuple):
    bytes: int
    folded_ms: int | None
    stored: str | None


#: Bytes came. If they are not needed and lie under the blob's own name, where `delete_plain_copies`
#: looks, that is since now: else nothing would remove them.
_ADD = indexed(
    insert_into(blobs, "kind", "name", "bytes", "stored")
    .values(created_ms=DatabaseNow())
    .on_conflict_do_update(
        index_elements=["kind", "name"],
        set_={
            "doomed_ms": None,
            "folded_ms": case(
                (blobs.c.folded_ms.is_(None), cast(null(), BigInteger)),
                (
                    cast(bindparam("stored"), Text).is_(None),
                    DatabaseNow(),
                ),
                else_=blobs.c.folded_ms,
            ),
        },
        where=or_(blobs.c.doomed_ms.is_(None), blobs.c.doomed_ms != DELETING),
    )
    .returning(blobs.c.bytes, blobs.c.folded_ms, blobs.c.stored),
    _Added,
)
_WHOLE = indexed(
    update(blobs)
    .values(folded_ms=None, damaged_ms=None, bytes=bindparam("size"))
    .where(blobs.c.kind == bindparam("which_kind"), blobs.c.name == bindparam("which_name"))
)
_KEEP = indexed(
    update(blobs)
    .values(doomed_ms=None)
    .where(
        blobs.c.kind == bindparam("which_kind"),
        blobs.c.name == bindparam("which_name"),
        or_(blobs.c.doomed_ms.is_(None), blobs.c.doomed_ms != DELETING),
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
_LET_GO = indexed(
    delete(holds).where(
        holds.c.repo_pk == bindparam("repo_pk"),
        holds.c.kind == bindparam("kind"),
        holds.c.name == bindparam("name"),
    )
)
# Only if it is still over: an upload may have taken it up again since it was looked for.
_END = indexed(
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
_END_UPLOAD = indexed(delete(uploads).where(uploads.c.id == bindparam("which_upload")))
_LINK_COLUMNS = (repo_blobs.c.name, repo_blobs.c.bytes, repo_blobs.c.committed, repo_blobs.c.path)


class LinkedBlob(NamedTuple):
    """A blob as a repository links it."""

    name: str
    bytes: int
    committed: int
    path: str | None


_HELD_MANY = scan(
    select(*_LINK_COLUMNS).where(
        repo_blobs.c.repo_pk == bindparam("repo_pk"),
        repo_blobs.c.kind == bindparam("kind"),
        any_of(repo_blobs.c.name, "names"),
    ),
    LinkedBlob,
)
_HELD = indexed(
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


_HOLDERS = indexed(
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
_LET_ALL_GO = indexed(delete(holds).where(holds.c.repo_pk == bindparam("repo_pk")))


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
_DOOM = indexed(
    update(blobs)
    .values(doomed_ms=DatabaseNow())
    .where(
        blobs.c.kind == bindparam("which_kind"),
        blobs.c.name == bindparam("which_name"),
        blobs.c.doomed_ms.is_(None),
        not_(_linked),
    )
)


class _Hold(NamedTuple):
    repo_pk: int
    kind: str
    name: str


_FORGOTTEN = scan(
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
    return await db.one(_HELD, repo_pk=repo_pk, kind=key.kind.value, name=key.name)


async def linked_many(
    db: Reader, repo_pk: int, kind: BlobKind, names: Sequence[str]
) -> dict[str, LinkedBlob]:
    """Return those of the blobs that the repository links, by name."""
    if not names:
        return {}
    rows = await db.all(_HELD_MANY, repo_pk=repo_pk, kind=kind.value, names=list(names))
    return {row.name: row for row in rows}


async def hold_blobs(
    tx: Tx, repo_pk: int, kind: BlobKind, names: Sequence[str], hold_ms: int
) -> dict[str, LinkedBlob]:
    """Keep what a repository links for ``hold_ms`` from now: commits are about to name it.

    That holds for what commits of the past name as well: maybe none that a ref leads to.

    Returns:
        What ``linked_many`` does: no row of what the repository does not link, or no longer.
    """
    which = [{"repo_pk": repo_pk, "kind": kind.value, "name": name} for name in names]
    # First the holds, then the look: who lets go meanwhile sees the one or loses the other.
    await tx.run_many(_HOLD, [{**each, "hold_ms": hold_ms} for each in which])
    rows = await linked_many(tx, repo_pk, kind, names)
    await tx.run_many(_LET_GO, [each for each in which if each["name"] not in rows])
    return rows


async def linking_repos(db: Reader, key: BlobKey) -> list[LinkingRepo]:
    """Return up to 100 repositories that link a blob."""
    return await db.all(_HOLDERS, kind=key.kind.value, name=key.name)


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
    """Note that the bytes of a blob, which are in the store, were uploaded to a repository.

    Nothing is acknowledged while what the store has is damaged. If the blob has bytes already
    these stay, and those that came are deleted; but if the store has lost them, or has not all of
    them, those that came take their place.

    Args:
        db: The database.
        store: Where the bytes are.
        repo_pk: The repository.
        key: The blob.
        size: Its bytes.
        pusher_pk: Who uploaded it.
        hold_ms: How long it is kept for the commit that names it.
        place: Where they were stored (`new_stored_name`); under the blob's own name if None.
        upload_id: The upload in parts that this completes, which nobody takes up again.
        replaced: The bytes took the place of damaged ones, or of xorbs that are: the blob is
            whole again, and plain.

    Raises:
        Unavailable: a blob of this name was just being deleted, or is damaged; upload it again.
        Conflict: the repository is gone.
    """

    came = place or key

    async def add(tx: Tx) -> _Registered:
        found = await _register(tx, key, size, came)
        await _link(tx, repo_pk, Link(key, size), pusher_pk, committed=0)
        await tx.run(_HOLD, repo_pk=repo_pk, kind=key.kind.value, name=key.name, hold_ms=hold_ms)
        if upload_id is not None:
            await tx.run(_END_UPLOAD, which_upload=upload_id)
        if replaced:
            if found.place != came:
                await replace_bytes(tx, key, size, old=found.place, new=came)
            await tx.run(_WHOLE, which_kind=key.kind.value, which_name=key.name, size=size)
            return _Registered(came, None)
        return found

    found = await db.write(add)
    if found.place == came:
        if found.folded_ms is None:
            await _check_stored(db, store, repo_pk, key, came)
        return
    # From the row on nobody deletes what it names, so looking now is enough.
    if found.folded_ms is None and await damaged_blobs(db, store, key.kind, [key.name]):

        async def mend(tx: Tx) -> bool:
            done = await replace_bytes(tx, key, size, old=found.place, new=came)
            if done:
                await tx.run(_WHOLE, which_kind=key.kind.value, which_name=key.name, size=size)
            return done

        if await db.write(mend):
            return
    if came != key:
        with suppress(HubError):  # it is a stray then
            await store.delete(came)


async def _check_stored(
    db: Database, store: BlobStore, repo_pk: int, key: BlobKey, place: StoredKey
) -> None:
    """Take an upload back whose bytes are gone.

    The writer may have met older bytes under the blob's own name, kept those, and lost them to
    `delete_unreferenced` before our row protected them.
    """
    if await store.size(place) is None:

        async def undo(tx: Tx) -> None:
            await unlink_blobs(tx, repo_pk, [key])

        await db.write(undo)
        raise Unavailable(reason="the object was just being removed, upload it again")
    if await damaged_blobs(db, store, key.kind, [key.name]):
        raise Unavailable(reason="what is stored of the object is damaged, upload it again")


async def link_blobs(tx: Tx, repo_pk: int, links: Iterable[Link], *, pusher_pk: int | None) -> None:
    """Note that commits of a repository name these blobs; the caller has checked the right to.

    Raises:
        BlobMissing: a blob is gone, or just going.
    """
    for each in links:
        if not await tx.run(_KEEP, which_kind=each.key.kind.value, which_name=each.key.name):
            raise BlobMissing(name=each.key.name, path=each.path or "")
        await _link(tx, repo_pk, each, pusher_pk, committed=1)
        await tx.run(_LET_GO, repo_pk=repo_pk, kind=each.key.kind.value, name=each.key.name)


async def link_temporarily(
    tx: Tx, repo_pk: int, key: BlobKey, size: int, *, pusher_pk: int | None, hold_ms: int
) -> bool:
    """Let a repository have a blob of another one, until a commit names it or ``hold_ms`` is over.

    The caller has checked that whoever does this may read the other and write this one.

    Returns:
        False if the blob is just going.
    """
    if not await tx.run(_KEEP, which_kind=key.kind.value, which_name=key.name):
        return False
    await _link(tx, repo_pk, Link(key, size), pusher_pk, committed=0)
    await tx.run(_HOLD, repo_pk=repo_pk, kind=key.kind.value, name=key.name, hold_ms=hold_ms)
    return True


async def copy_links(tx: Tx, source_pk: int, repo_pk: int) -> None:
    """Link to one repository every LFS object that commits of another one name."""
    await tx.run(_COPY_LINKS, source_pk=source_pk, target_pk=repo_pk)


async def link_new_blob(
    tx: Tx, repo_pk: int, key: BlobKey, size: int, *, place: StoredKey | None = None
) -> None:
    """Note that a blob with a name of its own, such as a pack, was stored for a repository.

    If the blob has bytes already these stay, and those at ``place`` are doomed.
    """
    came = place or key
    found = await _register(tx, key, size, came)
    if found.place != came:
        await mark_stored_unreferenced(tx, [(came, size)])
    await _link(tx, repo_pk, Link(key, size), None, committed=1)


async def register_blob(tx: Tx, key: BlobKey, size: int) -> int | None:
    """Note that the bytes of a blob are in the store, or revive it.

    Alone, without a link, only for kinds that another room keeps alive by rows of its own, and
    ends by `doom`.

    Returns:
        Since when the bytes have not been needed, in milliseconds since the epoch; None if they
        are.

    Raises:
        Unavailable: a blob of this name is just being deleted.
    """
    return (await _register(tx, key, size, key)).folded_ms


class _Registered(msgspec.Struct, frozen=True):
    """A blob's row, after its bytes came."""

    place: StoredKey  # where the blob lies: not where its bytes came to, if it had some
    folded_ms: int | None


async def _register(tx: Tx, key: BlobKey, size: int, came: StoredKey) -> _Registered:
    await reclaim_stored(tx, key, came)
    row = await tx.one(
        _ADD,
        kind=key.kind.value,
        name=key.name,
        bytes=size,
        stored=None if came == key else came.name,
    )
    if row is None:
        raise Unavailable(reason="the object is just being removed, try again")
    return _Registered(stored_key(key, row.stored), row.folded_ms)


async def mark_unreferenced(tx: Tx, keys: Iterable[BlobKey]) -> None:
    """Give up blobs that no repository links; they are deleted after the grace period."""
    await tx.run_many(
        _DOOM, [{"which_kind": key.kind.value, "which_name": key.name} for key in keys]
    )


async def _link(tx: Tx, repo_pk: int, each: Link, pusher_pk: int | None, committed: int) -> None:
    await tx.run(
        _LINK,
        repo_pk=repo_pk,
        kind=each.key.kind.value,
        name=each.key.name,
        bytes=each.bytes,
        path=each.path,
        ref=each.ref,
        pusher_pk=pusher_pk,
        committed=committed,
    )


async def unlink_blobs(tx: Tx, repo_pk: int, keys: Iterable[BlobKey]) -> None:
    """Let a repository go of blobs; those that nobody else links are doomed."""
    for key in keys:
        await tx.run(_UNLINK, repo_pk=repo_pk, kind=key.kind.value, name=key.name)
        await tx.run(_LET_GO, repo_pk=repo_pk, kind=key.kind.value, name=key.name)
        await mark_unreferenced(tx, [key])


async def unlink_repo(tx: Tx, repo_pk: int) -> None:
    """Let a repository that is being deleted go of everything."""
    rows = await tx.all(_OF_REPO, repo_pk=repo_pk)
    await tx.run(_LET_ALL_GO, repo_pk=repo_pk)
    await tx.run(_UNLINK_ALL, repo_pk=repo_pk)
    await tx.run_many(_DOOM, [{"which_kind": row.kind, "which_name": row.name} for row in rows])


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
    """Doom what was uploaded and never committed in time; return how many holds ended."""

    async def end(tx: Tx) -> int:
        rows = await tx.all(_FORGOTTEN)
        for row in rows:
            which = {"repo_pk": row.repo_pk, "kind": row.kind, "name": row.name}
            if not await tx.run(_END, **which):
                continue
            await tx.run(_UNLINK_UNCOMMITTED, **which)
            await tx.run(_DOOM, which_kind=row.kind, which_name=row.name)
        return len(rows)

    return await db.write(end)
