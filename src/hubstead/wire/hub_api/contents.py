"""What the wire says of a file: its size, its ids, whether it is an LFS file."""

from __future__ import annotations

from hubstead.gitstore import Entry, GitRepo, Pointer, parse_pointer
from hubstead.wire.hub_api.shapes import LfsFacts

#: A pointer file is smaller than this (git-lfs ``docs/spec.md``); more need not be read.
MAX_POINTER_BYTES = 1024


def pointer_of(git: GitRepo, entry: Entry) -> Pointer | None:
    """Return what the file points to, if it is an LFS pointer."""
    if entry.type != "blob" or entry.size >= MAX_POINTER_BYTES:
        return None
    return parse_pointer(git.blob(entry.oid))


def lfs_facts(git: GitRepo, entry: Entry) -> LfsFacts | None:
    """Return what tree items say of an LFS file; None for any other."""
    pointer = pointer_of(git, entry)
    return LfsFacts(pointer.oid, pointer.size, entry.size) if pointer else None
