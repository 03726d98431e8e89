"""Metrics of one process, for Prometheus: rooms declare theirs here, ``/metrics`` prints them.

``app.py`` builds the registry and hands it to the rooms; nothing is registered at import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

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

    def total(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Declare a counter whose value the room keeps: every exposition calls ``read``."""
        family = CounterMetricFamily(_PREFIX + name, help_text, labels=())
        self._registry.register(_Numbers(family, lambda: {"": read()}))

    def numbers(
        self,
        name: str,
        help_text: str,
        read: Callable[[], Mapping[str, float]],
        *,
        label: str,
        counts: bool = False,
    ) -> None:
        """Declare one number for each value of a label, kept by the room: gauges, or counters.

        Args:
            name, help_text: Of the metric.
            read: Returns the numbers by value of the label; every exposition calls it.
            label: The name of the label.
            counts: Whether the numbers only grow.
        """
        cls = CounterMetricFamily if counts else GaugeMetricFamily
        self._registry.register(_Numbers(cls(_PREFIX + name, help_text, labels=(label,)), read))

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text form (``MEDIA_TYPE``); call in a thread."""
        return generate_latest(self._registry)


class _Numbers:
    """A collector of numbers that a room keeps."""

    def __init__(
        self,
        family: CounterMetricFamily | GaugeMetricFamily,
        read: Callable[[], Mapping[str, float]],
    ) -> None:
        self._family = family
        self._read = read

    def describe(self) -> Iterator[Metric]:
        """Yield the metric without values, for the registry's check of names."""
        yield self._family

    def collect(self) -> Iterator[Metric]:
        """Yield the metric with its current values."""
        self._family.samples.clear()
        for value, number in self._read().items():
            self._family.add_metric([value] if value else [], number)
        yield self._family


def _count_mappings() -> int:
    # The kernel limits them (vm.max_map_count).
    with open("/proc/self/maps", "rb") as file:
        return sum(1 for _ in file)
