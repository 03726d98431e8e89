"""Handles to everything that stores repository content: the database, git folders, blobs."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol
from weakref import WeakValueDictionary

from hubstead.admission import Lane, run_in_lane
from hubstead.blobs import (
    BlobKey,
    BlobKind,
    BlobStore,
    NodeCache,
    PackVerifier,
    StoredKey,
    mark_damaged,
    new_stored_name,
    open_stored,
)
from hubstead.commits.packs import list_packs
from hubstead.commits.reachability import ReachCache
from hubstead.commits.ref_updates import PullRefs
from hubstead.db import Database
from hubstead.errors import BlobCorrupt, BlobDamaged, BlobNotFound, StorageFull, Unavailable
from hubstead.gitstore import GitRepo, GitStore, LruCache, Pack
from hubstead.repos import Repo
from hubstead.settings import Settings
from hubstead.xet import XetStore

#: How many packs of one repository are fetched at the same time.
_FETCHES = 8
#: For how many repositories a node caches the number of fetched packs.
_REMEMBERED = 100_000


class PackedRepo(Protocol):
    """The facts that locate the objects of a repository; a `Repo` has them."""

    @property
    def pk(self) -> int:
        """The primary key of its row."""
        ...

    @property
    def id(self) -> str:
        """Its immutable id."""
        ...

    @property
    def packs(self) -> int:
        """How many packs were ever registered."""
        ...


class RepoLocks:
    """One lock per repository, so that writers of this process wait instead of racing."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, repo_id: str) -> asyncio.Lock:
        """Return the lock of the repository with this immutable id."""
        lock = self._locks.get(repo_id)
        if lock is None:
            lock = self._locks[repo_id] = asyncio.Lock()
        return lock


@dataclass
class Storage:
    """Handles to everything that stores content. Built once, in ``app.py``."""

    db: Database
    git: GitStore
    blobs: BlobStore
    settings: Settings
    #: The company shape: a pack is a blob as well, and this node's folder only a cache of them.
    packs_are_blobs: bool
    locks: RepoLocks = field(default_factory=RepoLocks)
    reach: ReachCache = field(default_factory=ReachCache)
    #: The rules of the refs of pull requests; None in programs that move none.
    pulls: PullRefs | None = None
    xet: XetStore = field(init=False)
    #: This node removed all packs retired before this time, where packs are blobs.
    retired_from_ms: int = 0
    _fetched: LruCache[str, int] = field(default_factory=lambda: LruCache(_REMEMBERED))

    def __post_init__(self) -> None:
        settings = self.settings
        cache = NodeCache(self.blobs, settings.data / "cache", settings.xet.node_cache_bytes)
        self.xet = XetStore(
            self.db,
            self.blobs,
            cache,
            settings.xet,
            settings.blobs,
            max_file_bytes=settings.lfs.max_file_bytes,
        )

    async def open_git(self, repo: PackedRepo) -> GitRepo:
        """Return the objects of a repository; fetch the packs that this node lacks.

        Raises:
            RepoMissing: the folder is gone, and packs are not blobs.
        """
        if self._lacks_packs(repo):
            async with self.locks.of(f"fetch {repo.id}"):
                if self._lacks_packs(repo):
                    await self._fetch_packs(repo)
        return self.git.open(repo.id)

    async def fetch_missing_packs(self, repo: Repo, commits: Iterable[str]) -> None:
        """Fetch packs that other nodes wrote after ``repo`` was read, if a commit is missing.

        Args:
            repo: The repository.
            commits: Targets of refs that were read after ``repo``.
        """
        if not self.packs_are_blobs:
            return
        git = self.git.open(repo.id)
        if not all(git.has(commit) for commit in commits):
            async with self.locks.of(f"fetch {repo.id}"):
                await self._fetch_packs(repo)

    def _lacks_packs(self, repo: PackedRepo) -> bool:
        if not self.packs_are_blobs:
            return False
        fetched = self._fetched.get(repo.id)
        return fetched is None or fetched < repo.packs or not self.git.exists(repo.id)

    async def _fetch_packs(self, repo: PackedRepo) -> None:
        if not self.git.exists(repo.id):
            await run_in_lane(Lane.WRITES, self.git.create, repo.id)
        missing = set[str]()
        while True:
            rows = await list_packs(self.db, repo.pk)
            here = set(self.git.pack_names(repo.id))
            lacking = {row.name: row.key for row in rows if row.name not in here}
            if lost := missing.intersection(lacking):
                raise BlobDamaged(blob=f"pack/{min(lost)}", fault="its bytes are missing")
            missing = await self._fetch_all(repo.id, lacking)
            if not missing:
                break
        self._fetched.put(repo.id, max(repo.packs, self._fetched.get(repo.id) or 0))

    def look_again(self, repo_id: str) -> None:
        """Compare the packs of a repository with their rows on its next use."""
        self._fetched.forget(repo_id)

    async def _fetch_all(self, repo_id: str, lacking: dict[str, StoredKey]) -> set[str]:
        """Fetch packs in parallel; return those without a blob: replaced since, or lost."""
        gone = set[str]()
        left = list(lacking.items())

        async def fetch() -> None:
            while left:
                name, place = left.pop()
                try:
                    await self._fetch_pack(repo_id, name, place)
                except BlobNotFound:
                    gone.add(name)

        await asyncio.gather(*(fetch() for _ in range(_FETCHES)))
        return gone

    async def _fetch_pack(self, repo_id: str, name: str, place: StoredKey) -> None:
        with TemporaryDirectory(prefix="hubstead-pack-") as folder:
            path = Path(folder) / f"{name}.pack"
            await self._download(name, place, path)
            try:
                await run_in_lane(Lane.TRANSFERS, self.git.install_pack, repo_id, name, path)
            except BlobCorrupt as error:
                key = BlobKey(BlobKind.PACK, name)
                await mark_damaged(self.db, key)
                raise BlobDamaged(blob=str(key), fault=error.message) from error

    async def _download(self, name: str, place: StoredKey, path: Path) -> None:
        source = await open_stored(self.blobs, name, place)
        with path.open("wb") as file:
            async for chunk in source.chunks():
                await run_in_lane(Lane.TRANSFERS, file.write, chunk)

    def check_room(self) -> None:
        """Refuse a write while the disk has too little free space.

        Raises:
            StorageFull: less than ``min_free_bytes`` is left.
            Unavailable: the folder is missing, perhaps because its disk is not mounted.
        """
        try:
            free = shutil.disk_usage(self.git.root).free
        except FileNotFoundError:
            raise Unavailable(reason="its folder of git repositories is missing") from None
        if free < self.settings.blobs.min_free_bytes:
            raise StorageFull()

    async def publish(self, pack: Pack) -> Pack:
        """Make a pack of this node durable for all nodes.

        Returns:
            The pack with its stored name, as `add_pack` requires.
        """
        key = BlobKey(BlobKind.PACK, pack.name)
        if not self.packs_are_blobs:
            return replace(pack, stored=key.name)
        place = await new_stored_name(self.db, key, self.settings.blobs)
        await self.blobs.put_file(place, pack.pack_path, PackVerifier(pack.name))
        return replace(pack, stored=place.name)
