"""Counts of garbage, with the reason and the state of what is counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import groupby

import msgspec

from hubstead.repos import Repo


class GarbageKind(StrEnum):
    """A kind of garbage; the values are the words of ``hubstead gc``."""

    LFS_LINK = "unreferenced LFS file"
    HOLD = "uncommitted upload"
    PARTS = "unfinished upload"
    FOLDER = "folder of a deleted repository"
    OBJECT = "unreachable git object"
    PACK = "repacked git pack"
    XET_FILE = "Xet file without an LFS file"
    XORB = "xorb"
    BLOB = "unlinked blob"
    PLAIN = "plain copy of a Xet file"
    ORPHAN = "bytes without a row"


class GarbageState(StrEnum):
    """When ``hubstead gc --delete`` deletes it."""

    NOW = "now"  # on the next run
    LATER = "later"  # garbage, but still protected: by a grace period, a hold or an epoch
    NEVER = "never"  # in use, listed for comparison; or could not be examined


class GarbageCount(msgspec.Struct, frozen=True):
    """A number of objects of one kind, state and reason, in one repository or in the hub."""

    what: GarbageKind
    when: GarbageState
    reason: str
    things: int
    bytes: int  # the size of the files; deletion frees less where others share their bytes
    repository: str | None = None  # models/acme/bert
    removed: int = 0  # how many objects were deleted


def repo_name(repo: Repo) -> str:
    """Return the name of a repository in counts: ``models/acme/bert``."""
    return f"{repo.kind.plural}/{repo.full_name}"


def total_counts(counts: Iterable[GarbageCount]) -> Iterator[GarbageCount]:
    """Yield the sums over all repositories, by kind, state and reason."""

    def key(count: GarbageCount) -> tuple[int, str, str]:
        return list(GarbageKind).index(count.what), count.when.value, count.reason

    for _, group in groupby(sorted(counts, key=key), key):
        parts = list(group)
        yield msgspec.structs.replace(
            parts[0],
            things=sum(count.things for count in parts),
            bytes=sum(count.bytes for count in parts),
            repository=None,
            removed=sum(count.removed for count in parts),
        )
