"""libgit2's handles of repositories: how many are open, and how many packs they may hold open.

libgit2 maps the index of each pack it looks through and opens each pack it reads from, and lets go
of none before its handle is closed. So a handle is a thing to be closed: when packs were removed
or replaced, and when all handles together may hold too many. Whoever still reads over a handle
that was let go holds it, and with it its packs, to the end of the read.
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
    """What handles hold open at most; libgit2 opens a pack when it first looks into it."""

    repositories: int
    packs: int


@dataclass(slots=True)
class _Handle:
    git: pygit2.Repository
    folder: Path
    packs: set[str]  # file names of the indexes that were there at some time


class Handles:
    """Opens repositories, and closes the longest unused ones beyond a limit. Safe for threads.

    Args:
        repositories: The most handles.
        packs: The most packs of all handles; the handle used last stays whatever it has.
    """

    def __init__(self, *, repositories: int, packs: int) -> None:
        self._most = OpenCounts(repositories, packs)
        self._lock = threading.Lock()
        self._open: OrderedDict[str, _Handle] = OrderedDict()
        self._packs = 0

    def get(self, repo_id: str, path: Path) -> pygit2.Repository:
        """Return the handle of a repository, opened now if need be.

        Raises:
            RepoMissing: it is not there.
        """
        with self._lock:
            handle = self._open.get(repo_id)
            if handle is not None:
                self._open.move_to_end(repo_id)
                return handle.git
        opened = _open(repo_id, path)
        with self._lock:
            handle = self._open.get(repo_id)
            if handle is None:  # no other thread was faster
                handle = self._open[repo_id] = opened
                self._packs += len(opened.packs)
            closing = self._beyond_limits()
        del closing  # outside the lock: it unmaps
        return handle.git

    def let_go(self, repo_id: str, git: pygit2.Repository | None = None) -> None:
        """Close a repository's handle, if there is one (and it is this one): it knows old packs."""
        with self._lock:
            handle = self._open.get(repo_id)
            if handle is None or git not in (None, handle.git):
                return
            self._drop(repo_id)

    def grown(self, repo_id: str, pack: str) -> None:
        """Count a pack that was just added to a repository."""
        with self._lock:
            handle = self._open.get(repo_id)
            if handle is None:
                return
            self._count(handle, [f"pack-{pack}.idx"])
            closing = self._beyond_limits()
        del closing

    def refresh(self) -> None:
        """Let go of what lost packs to another process, and count those that others added."""
        with self._lock:
            handles = list(self._open.items())
        for repo_id, handle in handles:
            there = _indexes(handle.folder)
            if handle.packs - there:
                self.let_go(repo_id, handle.git)
                continue
            with self._lock:
                if self._open.get(repo_id) is handle:
                    self._count(handle, there)
                closing = self._beyond_limits()
            del closing

    def counts(self) -> OpenCounts:
        """Return how much is open."""
        with self._lock:
            return OpenCounts(len(self._open), self._packs)

    def _count(self, handle: _Handle, packs: Iterable[str]) -> None:
        before = len(handle.packs)
        handle.packs.update(packs)
        self._packs += len(handle.packs) - before

    def _beyond_limits(self) -> list[_Handle]:
        closing = []
        while len(self._open) > 1 and (
            len(self._open) > self._most.repositories or self._packs > self._most.packs
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
    # These refer back to the handle: with them only Python's collector of cycles would close it.
    for attribute in ("branches", "references", "remotes", "submodules"):
        vars(git).pop(attribute, None)
    return _Handle(git, folder, packs)


def _indexes(folder: Path) -> set[str]:
    try:
        return {name for name in os.listdir(folder) if name.endswith(".idx")}
    except FileNotFoundError:
        return set()
