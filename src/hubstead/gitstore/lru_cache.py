"""A cache that forgets what was used longest ago, bounded by weight and safe for threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LruCache(Generic[K, V]):
    """Keeps values until their weights sum to more than ``limit``.

    A value heavier than half the limit is not kept at all: it would push out everything else.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._weight = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Return the value of ``key`` if it is still kept."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: K, value: V, weight: int = 1) -> None:
        """Keep ``value``, forgetting the longest unused ones when there are too many."""
        if weight * 2 > self._limit and weight > 1:
            return
        with self._lock:
            self._drop(key)
            self._kept[key] = (value, weight)
            self._weight += weight
            while self._weight > self._limit:
                self._drop(next(iter(self._kept)))

    def forget(self, key: K) -> None:
        """Drop the value of one key."""
        with self._lock:
            self._drop(key)

    def forget_where(self, condition: Callable[[K], bool]) -> None:
        """Drop all values whose key fulfils the condition."""
        with self._lock:
            for key in [key for key in self._kept if condition(key)]:
                self._drop(key)

    def _drop(self, key: K) -> None:
        gone = self._kept.pop(key, None)
        if gone is not None:
            self._weight -= gone[1]
