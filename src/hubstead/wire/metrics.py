"""The metrics of requests: how many, how long, with which status."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from hubstead.metrics import Metrics
from hubstead.wire.routing import Route

_BUCKETS_S = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30)
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


class RequestMetrics:
    """Counts requests. Caches labelled children, which cost more to look up than to use."""

    def __init__(self, metrics: Metrics) -> None:
        self._histogram = metrics.histogram(
            "request_seconds",
            "Time from a request's headers to the end of its answer.",
            buckets=_BUCKETS_S,
            labels=["route"],
        )
        self._counter = metrics.counter("requests", "Requests answered.", ["route", "status"])
        self._seconds: dict[str, Histogram] = {}
        self._requests: dict[tuple[str, int], Counter] = {}

    def record(self, route: Route | None, method: str, status: int, seconds: float) -> None:
        """Count one request; one without a route counts under its method."""
        name = route.name if route else f"{method if method in _METHODS else 'OTHER'} unknown"
        if name not in self._seconds:
            self._seconds[name] = self._histogram.labels(name)
        self._seconds[name].observe(seconds)
        key = (name, status)
        if key not in self._requests:
            self._requests[key] = self._counter.labels(name, str(status))
        self._requests[key].inc()
