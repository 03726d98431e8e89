"""Metrics of one process, for Prometheus: rooms declare theirs here, ``/metrics`` prints them.

``app.py`` builds the registry and hands it to the rooms; nothing is registered at import.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

_PREFIX = "hubstead_"
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The metrics of one process. Every name that a room declares gets the prefix ``hubstead_``.

    Memory, open files and their limit, processor time and memory mappings are always there.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.gauge("mappings", "Mappings of memory of this process.", _count_mappings)

    def counter(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Counter:
        """Declare a counter. Prometheus' own ``_total`` is appended to its name."""
        return Counter(_PREFIX + name, help_text, labels, registry=self._registry)

    def histogram(
        self, name: str, help_text: str, *, buckets: Sequence[float], labels: Sequence[str] = ()
    ) -> Histogram:
        """Declare a histogram with these upper bounds of its buckets."""
        return Histogram(
            _PREFIX + name, help_text, labels, buckets=buckets, registry=self._registry
        )

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Declare a gauge. Every exposition calls ``read``, in a thread."""
        Gauge(_PREFIX + name, help_text, registry=self._registry).set_function(read)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text form (``MEDIA_TYPE``); call in a thread."""
        return generate_latest(self._registry)


def _count_mappings() -> int:
    # The kernel limits them (vm.max_map_count).
    with open("/proc/self/maps", "rb") as file:
        return sum(1 for _ in file)
