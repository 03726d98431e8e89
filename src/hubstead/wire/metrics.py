"""Counting requests for ``/metrics``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from hubstead.wire.routing import Route

REGISTRY = CollectorRegistry()
#: Memory, open files and their limit, processor time.
ProcessCollector(registry=REGISTRY)
_SECONDS = Histogram(
    "hubstead_request_seconds",
    "Time from a request's headers to the end of its answer.",
    ["route"],
    registry=REGISTRY,
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30),
)
_REQUESTS = Counter(
    "hubstead_requests", "Requests answered.", ["route", "status"], registry=REGISTRY
)


class RequestMetrics:
    """Remembers label objects, which cost more to find than to use."""

    def __init__(self) -> None:
        self._seconds: dict[str, Histogram] = {}
        self._requests: dict[tuple[str, int], Counter] = {}

    def note(self, route: Route | None, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        name = route.name if route else f"{method if method in _KNOWN else 'OTHER'} unknown"
        if name not in self._seconds:
            self._seconds[name] = _SECONDS.labels(name)
        self._seconds[name].observe(seconds)
        key = (name, status)
        if key not in self._requests:
            self._requests[key] = _REQUESTS.labels(name, str(status))
        self._requests[key].inc()


_KNOWN = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


class _Gauges(Collector):
    """Counts that rooms keep, as they are now."""

    def __init__(self, counts: Mapping[str, tuple[str, float]]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield a gauge for each."""
        for name, (help_text, value) in self._counts.items():
            yield GaugeMetricFamily(f"hubstead_{name}", help_text, value)


def mappings() -> int:
    """Return how many mappings of memory this process has; the kernel limits them."""
    with open("/proc/self/maps", "rb") as file:
        return sum(1 for _ in file)


def exposition(counts: Mapping[str, tuple[str, float]]) -> bytes:
    """Return the metrics in Prometheus' text form.

    Args:
        counts: What rooms count, by name: its explanation and its value.
    """
    gauges = CollectorRegistry()
    gauges.register(_Gauges(counts))
    return generate_latest(REGISTRY) + generate_latest(gauges)
