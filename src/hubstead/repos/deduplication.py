"""What deduplication saves in a repository, as far as the one who asks may know."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from hubstead.accounts import Actor
from hubstead.db import Reader
from hubstead.repos.access import Repo, Right, try_open_repo_by_pk
from hubstead.xet.usage import usage_of

#: How many other repositories are asked for, for one answer; further ones do not count.
MOST_ASKED = 1000


class Sharing(msgspec.Struct, frozen=True):
    """Another repository that needs some of the same bytes."""

    repo: Repo
    bytes: int


class Deduplication(msgspec.Struct, frozen=True):
    """What the LFS and Xet files of a repository take, in bytes."""

    logical: int  # their sizes added up
    stored: int  # what is kept for them
    unique: int  # what none of the repositories that the caller may read needs as well
    shared: int  # the rest of ``stored``
    shared_with: tuple[Sharing, ...]  # the most first


async def measure_deduplication(db: Reader, actor: Actor, opened: Repo) -> Deduplication:
    """Return what the files of an opened repository take, and with whom they share it.

    Bytes that only repositories hidden from ``actor`` need as well count as unique: nobody learns
    from this what others have.
    """
    circle = _Visibility(db, actor)
    found = await usage_of(db, opened.pk, among=circle.among)
    shared = [Sharing(circle.opened[pk], size) for pk, size in found.shared_with.items()]
    shared.sort(key=lambda one: (-one.bytes, one.repo.pk))
    return Deduplication(found.logical, found.stored, found.unique, found.shared, tuple(shared))


@dataclass
class _Visibility:
    db: Reader
    actor: Actor
    opened: dict[int, Repo] = field(default_factory=dict)
    asked: int = 0

    async def among(self, pks: frozenset[int]) -> frozenset[int]:
        """Return those whose files the actor may read."""
        for pk in sorted(pks)[: MOST_ASKED - self.asked]:
            self.asked += 1
            opened = await try_open_repo_by_pk(self.db, self.actor, pk, Right.READ)
            if opened is not None:
                self.opened[pk] = opened
        return pks & self.opened.keys()
