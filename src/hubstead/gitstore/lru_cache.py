"""A thread-safe least-recently-used cache, bounded by weight."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LruCache(Generic[K, V]):
    """Evicts the least recently used values while the weights sum to more than ``limit``.

    A value heavier than half the limit is not cached: it would evict nearly all others.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._weight = 0
        self._lock = threading.Lock()
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Return the value of ``key`` if it is cached."""
        with self._lock:
            cached = self._values.get(key)
            if cached is None:
                return None
            self._values.move_to_end(key)
            return cached[0]

    def put(self, key: K, value: V, weight: int = 1) -> None:
        """Cache ``value``; evict the least recently used values beyond the limit."""
        if weight * 2 > self._limit and weight > 1:
            return
        with self._lock:
            self._drop(key)
            self._values[key] = (value, weight)
            self._weight += weight
            while self._weight > self._limit:
                self._drop(next(iter(self._values)))

    def forget(self, key: K) -> None:
        """Drop the value of one key."""
        with self._lock:
            self._drop(key)

    def forget_where(self, condition: Callable[[K], bool]) -> None:
        """Drop the values of all keys that fulfil the condition."""
        with self._lock:
            for key in [key for key in self._values if condition(key)]:
                self._drop(key)

    def _drop(self, key: K) -> None:
        cached = self._values.pop(key, None)
        if cached is not None:
            self._weight -= cached[1]
