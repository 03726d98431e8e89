"""What the wire says of a file: its size, its ids, whether it is an LFS or a Xet file."""

from __future__ import annotations

from collections.abc import Iterable

from hubstead.gitstore import Entry, GitRepo, Pointer
from hubstead.repos import Right, allows
from hubstead.wire import Request
from hubstead.wire.hub_api.shapes import LfsFacts
from hubstead.xet import xet_hashes


def pointer_of(git: GitRepo, entry: Entry) -> Pointer | None:
    """Return what the file points to, if it is an LFS pointer."""
    return git.blob_facts(entry.oid).pointer if entry.type == "blob" else None


def lfs_facts(git: GitRepo, entry: Entry) -> LfsFacts | None:
    """Return what tree items say of an LFS file; None for any other."""
    pointer = pointer_of(git, entry)
    return LfsFacts(pointer.oid, pointer.size, entry.size) if pointer else None


async def readable_xet_hashes(request: Request, sha256s: Iterable[str]) -> dict[str, str]:
    """Return the Xet hash of those LFS files of the repository that are in the Xet store.

    None of them to callers who may see the repository but not read its files: who knows the hash
    of a file can ask for it.
    """
    names = list(dict.fromkeys(sha256s))
    if not allows(request.repo, request.actor, Right.READ):
        return {}
    return await xet_hashes(request.hub.db, request.repo.pk, names)
