"""How much deduplication saves in a repository, as far as the caller may know."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from hubstead.accounts import Actor
from hubstead.db import Reader
from hubstead.repos.access import Repo, Right, try_open_repo_by_pk
from hubstead.xet import usage_of

#: The most other repositories whose visibility is checked per report; further ones do not count.
MAX_CHECKED = 1000


class Sharing(msgspec.Struct, frozen=True):
    """Another repository that uses some of the same bytes."""

    repo: Repo
    bytes: int


class Deduplication(msgspec.Struct, frozen=True):
    """The storage of a repository's LFS and Xet files, in bytes."""

    logical: int  # the sum of their sizes
    stored: int  # on disk or in S3
    unique: int  # used by no other repository that the caller may read
    shared: int  # the rest of ``stored``
    shared_with: tuple[Sharing, ...]  # largest first


async def measure_deduplication(db: Reader, actor: Actor, repo: Repo) -> Deduplication:
    """Return the storage of a repository's files, and the repositories that share it.

    Bytes shared only with repositories that ``actor`` may not read count as unique, so the report
    reveals nothing about those.
    """
    visibility = _Visibility(db, actor)
    usage = await usage_of(db, repo.pk, among=visibility.among)
    shared = [Sharing(visibility.repos[pk], size) for pk, size in usage.shared_with.items()]
    shared.sort(key=lambda sharing: (-sharing.bytes, sharing.repo.pk))
    return Deduplication(usage.logical, usage.stored, usage.unique, usage.shared, tuple(shared))


@dataclass
class _Visibility:
    db: Reader
    actor: Actor
    repos: dict[int, Repo] = field(default_factory=dict)
    checked: int = 0

    async def among(self, pks: frozenset[int]) -> frozenset[int]:
        """Return the numbers of those repositories whose files the actor may read."""
        for pk in sorted(pks)[: MAX_CHECKED - self.checked]:
            self.checked += 1
            repo = await try_open_repo_by_pk(self.db, self.actor, pk, Right.READ)
            if repo is not None:
                self.repos[pk] = repo
        return pks & self.repos.keys()
