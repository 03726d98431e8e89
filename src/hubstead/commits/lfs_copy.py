"""Files copied from one repository to another, and LFS files given so."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from hubstead import blobs
from hubstead.accounts import Actor
from hubstead.blobs import BlobKey, BlobKind
from hubstead.commits.changeset import Changeset
from hubstead.commits.revisions import resolve_revision
from hubstead.commits.storage import Storage
from hubstead.db import Reader, Tx
from hubstead.errors import EntryNotFound, InvalidInput, RepoNotFound
from hubstead.gitstore import LINK_MODE, Entry, file_mode
from hubstead.ids import RepoId
from hubstead.repos import Repo, RepoMoved, Right, open_repo, open_repo_by_id


async def copy_lfs_files(
    stores: Storage, actor: Actor, source: Repo, target: RepoId, names: Sequence[str]
) -> frozenset[str]:
    """Let a repository have LFS files of another one; no bytes are copied.

    They are kept for ``hold_seconds``, as if they had been uploaded, until a commit names them.

    Args:
        stores: Where the content is.
        actor: Who may read the source and write the target.
        source: The repository whose commits name the files.
        target: The one to have them; an old name will do.
        names: Their sha256.

    Returns:
        Those that the target has now; the others are not in the source, or damaged in the store.

    Raises:
        Those of ``open_repo`` (READ for the source, WRITE for the target).
    """

    hold_ms = int(stores.settings.blobs.hold_seconds * 1000)
    damaged = await stores.xet.damage.damaged_objects(names)

    async def copy(tx: Tx) -> frozenset[str]:
        opened = await _target(tx, actor, target)
        await open_repo_by_id(tx, actor, source.id, Right.READ)
        rows = await blobs.linked_many(tx, source.pk, BlobKind.LFS, names)
        given = set()
        # In one order always, so that two of these never wait for each other.
        for name, row in sorted(rows.items()):
            key = BlobKey(BlobKind.LFS, name)
            # What was uploaded but never committed is nobody's to read.
            if name in damaged or not row.committed:
                continue
            if await blobs.link_temporarily(
                tx, opened.pk, key, row.bytes, pusher_pk=actor.pk, hold_ms=hold_ms
            ):
                given.add(name)
        return frozenset(given)

    return await stores.db.write(copy)


class FileSource(msgspec.Struct, frozen=True):
    """A file of another repository that is to be copied."""

    repo: RepoId  # an old name will do
    path: str
    revision: str | None = None  # None: the tip of the default branch


async def copy_file(
    stores: Storage, actor: Actor, target: Repo, change: Changeset, *, path: str, source: FileSource
) -> None:
    """Add to ``change`` that ``path`` becomes a file of another repository as it is now.

    An LFS file stays one and no bytes of it are copied; modes and symbolic links are preserved.

    Args:
        stores: Where the content is.
        actor: Who may read the files of the source.
        target: The repository that the change is for.
        change: What is to be committed.
        path: Where in the target.
        source: What to copy.

    Raises:
        RepoNotFound: there is no such source for this caller.
        RevisionNotFound, EntryNotFound: the source has no such revision or file.
        InvalidInput: a folder is to be copied; only a copy within one repository can do that.
        TooLarge, InvalidPath: see ``Change.put``.
        Gated, Forbidden, RepoDisabled: those of ``open_repo`` with READ.
    """
    opened = await _source(stores.db, actor, source.repo)
    if opened.pk == target.pk:
        change.copy(path, source.path, source.revision)
        return
    git = await stores.open_git(opened)
    found = await resolve_revision(stores.db, opened, git, source.revision or "HEAD")
    await stores.fetch_missing_packs(opened, [found.commit])
    entry = git.entry(found.commit, source.path) if source.path else None
    if entry is None or entry.type == "commit":
        raise _no_source(opened, source.path)
    if entry.type == "tree":
        raise InvalidInput(
            reason=f"{source.path} is a folder: only files can be copied from another repository"
        )
    await _add_copy(stores, change, path, opened, entry)


async def _add_copy(
    stores: Storage, change: Changeset, path: str, source: Repo, entry: Entry
) -> None:
    mode = file_mode(entry.mode)
    facts = entry.repo.blob_facts(entry.oid)
    if facts.pointer is None or mode == LINK_MODE:
        limit = stores.settings.commits.max_regular_file_bytes
        content = await asyncio.to_thread(entry.repo.blob, entry.oid, limit)
        await change.put(path, content, mode=mode)
        return
    row = await blobs.linked(stores.db, source.pk, BlobKey(BlobKind.LFS, facts.pointer.oid))
    if row is None or not row.committed:
        raise _no_source(source, entry.path)
    change.put_pointer(path, facts.pointer.oid, row.bytes, mode=mode)


def _no_source(source: Repo, path: str) -> EntryNotFound:
    return EntryNotFound(reason=f"The file to copy does not exist in {source.full_name}: {path}")


async def _source(db: Reader, actor: Actor, named: RepoId) -> Repo:
    try:
        return await open_repo(db, actor, named, Right.READ)
    except RepoMoved as moved:  # the answer would lead the client to the other repository
        return await open_repo(db, actor, moved.target, Right.READ)
    except RepoNotFound:
        raise RepoNotFound(reason=f"The repository to copy from does not exist: {named}") from None


async def _target(tx: Tx, actor: Actor, named: RepoId) -> Repo:
    try:
        return await open_repo(tx, actor, named, Right.WRITE, lock=True)
    except RepoMoved as moved:
        return await open_repo(tx, actor, moved.target, Right.WRITE, lock=True)
