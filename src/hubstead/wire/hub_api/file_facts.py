"""Facts about a file for answers: its LFS pointer, and its Xet hash if the caller may read it."""

from __future__ import annotations

from collections.abc import Iterable

from hubstead.gitstore import Entry, GitRepo, Pointer
from hubstead.repos import Right, allows
from hubstead.wire import Request
from hubstead.wire.hub_api.shapes import LfsFacts
from hubstead.xet import xet_hashes


def pointer_of(git: GitRepo, entry: Entry) -> Pointer | None:
    """Return the LFS pointer in the file, None if it is no pointer."""
    return git.blob_facts(entry.oid).pointer if entry.type == "blob" else None


def lfs_facts(git: GitRepo, entry: Entry) -> LfsFacts | None:
    """Return the LFS facts of a file for tree items, None if it is no LFS file."""
    pointer = pointer_of(git, entry)
    return LfsFacts(pointer.oid, pointer.size, entry.size) if pointer else None


async def readable_xet_hashes(request: Request, sha256s: Iterable[str]) -> dict[str, str]:
    """Return the Xet hash of those LFS files of the repository that are in the Xet store.

    Return none to a caller who may see the repository but not read its files, because the hash of
    a file is enough to request it from the store.
    """
    names = list(dict.fromkeys(sha256s))
    if not allows(request.repo, request.actor, Right.READ):
        return {}
    return await xet_hashes(request.hub.db, request.repo.pk, names)
