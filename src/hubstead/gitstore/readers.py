"""Counts the git programs that are reading a repository, with their start times.

A running program may still open any pack that existed at its start, so such packs must stay.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator


class Readers:
    """Counts running git programs by repository. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._started: dict[str, dict[int, float]] = {}

    def begin(self, repo_id: str) -> Callable[[], None]:
        """Count a program; return an idempotent callback for its end."""
        number = next(self._numbers)
        with self._lock:
            self._started.setdefault(repo_id, {})[number] = time.monotonic()

        def end() -> None:
            with self._lock:
                times = self._started.get(repo_id, {})
                times.pop(number, None)
                if not times:
                    self._started.pop(repo_id, None)

        return end

    @contextlib.contextmanager
    def track(self, repo_id: str) -> Iterator[None]:
        """Count a program while the block lasts."""
        end = self.begin(repo_id)
        try:
            yield
        finally:
            end()

    def oldest_s(self, repo_id: str) -> float | None:
        """Return the running time of the oldest program in seconds; None if none runs.

        Such a program may still open packs that existed at its start.
        """
        with self._lock:
            started = self._started.get(repo_id)
            return time.monotonic() - min(started.values()) if started else None

    def count(self) -> int:
        """Return the number of running programs."""
        with self._lock:
            return sum(len(times) for times in self._started.values())
