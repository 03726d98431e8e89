"""What the wire says of a file: its size, its ids, whether it is an LFS file."""

from __future__ import annotations

from hubstead.gitstore import Entry, GitRepo, Pointer
from hubstead.wire.hub_api.shapes import LfsFacts


def pointer_of(git: GitRepo, entry: Entry) -> Pointer | None:
    """Return what the file points to, if it is an LFS pointer."""
    return git.blob_facts(entry.oid).pointer if entry.type == "blob" else None


def lfs_facts(git: GitRepo, entry: Entry) -> LfsFacts | None:
    """Return what tree items say of an LFS file; None for any other."""
    pointer = pointer_of(git, entry)
    return LfsFacts(pointer.oid, pointer.size, entry.size) if pointer else None
