"""Links of repositories to blobs: every statement that writes table ``repo_blob``.

Knowing a hash is not owning the bytes: a link exists only for bytes that were uploaded to the
repository, or that its writer may read in another one; the caller of `link_blobs` has checked it.
A blob without links, and without rows of other rooms, is unreferenced (`lifecycle.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    and_,
    bindparam,
    cast,
    delete,
    func,
    literal_column,
    or_,
    select,
    update,
)

from hubstead.blobs.holds import (
    add_hold,
    add_holds,
    delete_expired_holds,
    delete_hold,
    delete_holds,
    delete_holds_of_repo,
    delete_if_expired,
    expired_holds,
)
from hubstead.blobs.keys import BlobKey, BlobKind
from hubstead.blobs.lifecycle import mark_unreferenced, revive
from hubstead.blobs.tables import holds, repo_blobs
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
from hubstead.errors import BlobMissing

#: Links that one statement reads.
_PAGE = 5000
_IN_REPO = repo_blobs.c.repo_pk == bindparam("repo_pk")
_KEY = (repo_blobs.c.kind == bindparam("kind"), repo_blobs.c.name == bindparam("name"))

# -- reads -------------------------------------------------------------------------------------

_LINK_COLUMNS = (
    repo_blobs.c.name,
    repo_blobs.c.bytes,
    repo_blobs.c.committed,
    repo_blobs.c.path,
    repo_blobs.c.pusher_pk,
)


class LinkedBlob(NamedTuple):
    """A blob as a repository links it."""

    name: str
    bytes: int
    committed: int
    path: str | None
    pusher_pk: int | None  # who uploaded it last, or linked it first

    def is_of(self, user_pk: int) -> bool:
        """Tell whether a commit names it, or this user uploaded it."""
        return bool(self.committed) or self.pusher_pk == user_pk


_SELECT_LINKS = scan(
    select(*_LINK_COLUMNS).where(
        _IN_REPO, repo_blobs.c.kind == bindparam("kind"), any_of(repo_blobs.c.name, "names")
    ),
    LinkedBlob,
)
_SELECT_LINK = indexed(select(*_LINK_COLUMNS).where(_IN_REPO, *_KEY), LinkedBlob)


class LinkingRepo(NamedTuple):
    """A repository with a commit that names a blob."""

    repo_pk: int
    bytes: int


_LINKING_REPOS = indexed(
    select(repo_blobs.c.repo_pk, repo_blobs.c.bytes)
    .where(*_KEY, repo_blobs.c.committed == 1)
    .order_by(repo_blobs.c.repo_pk)
    .limit(100),
    LinkingRepo,
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
        _IN_REPO,
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


_LINKS_OF_REPO = scan(
    select(*_LINK_COLUMNS).where(_IN_REPO, repo_blobs.c.kind == bindparam("kind")), LinkedBlob
)
_COMMITTED_NAMES = scan(
    select(repo_blobs.c.name)
    .where(
        _IN_REPO,
        repo_blobs.c.kind == bindparam("kind"),
        repo_blobs.c.committed == 1,
        repo_blobs.c.name > bindparam("after"),
    )
    .order_by(repo_blobs.c.name)
    .limit(bindparam("page")),
    str,
)


class CommittedLink(NamedTuple):
    """A blob that commits of a repository name, and the end of its hold there, if any."""

    name: str
    bytes: int
    created_ms: int
    until_ms: int | None


_COMMITTED_LINKS = scan(
    select(repo_blobs.c.name, repo_blobs.c.bytes, repo_blobs.c.created_ms, holds.c.until_ms)
    .outerjoin_from(
        repo_blobs,
        holds,
        and_(
            holds.c.repo_pk == repo_blobs.c.repo_pk,
            holds.c.kind == repo_blobs.c.kind,
            holds.c.name == repo_blobs.c.name,
        ),
    )
    .where(
        _IN_REPO,
        repo_blobs.c.kind == bindparam("kind"),
        repo_blobs.c.committed == 1,
        any_of(repo_blobs.c.name, "names"),
    )
    .order_by(repo_blobs.c.name),
    CommittedLink,
)


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


async def linked_all(db: Reader, repo_pk: int, kind: BlobKind) -> dict[str, LinkedBlob]:
    """Return all links of a repository to blobs of one kind, by name."""
    rows = await db.all(_LINKS_OF_REPO, repo_pk=repo_pk, kind=kind.value)
    return {row.name: row for row in rows}


async def committed_names(
    db: Reader, repo_pk: int, kind: BlobKind, *, page: int = _PAGE
) -> AsyncIterator[str]:
    """Yield the names of the blobs of a kind that commits of a repository name, in order."""
    after = ""
    while names := await db.all(
        _COMMITTED_NAMES, repo_pk=repo_pk, kind=kind.value, after=after, page=page
    ):
        for name in names:
            yield name
        after = names[-1]


async def committed_links(
    db: Reader, repo_pk: int, kind: BlobKind, names: Sequence[str], *, page: int = _PAGE
) -> list[CommittedLink]:
    """Return those of the blobs ``names`` that commits of a repository name, with their holds."""
    links: list[CommittedLink] = []
    for start in range(0, len(names), page):
        batch = list(names[start : start + page])
        links += await db.all(_COMMITTED_LINKS, repo_pk=repo_pk, kind=kind.value, names=batch)
    return links


async def linking_repos(db: Reader, key: BlobKey) -> list[LinkingRepo]:
    """Return up to 100 repositories with a commit that names a blob."""
    return await db.all(_LINKING_REPOS, kind=key.kind.value, name=key.name)


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


# -- new links ---------------------------------------------------------------------------------

_ADD = indexed(
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
_ADD_UPLOADED = indexed(
    insert_into(repo_blobs, "repo_pk", "kind", "name", "bytes", "pusher_pk")
    .values(created_ms=DatabaseNow(), committed=0)
    .on_conflict_do_update(
        index_elements=["repo_pk", "kind", "name"],
        set_={"pusher_pk": literal_column("excluded.pusher_pk")},
        where=repo_blobs.c.committed == 0,
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


async def link_blobs(tx: Tx, repo_pk: int, links: Iterable[Link], *, pusher_pk: int | None) -> None:
    """Link blobs that commits of a repository name; the caller has checked the right to.

    Raises:
        BlobMissing: a blob is deleted, or being deleted.
    """
    for link in links:
        if not await revive(tx, link.key):
            raise BlobMissing(name=link.key.name, path=link.path or "")
        await add_link(tx, repo_pk, link, pusher_pk, committed=1)
        await delete_hold(tx, repo_pk, link.key)


async def link_temporarily(
    tx: Tx, repo_pk: int, key: BlobKey, size: int, *, pusher_pk: int | None, hold_ms: int
) -> bool:
    """Link a blob of another repository until a commit names it or ``hold_ms`` is over.

    The caller has checked that the user may read the other repository and write this one.

    Returns:
        False if the blob is being deleted.
    """
    if not await revive(tx, key):
        return False
    await add_link(tx, repo_pk, Link(key, size), pusher_pk, committed=0)
    await add_hold(tx, repo_pk, key, hold_ms)
    return True


async def copy_links(tx: Tx, source_pk: int, repo_pk: int) -> None:
    """Link every LFS object that commits of repository ``source_pk`` name to ``repo_pk``."""
    await tx.run(_COPY_LINKS, source_pk=source_pk, target_pk=repo_pk)


async def add_link(tx: Tx, repo_pk: int, link: Link, pusher_pk: int | None, committed: int) -> None:
    """Add one link; an uploaded link becomes a committed one, never the reverse.

    Args:
        tx: The transaction, in which the blob is live.
        repo_pk: The repository.
        link: The blob, with path and ref if a commit names it.
        pusher_pk: The user who uploaded it.
        committed: 1 if a commit names it; 0 if it is uploaded only, and held.
    """
    if not committed:
        await add_uploaded_links(
            tx, repo_pk, link.key.kind, [(link.key.name, link.bytes)], pusher_pk
        )
        return
    await tx.run(
        _ADD,
        repo_pk=repo_pk,
        kind=link.key.kind.value,
        name=link.key.name,
        bytes=link.bytes,
        path=link.path,
        ref=link.ref,
        pusher_pk=pusher_pk,
        committed=committed,
    )


async def add_uploaded_links(
    tx: Tx, repo_pk: int, kind: BlobKind, sizes: Iterable[tuple[str, int]], pusher_pk: int | None
) -> None:
    """Add links for uploaded blobs, given as (name, size in bytes); an existing link
    that no commit made gets a new uploader, who has shown the bytes."""
    link = {"repo_pk": repo_pk, "kind": kind.value, "pusher_pk": pusher_pk}
    await tx.run_many(
        _ADD_UPLOADED, [{**link, "name": name, "bytes": size} for name, size in sizes]
    )


async def hold_blobs(
    tx: Tx, repo_pk: int, kind: BlobKind, names: Sequence[str], hold_ms: int
) -> dict[str, LinkedBlob]:
    """Hold blobs that a repository links for ``hold_ms`` from now: commits will name them.

    Committed blobs get a hold, too: the commits that name them may be unreachable from any ref.

    Returns:
        The links as `linked_many` returns them; the other blobs get no hold.
    """
    # The holds come before the links, so a concurrent unlink either sees the hold or is seen here.
    await add_holds(tx, repo_pk, kind, names, hold_ms)
    links = await linked_many(tx, repo_pk, kind, names)
    await delete_holds(tx, repo_pk, kind, [name for name in names if name not in links])
    return links


# -- the end of links --------------------------------------------------------------------------

_UNLINK = indexed(delete(repo_blobs).where(_IN_REPO, *_KEY))
_UNLINK_UNCOMMITTED = indexed(
    delete(repo_blobs).where(_IN_REPO, *_KEY, repo_blobs.c.committed == 0)
)
_UNCOMMIT = indexed(update(repo_blobs).values(committed=0).where(_IN_REPO, *_KEY))
_UNLINK_ALL = indexed(delete(repo_blobs).where(_IN_REPO))


class _Blob(NamedTuple):
    kind: str
    name: str


_OF_REPO = scan(select(repo_blobs.c.kind, repo_blobs.c.name).where(_IN_REPO), _Blob)


async def unlink_blobs(tx: Tx, repo_pk: int, keys: Iterable[BlobKey]) -> None:
    """Delete a repository's links to blobs; blobs without another link become unreferenced."""
    for key in keys:
        await tx.run(_UNLINK, repo_pk=repo_pk, kind=key.kind.value, name=key.name)
        await delete_hold(tx, repo_pk, key)
        await mark_unreferenced(tx, [key])


