"""Lists of a hub with many repositories: filtered by tag and sorted, and searched."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from urllib.parse import quote

from benchmarks import hub
from benchmarks.bench import Bench
from benchmarks.figures import Figure, Goal, percentile
from benchmarks.processes import Server, apart
from benchmarks.raw_client import Seen, drive, whole
from benchmarks.world import TAGS, World, make_world

CONNECTIONS = 2
_SORTS = ("downloads", "likes", "lastModified", "trendingScore", "createdAt")
_BELOW_MS = 50


def measure(bench: Bench) -> list[Figure]:
    """Measure p99 of lists by tag and sort, and of searches for common, rare and absent words."""
    world = make_world(bench.cache, bench.repositories)
    server = hub.start_hub(world.data)
    try:
        picked = random.Random(bench.repositories)
        size = f"{world.repositories:,} repositories"
        kinds = {
            f"tag filter and sort, {size}": _tagged(picked),
            f"search for a word, {size}": _searched(picked, world),
            f"first page by each sort, {size}": [
                f"/api/models?sort={sort}&limit=30" for sort in _SORTS
            ],
        }
        _check(server, world)
        return [_figure(bench, server, world, *kind) for kind in kinds.items()]
    finally:
        server.stop()


def _tagged(picked: random.Random) -> list[str]:
    """Return tags by their frequency: each rank of Zipf's law as often as the next."""
    return [
        f"/api/models?filter=tag-{int(TAGS ** picked.random()) - 1}"
        f"&sort={picked.choice(_SORTS)}&direction=-1&limit=30"
        for _ in range(300)
    ]


def _searched(picked: random.Random, world: World) -> list[str]:
    """Return whole words of names, their prefixes, and absent words."""
    names = [picked.choice(world.hot).partition("/")[2] for _ in range(300)]
    words = [name.split("-")[picked.randrange(2)] for name in names]
    cut = [
        word[:4] if n % 3 == 0 else f"{word}qx" if n % 10 == 1 else word
        for n, word in enumerate(words)
    ]
    return [f"/api/models?search={quote(word)}&sort=downloads&limit=30" for word in cut]


def _check(server: Server, world: World) -> None:
    """Check once that the lists are right."""
    _, body = whole(server.port, "/api/models?filter=tag-7&sort=downloads&limit=30", world.token)
    items = json.loads(body)
    downloads = [item["downloads"] for item in items]
    assert len(items) == 30, len(items)
    assert downloads == sorted(downloads, reverse=True), downloads
    name = world.hot[0].partition("/")[2]
    _, body = whole(server.port, f"/api/models?search={name}", world.token)
    assert [item["id"] for item in json.loads(body)] == [world.hot[0]], body


def _figure(bench: Bench, server: Server, world: World, name: str, targets: list[str]) -> Figure:
    figure = Figure(
        f"{name}: p99",
        "ms",
        Goal("value", _BELOW_MS, above=False),
        cpu_unit="µs/request",
        note=f"{CONNECTIONS} clients",
    )
    for number in range(bench.rounds + 1):
        before = server.cpu_s()
        seen = apart(_ask, server.port, targets, world.token)
        spent = server.cpu_s() - before
        if not number:
            continue  # the first one reads the file from the disk
        figure.our_cpu.append(spent / len(targets) * 1e6)
        figure.ours.append(percentile(seen.latencies_ms, 0.99))
    print(f"  {figure.name}: {figure.judged:.1f} ms", flush=True)
    return figure


def _ask(port: int, targets: list[str], token: str) -> Seen:
    shares = [_requests(targets[n::CONNECTIONS], token) for n in range(CONNECTIONS)]
    return drive(port, shares)


def _requests(targets: list[str], token: str) -> Iterator[tuple[bytes, bytes]]:
    for target in targets:
        head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
        yield head.encode(), b"HTTP/1.1 200 OK"
