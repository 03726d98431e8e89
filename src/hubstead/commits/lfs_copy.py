"""Copies of files from one repository to another, and of links to LFS files."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hubstead import blobs
from hubstead.accounts import Actor
from hubstead.admission import Lane, run_in_lane
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
    storage: Storage, actor: Actor, source: Repo, target: RepoId, names: Sequence[str]
) -> frozenset[str]:
    """Link LFS files of one repository to another; no bytes are copied.

    The links last ``hold_seconds``, as after an upload, unless a commit names the files.

    Args:
        storage: The storage of content.
        actor: The caller, who reads the source and writes the target.
        source: The repository whose commits name the files.
        target: The repository that gets the links; an old name is valid.
        names: The sha256 of each file.

    Returns:
        The names that the target links now; the others are not in the source, or are damaged.

    Raises:
        Those of ``open_repo`` (READ for the source, WRITE for the target).
    """
    hold_ms = int(storage.settings.blobs.hold_seconds * 1000)
    damaged = await storage.xet.damage.damaged_objects(names)
    intact = [name for name in names if name not in damaged]
    return await storage.db.write(_copy_links, actor, source, target, intact, hold_ms=hold_ms)


async def _copy_links(
    tx: Tx, actor: Actor, source: Repo, target: RepoId, names: Sequence[str], *, hold_ms: int
) -> frozenset[str]:
    repo = await _target(tx, actor, target)
    await open_repo_by_id(tx, actor, source.id, Right.READ)
    rows = await blobs.linked_many(tx, source.pk, BlobKind.LFS, names)
    copied = set()
    # Sorted, so that two copies at the same time cannot deadlock.
    for name, row in sorted(rows.items()):
        key = BlobKey(BlobKind.LFS, name)
        # Readers have no right to an upload that no commit names.
        if row.committed and await blobs.link_temporarily(
            tx, repo.pk, key, row.bytes, pusher_pk=actor.pk, hold_ms=hold_ms
        ):
            copied.add(name)
    return frozenset(copied)


class FileSource(msgspec.Struct, frozen=True):
    """The file of another repository to copy."""

    repo: RepoId  # an old name is valid
    path: str
    revision: str | None = None  # None: the tip of the default branch


async def copy_file(
    storage: Storage,
    actor: Actor,
    target: Repo,
    change: Changeset,
    *,
    path: str,
    source: FileSource,
) -> None:
    """Add to ``change`` a copy of another repository's file at ``path``.

    An LFS file stays an LFS file, without a copy of bytes; modes and symbolic links stay.

    Args:
        storage: The storage of content.
        actor: The caller, who reads the source.
        target: The repository that the change is for.
        change: The changeset.
        path: The new file in the target.
        source: The file to copy.

    Raises:
        RepoNotFound: the source does not exist, or the caller may not see it.
        RevisionNotFound, EntryNotFound: the source lacks the revision or the file.
        InvalidInput: the source is a folder of another repository.
        TooLarge, InvalidPath: see `Changeset.put`.
        Gated, Forbidden, RepoDisabled: those of ``open_repo`` with READ.
    """
    source_repo = await _source(storage.db, actor, source.repo)
    if source_repo.pk == target.pk:
        change.copy(path, source.path, source.revision)
        return
    git = await storage.open_git(source_repo)
    revision = await resolve_revision(storage, actor, source_repo, git, source.revision or "HEAD")
    await storage.fetch_missing_packs(source_repo, [revision.commit])
    entry = git.entry(revision.commit, source.path) if source.path else None
    if entry is None or entry.type == "commit":
        raise _no_source(source_repo, source.path)
    if entry.type == "tree":
        raise InvalidInput(
            reason=f"{source.path} is a folder: only files can be copied from another repository"
        )
    await _add_copy(storage, change, path, source_repo, entry)


async def _add_copy(
    storage: Storage, change: Changeset, path: str, source: Repo, entry: Entry
) -> None:
    mode = file_mode(entry.mode)
    facts = entry.repo.blob_facts(entry.oid)
    if facts.pointer is None or mode == LINK_MODE:
        limit = storage.settings.commits.max_regular_file_bytes
        content = await run_in_lane(Lane.READS, entry.repo.blob, entry.oid, limit)
        await change.put(path, content, mode=mode)
        return
    row = await blobs.linked(storage.db, source.pk, BlobKey(BlobKind.LFS, facts.pointer.oid))
    if row is None or not row.committed:
        raise _no_source(source, entry.path)
    change.put_pointer(path, facts.pointer.oid, row.bytes, mode=mode)


def _no_source(source: Repo, path: str) -> EntryNotFound:
    return EntryNotFound(reason=f"The file to copy does not exist in {source.full_name}: {path}")


async def _source(db: Reader, actor: Actor, named: RepoId) -> Repo:
    try:
        return await open_repo(db, actor, named, Right.READ)
    except RepoMoved as moved:  # as an answer it would redirect the client to the source
        return await open_repo(db, actor, moved.target, Right.READ)
    except RepoNotFound:
        raise RepoNotFound(reason=f"The repository to copy from does not exist: {named}") from None


async def _target(tx: Tx, actor: Actor, named: RepoId) -> Repo:
    try:
        return await open_repo(tx, actor, named, Right.WRITE, lock=True)
    except RepoMoved as moved:
        return await open_repo(tx, actor, moved.target, Right.WRITE, lock=True)