async def release_blobs(tx: Tx, repo_pk: int, kind: BlobKind, names: Sequence[str]) -> None:
    """Unlink blobs that nothing in the repository names any more.

    The link of a blob that an upload holds becomes an uploaded one: the upload's commit names it,
    or the end of its hold unlinks it.
    """
    await delete_expired_holds(tx, repo_pk, kind, names)
    rows = await committed_links(tx, repo_pk, kind, names)
    where = {"repo_pk": repo_pk, "kind": kind.value}
    held = [row.name for row in rows if row.until_ms is not None]
    await tx.run_many(_UNCOMMIT, [{**where, "name": name} for name in held])
    await unlink_blobs(
        tx, repo_pk, [BlobKey(kind, row.name) for row in rows if row.until_ms is None]
    )


async def unlink_repo(tx: Tx, repo_pk: int) -> None:
    """Delete all links and holds of a repository that is being deleted."""
    rows = await tx.all(_OF_REPO, repo_pk=repo_pk)
    await delete_holds_of_repo(tx, repo_pk)
    await tx.run(_UNLINK_ALL, repo_pk=repo_pk)
    await mark_unreferenced(tx, [BlobKey(BlobKind(row.kind), row.name) for row in rows])


async def expire_holds(db: Database) -> int:
    """Unlink blobs whose hold expired before a commit; return how many holds there were."""
    return await db.write(_expire)


async def _expire(tx: Tx) -> int:
    expired = await expired_holds(tx)
    for hold in expired:
        if await delete_if_expired(tx, hold):
            await tx.run(_UNLINK_UNCOMMITTED, **hold._asdict())
            await mark_unreferenced(tx, [hold.key])
    return len(expired)
