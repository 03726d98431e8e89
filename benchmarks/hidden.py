"""Whether the time of a refusal discloses that a hidden repository exists."""

from __future__ import annotations

import http.client
import statistics
import time

from benchmarks import hub
from benchmarks.bench import Bench
from benchmarks.figures import Figure, Goal
from benchmarks.processes import Server
from benchmarks.raw_client import api

PAIRS = 10_000
#: Microseconds: the largest allowed difference of the medians of both refusals.
MOST_US = 2.0
#: Names of one length: hidden, and absent.
HIDDEN, ABSENT = "admin/bert-hush", "admin/bert-none"


def measure(bench: Bench) -> list[Figure]:
    """Request a hidden and an absent repository in turn, on one connection."""
    data = bench.disk / "hidden"
    server = hub.start_hub(data)
    try:
        hub.make_repo(
            api(server.port, hub.admin_token(data)), HIDDEN.partition("/")[2], private=True
        )
        return [
            _figure(bench, server, "API", "/api/models/{}"),
            _figure(bench, server, "HEAD of a file", "/{}/resolve/main/a", "HEAD"),
        ]
    finally:
        server.stop()


def _figure(bench: Bench, server: Server, what: str, pattern: str, method: str = "GET") -> Figure:
    goal = Goal("value", MOST_US, above=False)
    figure = Figure(f"hidden against absent repository, {what}: difference of medians", "µs", goal)
    paths = [pattern.format(name) for name in (HIDDEN, ABSENT)]
    for _ in range(bench.rounds):
        figure.ours.append(_difference_us(server.port, method, paths))
    return figure


def _difference_us(port: int, method: str, paths: list[str]) -> float:
    """Return by how much the medians of ``PAIRS`` requests for each path differ."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    took: dict[str, list[float]] = {path: [] for path in paths}
    for number in range(PAIRS + 500):
        for path in paths if number % 2 else reversed(paths):
            started = time.perf_counter_ns()
            connection.request(method, path)
            connection.getresponse().read()
            if number >= 500:  # the first ones warm caches
                took[path].append((time.perf_counter_ns() - started) / 1000)
    connection.close()
    hidden, absent = (statistics.median(took[path]) for path in paths)
    return abs(hidden - absent)
