"""Which repositories programs of this process read just now, and since when.

Such a program finds packs by name as it goes: what it may still look for must not be removed.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator


class Readers:
    """Counts programs by the repository they read. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._began: dict[str, dict[int, float]] = {}

    def begin(self, repo_id: str) -> Callable[[], None]:
        """Count a program; call what is returned when it has ended, once or more often."""
        number = next(self._numbers)
        with self._lock:
            self._began.setdefault(repo_id, {})[number] = time.monotonic()

        def end() -> None:
            with self._lock:
                of_repo = self._began.get(repo_id, {})
                of_repo.pop(number, None)
                if not of_repo:
                    self._began.pop(repo_id, None)

        return end

    @contextlib.contextmanager
    def reading(self, repo_id: str) -> Iterator[None]:
        """Count a program while the block lasts."""
        end = self.begin(repo_id)
        try:
            yield
        finally:
            end()

    def longest_s(self, repo_id: str) -> float | None:
        """Return for how many seconds the oldest program has been reading; None if none is."""
        with self._lock:
            began = self._began.get(repo_id)
            return time.monotonic() - min(began.values()) if began else None

    def count(self) -> int:
        """Return how many programs read."""
        with self._lock:
            return sum(len(of_repo) for of_repo in self._began.values())
