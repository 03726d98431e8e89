"""What is found: things that nothing needs, counted, with the reason and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import groupby

import msgspec


class GarbageKind(StrEnum):
    """What kind of thing it is."""

    LFS_LINK = "unreached LFS file"
    HOLD = "uncommitted upload"
    PARTS = "unfinished upload"
    FOLDER = "folder of a deleted repository"
    OBJECT = "unreached object of git"
    PACK = "folded pack of git"
    XET_FILE = "Xet file without an LFS file"
    XORB = "xorb"
    BLOB = "unlinked blob"
    PLAIN = "plain copy of a Xet file"
    STRAY = "bytes without a row"


class GarbageState(StrEnum):
    """What becomes of it."""

    NOW = "now"  # gc --delete takes it away
    LATER = "later"  # garbage, but something still protects it
    NEVER = "never"  # in use: told for comparison, or not looked into


class GarbageCount(msgspec.Struct, frozen=True):
    """Things of one kind that are treated alike, in one repository or in the hub."""

    what: GarbageKind
    when: GarbageState
    reason: str
    things: int
    bytes: int  # of the files meant; what becomes free is less where others share them
    repository: str | None = None  # models/acme/bert
    removed: int = 0  # how many things were taken away


def total_counts(heaps: Iterable[GarbageCount]) -> Iterator[GarbageCount]:
    """Add up the heaps of all repositories that agree in what, when and why."""

    def key(heap: GarbageCount) -> tuple[int, str, str]:
        return list(GarbageKind).index(heap.what), heap.when.value, heap.reason

    for _, alike in groupby(sorted(heaps, key=key), key):
        some = list(alike)
        yield GarbageCount(
            some[0].what,
            some[0].when,
            some[0].reason,
            sum(heap.things for heap in some),
            sum(heap.bytes for heap in some),
            None,
            sum(heap.removed for heap in some),
        )
