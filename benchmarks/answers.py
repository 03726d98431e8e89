"""Small responses: health, HEAD of a file, model info; compared with nginx's smallest response."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import hub
from benchmarks.bench import Bench
from benchmarks.figures import Figure, Goal, percentile
from benchmarks.peers import SMALL, wrk
from benchmarks.processes import Server, apart
from benchmarks.raw_client import heads, whole
from benchmarks.world import WEIGHTS, World, make_world

CONNECTIONS = 16
#: The number of repositories requested in turn: fewer than stay open, and far more.
HOT, COLD = 200, 1_500
_PEER = "nginx `return 200`"


@dataclass(frozen=True)
class _Rate:
    per_s: float
    cpu_us: float
    p99_ms: float


def measure(bench: Bench) -> list[Figure]:
    """Measure health, then HEAD and info in a hub of many repositories."""
    world = make_world(bench.cache, bench.repositories)
    server = hub.start_hub(world.data)
    try:
        with bench.nginx() as nginx:
            return [
                *_beside(bench, nginx, "small JSON (`/healthz`)", 0.15, _health(bench, server)),
                *_heads(bench, nginx, server, world),
                *_infos(bench, nginx, server, world),
            ]
    finally:
        server.stop()


def _heads(bench: Bench, nginx: Server, server: Server, world: World) -> list[Figure]:
    size = f"{world.repositories:,} repositories"
    figures: list[Figure] = []
    for what, name, count, goal in (
        ("a small file", "config.json", HOT, 0.05),
        ("an LFS file", "model.safetensors", HOT, 0.05),
        (f"a small file, {COLD:,} repositories in turn", "config.json", COLD, None),
    ):
        sample = _head(bench, server, world, name, world.hot[:count])
        figures += _beside(
            bench, nginx, f"resolve HEAD of {what}, {size}", goal, sample, p99_below=5
        )
    return figures


def _infos(bench: Bench, nginx: Server, server: Server, world: World) -> list[Figure]:
    size = f"{world.repositories:,} repositories"
    sample = _info(bench, server, world)
    return _beside(bench, nginx, f"model info with tags and siblings, {size}", 0.03, sample)


def _beside(
    bench: Bench,
    nginx: Server,
    name: str,
    ratio: float | None,
    sample: Callable[[], _Rate],
    *,
    p99_below: float | None = None,
) -> list[Figure]:
    goal = Goal("ratio", ratio) if ratio else None
    rate = Figure(name, "requests/s", goal, _PEER, cpu_unit="µs/request")
    slow = Figure(f"{name}: p99", "ms")
    if ratio and p99_below:
        slow.goal = Goal("value", p99_below, above=False)
    sample()  # fills caches; not counted
    for _ in range(bench.rounds):
        theirs, ours = _nginx(bench, nginx), sample()
        rate.peer.append(theirs.per_s)
        rate.peer_cpu.append(theirs.cpu_us)
        rate.ours.append(ours.per_s)
        rate.our_cpu.append(ours.cpu_us)
        slow.ours.append(ours.p99_ms)
    print(f"  {name}: {statistics.median(rate.ratios):.3f} of the peer", flush=True)
    return [rate, slow]


def _nginx(bench: Bench, nginx: Server) -> _Rate:
    head, body = whole(nginx.port, "/small")
    assert body == SMALL.encode(), body
    load = wrk(
        nginx,
        ["/small"],
        bench.disk,
        answer_bytes=len(head) + len(body),
        connections=CONNECTIONS,
        seconds=bench.seconds,
    )
    return _Rate(load.per_s, load.cpu_us, load.p99_ms)


def _health(bench: Bench, server: Server) -> Callable[[], _Rate]:
    def sample() -> _Rate:
        head, body = whole(server.port, "/healthz")
        assert body == SMALL.encode(), body
        assert "x-request-id" in head, head
        return _wrk(bench, server, ["/healthz"], None)

    return sample


def _wrk(bench: Bench, server: Server, targets: list[str], token: str | None) -> _Rate:
    responses = [whole(server.port, target, token) for target in targets]
    size = int(statistics.mean(len(head) + len(body) for head, body in responses))
    load = wrk(
        server,
        targets,
        bench.disk,
        answer_bytes=size,
        token=token,
        connections=CONNECTIONS,
        seconds=bench.seconds,
    )
    return _Rate(load.per_s, load.cpu_us, load.p99_ms)


def _head(
    bench: Bench, server: Server, world: World, file: str, names: list[str]
) -> Callable[[], _Rate]:
    size = len(WEIGHTS) if file == "model.safetensors" else len(hub.model_files()[file])
    targets = [(f"/{name}/resolve/main/{file}", b"content-length: %d\r\n" % size) for name in names]

    def sample() -> _Rate:
        before = server.cpu_s()
        seen = apart(heads, server.port, targets, world.token, CONNECTIONS, bench.seconds)
        spent = server.cpu_s() - before
        count = len(seen.latencies_ms)
        return _Rate(seen.per_s, spent / count * 1e6, percentile(seen.latencies_ms, 0.99))

    return sample


def _info(bench: Bench, server: Server, world: World) -> Callable[[], _Rate]:
    targets = [f"/api/models/{name}" for name in world.hot[:HOT]]

    def sample() -> _Rate:
        for name, target in zip(world.hot[:3], targets, strict=False):
            _, body = whole(server.port, target, world.token)
            info = json.loads(body)
            files = {file["rfilename"] for file in info["siblings"]}
            assert info["id"] == name, info
            assert {"config.json", "model.safetensors"} <= files, info
            assert "license:apache-2.0" in info["tags"], info
        return _wrk(bench, server, targets, world.token)

    return sample
