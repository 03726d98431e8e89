"""A git store whose repacks are overtaken by other writers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hubstead.commits import Storage
from hubstead.gitstore import GitProgram, GitStore, Pack, Repacker


class _OvertakenStore(GitStore):
    def __init__(self, root: Path, meanwhile: Callable[[], object]) -> None:
        super().__init__(root)
        self._meanwhile = meanwhile

    @contextmanager
    def repacker(self, repo_id: str) -> Iterator[Repacker]:
        with super().repacker(repo_id):
            yield _OvertakenRepacker(self.path(repo_id), self._meanwhile)


class _OvertakenRepacker(Repacker):
    def __init__(self, repo: Path, meanwhile: Callable[[], object]) -> None:
        super().__init__(GitProgram("git"), repo)
        self._meanwhile = meanwhile

    def combine_packs(self, names: Sequence[str]) -> Pack | None:
        pack = super().combine_packs(names)
        self._meanwhile()
        return pack

    def combine_reachable(self, projection: Path) -> Pack | None:
        pack = super().combine_reachable(projection)
        self._meanwhile()
        return pack


def overtaken(storage: Storage, meanwhile: Callable[[], object]) -> Storage:
    """Return a hub's storage for repacks that others overtake.

    Args:
        storage: The storage of the hub.
        meanwhile: Called, in the thread of a repack, when its pack is written and not registered.
    """
    return replace(storage, git=_OvertakenStore(storage.git.root, meanwhile))
