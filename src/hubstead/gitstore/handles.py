"""A bounded cache of open libgit2 repositories.

libgit2 maps the index of every pack that it searches and opens every pack that it reads, and
closes none of them before the repository handle is closed. This module therefore closes a handle
when packs were removed or replaced, and when all handles together exceed the limits. A read that
still uses a closed handle keeps it, and its packs, alive until the read ends.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pygit2
from pygit2.enums import RepositoryOpenFlag

from hubstead.gitstore.errors import RepoMissing

_FLAGS = RepositoryOpenFlag.NO_SEARCH | RepositoryOpenFlag.BARE


class OpenCounts(NamedTuple):
    """Numbers of open repositories and of their packs; libgit2 opens a pack on first use."""

    repositories: int
    packs: int


@dataclass(slots=True)
class _Handle:
    git: pygit2.Repository
    folder: Path
    packs: set[str]  # file names of all indexes that libgit2 may have seen


class Handles:
    """Opens repositories and closes the least recently used beyond a limit. Thread-safe.

    Args:
        repositories: The maximum number of handles.
        packs: The maximum number of packs of all handles; the last used handle always stays.
    """

    def __init__(self, *, repositories: int, packs: int) -> None:
        self._limits = OpenCounts(repositories, packs)
        self._lock = threading.Lock()
        self._open: OrderedDict[str, _Handle] = OrderedDict()
        self._packs = 0

    def get(self, repo_id: str, path: Path) -> pygit2.Repository:
        """Return the handle of a repository; open it unless it is open.

        Raises:
            RepoMissing: the folder is not a repository.
        """
        with self._lock:
            handle = self._open.get(repo_id)
            if handle is not None:
                self._open.move_to_end(repo_id)
                return handle.git
        new = _open(repo_id, path)
        with self._lock:
            handle = self._open.get(repo_id)
            if handle is None:  # no other thread was faster
                handle = self._open[repo_id] = new
                self._packs += len(new.packs)
            closing = self._evict()
        del closing  # outside the lock: closing unmaps files
        return handle.git

    def close(self, repo_id: str, git: pygit2.Repository | None = None) -> None:
        """Close the handle of a repository; with ``git``, only if that is still the handle.

        Running reads continue over it; the next use opens another.
        """
        with self._lock:
            handle = self._open.get(repo_id)
            if handle is None or git not in (None, handle.git):
                return
            self._drop(repo_id)

    def add_pack(self, repo_id: str, pack: str) -> None:
        """Count a new pack of a repository."""
        with self._lock:
            handle = self._open.get(repo_id)
            if handle is None:
                return
            self._count(handle, [f"pack-{pack}.idx"])
            closing = self._evict()
        del closing

    def refresh(self) -> None:
        """Close handles whose packs another process removed; count packs that others added.

        Call it regularly, in a thread.
        """
        with self._lock:
            handles = list(self._open.items())
        for repo_id, handle in handles:
            indexes = _indexes(handle.folder)
            if handle.packs - indexes:
                self.close(repo_id, handle.git)
                continue
            with self._lock:
                if self._open.get(repo_id) is handle:
                    self._count(handle, indexes)
                closing = self._evict()
            del closing

    def counts(self) -> OpenCounts:
        """Return the numbers of open repositories and packs."""
        with self._lock:
            return OpenCounts(len(self._open), self._packs)

    def _count(self, handle: _Handle, packs: Iterable[str]) -> None:
        before = len(handle.packs)
        handle.packs.update(packs)
        self._packs += len(handle.packs) - before

    def _evict(self) -> list[_Handle]:
        closing = []
        while len(self._open) > 1 and (
            len(self._open) > self._limits.repositories or self._packs > self._limits.packs
        ):
            closing.append(self._drop(next(iter(self._open))))
        return closing

    def _drop(self, repo_id: str) -> _Handle:
        handle = self._open.pop(repo_id)
        self._packs -= len(handle.packs)
        return handle


def _open(repo_id: str, path: Path) -> _Handle:
    folder = path / "objects/pack"
    packs = _indexes(folder)
    try:
        git = pygit2.Repository(str(path), _FLAGS)
    except pygit2.GitError:
        raise RepoMissing(repo_id=repo_id) from None
    # These refer back to the handle; with them only the cyclic garbage collector would close it.
    for attribute in ("branches", "references", "remotes", "submodules"):
        vars(git).pop(attribute, None)
    return _Handle(git, folder, packs)


def _indexes(folder: Path) -> set[str]:
    try:
        return {name for name in os.listdir(folder) if name.endswith(".idx")}
    except FileNotFoundError:
        return set()
