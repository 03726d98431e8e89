"""Durable commits over the API, on a real disk: one file per commit, and a thousand."""

from __future__ import annotations

import os
import time

from benchmarks import hub
from benchmarks.bench import Bench
from benchmarks.figures import Figure, Goal, percentile
from benchmarks.processes import Server, apart
from benchmarks.raw_client import Api, api, posts

CLIENTS = 8
EACH = 150
FILES = 1_000
_MADE = b"HTTP/1.1 200"


def measure(bench: Bench) -> list[Figure]:
    """Measure commits of one file by 8 clients and by one, of 1,000 files, and the disk itself."""
    data = bench.disk / "hub"
    server = hub.start_hub(data)
    try:
        token = hub.admin_token(data)
        call = api(server.port, token)
        return [
            _disk(bench),
            *_small(bench, server, call, token, CLIENTS, apart_repos=True, goal=400),
            *_small(bench, server, call, token, CLIENTS, apart_repos=False, goal=None),
            *_small(bench, server, call, token, 1, apart_repos=True, goal=None),
            _thousand(bench, call),
        ]
    finally:
        server.stop()


def _disk(bench: Bench) -> Figure:
    """The rate of 4 KiB writes with fdatasync: the upper bound of every figure below."""
    figure = Figure("append 4 KiB and fdatasync, by itself", "per s")
    block = os.urandom(4096)
    for _ in range(bench.rounds):
        with (bench.disk / "appended").open("wb", buffering=0) as file:
            started, count = time.perf_counter(), 0
            while time.perf_counter() - started < 1:
                file.write(block)
                os.fdatasync(file.fileno())
                count += 1
            figure.ours.append(count / (time.perf_counter() - started))
    return figure


def _small(
    bench: Bench,
    server: Server,
    call: Api,
    token: str,
    clients: int,
    *,
    apart_repos: bool,
    goal: float | None,
) -> list[Figure]:
    where = "a repository each" if apart_repos else "all to one repository"
    name = f"commits of one file, {clients} client{'s' * (clients > 1)}"
    name += f", {where}" if clients > 1 else ""
    rate = Figure(name, "per s", Goal("value", goal) if goal else None, cpu_unit="µs/commit")
    rate.note = "on disk, durable"
    slow = Figure(f"{name}: p99", "ms")
    for number in range(bench.rounds):
        prefix = f"c{clients}-{int(apart_repos)}-{number}"
        repos = [f"{prefix}-{n}" for n in range(clients if apart_repos else 1)]
        for repo in repos:
            hub.make_repo(call, repo)
            hub.commit(call, f"admin/{repo}", hub.commit_body(hub.model_files()))
        work = [_work(f"admin/{repos[n % len(repos)]}", n) for n in range(clients)]
        before = server.cpu_s()
        seen = apart(posts, server.port, work, token)
        rate.our_cpu.append((server.cpu_s() - before) / len(seen.latencies_ms) * 1e6)
        rate.ours.append(seen.per_s)
        slow.ours.append(percentile(seen.latencies_ms, 0.99))
        _check(call, repos, clients)
    print(f"  {name}: {rate.judged:.0f} per s", flush=True)
    return [rate, slow]


def _work(repo: str, client: int) -> list[tuple[str, bytes, str, bytes]]:
    path = f"/api/models/{repo}/commit/main"
    bodies = (
        hub.commit_body({f"notes/{client}-{n % 40}.txt": b"%d %d" % (client, n)}, None, f"Note {n}")
        for n in range(EACH)
    )
    return [(path, body, hub.NDJSON, _MADE) for body in bodies]


def _check(call: Api, repos: list[str], clients: int) -> None:
    """Check that every commit is in the history, and the last content of each file in the tree."""
    per_repo = EACH * clients // len(repos)
    last = max(n for n in range(EACH) if n % 40 == 7)
    for repo in repos:
        page = call("GET", f"/api/models/admin/{repo}/commits/main?limit=1000")
        assert len(page) == min(1000, per_repo + 2), (len(page), per_repo)
    for client in range(clients):
        repo = repos[client % len(repos)]
        text = call("GET", f"/admin/{repo}/resolve/main/notes/{client}-7.txt")
        assert text == b"%d %d" % (client, last), text


def _thousand(bench: Bench, call: Api) -> Figure:
    figure = Figure(
        f"commit of {FILES:,} small files",
        "ms",
        Goal("value", 60, above=False),
        note="on disk, durable; one request of 1,000 files of 400 B in 20 folders",
    )
    hub.make_repo(call, "thousand")
    for number in range(bench.rounds + 1):
        files = {
            f"f{number}/{n % 20}/{n}.txt": os.urandom(200).hex().encode() for n in range(FILES)
        }
        body = hub.commit_body(files)
        started = time.perf_counter()
        hub.commit(call, "admin/thousand", body)
        if number:
            figure.ours.append((time.perf_counter() - started) * 1000)
        path, content = next(iter(files.items()))
        assert call("GET", f"/admin/thousand/resolve/main/{path}") == content
    print(f"  {figure.name}: {figure.judged:.0f} ms", flush=True)
    return figure
