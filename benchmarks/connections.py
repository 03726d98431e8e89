"""New connections of a busy server: when each gets its first answer, compared with nginx."""

from __future__ import annotations

import selectors
import socket
import time

from benchmarks import hub
from benchmarks.bench import Bench
from benchmarks.figures import Figure, Goal, percentile
from benchmarks.peers import SMALL
from benchmarks.processes import Server, apart

_PEER = "nginx `return 200`"
#: Connections that begin at once, and the bound of their slowest first answers (p99).
GOALS_MS = {200: 150, 1_000: 1_500}


def measure(bench: Bench) -> list[Figure]:
    """Open connections at once, each of which asks again as soon as it has an answer."""
    server = hub.start_hub(bench.disk / "hub")
    try:
        with bench.nginx() as nginx:
            return [
                figure
                for count, goal_ms in GOALS_MS.items()
                for figure in _rounds(bench, nginx, server, count, goal_ms)
            ]
    finally:
        server.stop()


def _rounds(
    bench: Bench, nginx: Server, server: Server, count: int, goal_ms: float
) -> list[Figure]:
    goal = Goal("value", goal_ms, above=False)
    first = Figure(f"first answer of {count:,} new connections: p99", "ms", goal, _PEER)
    without = Figure(
        f"of {count:,} new connections: without an answer within {bench.seconds:g} s",
        "connections",
        Goal("value", 1, above=False),
    )
    for _ in range(bench.rounds):
        first.peer.append(
            _slowest(apart(first_answers, nginx.port, "/small", count, bench.seconds))
        )
        answers = apart(first_answers, server.port, "/healthz", count, bench.seconds)
        first.ours.append(_slowest(answers))
        without.ours.append(count - len(answers))
    print(f"  {first.name}: {first.judged:.0f} ms", flush=True)
    return [first, without]


def _slowest(answers_ms: list[float]) -> float:
    return percentile(answers_ms, 99)


def first_answers(port: int, path: str, count: int, seconds: float) -> list[float]:
    """Keep ``count`` connections busy for some seconds.

    Returns:
        The milliseconds from the start to each connection's first answer, where one came.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    selector = selectors.DefaultSelector()
    started = time.perf_counter()
    for _ in range(count):
        opened = socket.create_connection(("127.0.0.1", port))
        opened.sendall(request)
        selector.register(opened, selectors.EVENT_READ, opened)
    answers: list[float] = []
    answered: set[socket.socket] = set()
    while time.perf_counter() < started + seconds:
        for key, _ in selector.select(1):
            sock: socket.socket = key.data
            assert SMALL.encode() in sock.recv(65_536), "a broken answer"
            if sock not in answered:
                answered.add(sock)
                answers.append((time.perf_counter() - started) * 1000)
            sock.sendall(request)
    for sock in answered:
        sock.close()
    return answers
