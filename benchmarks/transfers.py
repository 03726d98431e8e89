"""Large files: downloads whole and by ranges, uploads with sha256, many slow readers."""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks import hub
from benchmarks.bench import GIB, Bench
from benchmarks.figures import Figure, Goal
from benchmarks.peers import SMALL, wrk
from benchmarks.processes import Server, apart
from benchmarks.raw_client import Api, api, get, put, slow_readers, whole

REPO = "admin/large"
RANGE = 16 << 20
SLOW = 400
_ON_TMPFS = "files on tmpfs, one client"


def measure(bench: Bench) -> list[Figure]:
    """Measure on tmpfs, so that the servers are compared and not a disk."""
    data = bench.memory / "hub"
    source = bench.memory / "source"
    _write_random(source)
    server = hub.start_hub(data)
    try:
        with bench.nginx() as nginx:
            call = api(server.port, hub.admin_token(data))
            hub.make_repo(call, "large")
            uploads = _uploads(bench, nginx, server, call, source)
            path = _commit_large(server, call, source)
            os.replace(source, bench.nginx_files / "large")
            return [
                *uploads,
                *_downloads(bench, nginx, server, path),
                *_slow(bench, nginx, server, path),
            ]
    finally:
        server.stop()


def _write_random(path: Path) -> None:
    block = os.urandom(1 << 24)
    with path.open("wb") as file:
        for _ in range(GIB // len(block)):
            file.write(block)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(path: Path, text: str) -> str:
    """Change the file; return its new sha256."""
    with path.open("r+b") as file:
        file.write(text.encode().ljust(32))
    return _sha256(path)


# -- uploads -----------------------------------------------------------------------------------


def _uploads(bench: Bench, nginx: Server, server: Server, call: Api, source: Path) -> list[Figure]:
    figure = Figure(
        "1 GiB LFS upload: batch and PUT with sha256",
        "MB/s",
        Goal("ratio", 0.75),
        "nginx DAV PUT as it comes, no hash",
        cpu_unit="s/GiB",
        note=_ON_TMPFS,
    )
    tuned = Figure(
        f"{figure.name}, the peer tuned",
        "MB/s",
        peer_name="nginx DAV PUT with buffers of 1 MiB, no hash",
        cpu_unit="s/GiB",
    )
    alone = Figure("sha256 alone of the same bytes, in memory", "MB/s")
    for number in range(bench.rounds + 1):
        oid = _stamp(source, f"round {number}")
        theirs = _timed(nginx, lambda: _put_nginx(bench, nginx, source, "files"))
        theirs_tuned = _timed(nginx, lambda: _put_nginx(bench, nginx, source, "tuned"))
        ours = _timed(server, partial(_put_lfs, bench, server, call, source, oid))
        started = time.perf_counter()
        _sha256(source)
        if number:  # the first round fills caches
            _add(figure, ours, theirs)
            _add(tuned, ours, theirs_tuned)
            alone.ours.append(GIB / 1e6 / (time.perf_counter() - started))
    _say(figure)
    return [figure, tuned, alone]


def _put_nginx(bench: Bench, nginx: Server, source: Path, prefix: str) -> float:
    seconds, head = apart(put, nginx.port, f"/{prefix}/upload", str(source), {})
    assert head.split()[1] in ("201", "204"), head
    target = bench.nginx_files / "upload"
    assert target.stat().st_size == GIB
    target.unlink()
    return seconds


def _put_lfs(bench: Bench, server: Server, call: Api, source: Path, oid: str) -> float:
    started = time.perf_counter()
    action = hub.upload_action(call, REPO, oid, GIB)
    batch_s = time.perf_counter() - started
    path = "/" + action["href"].split("/", 3)[3]
    headers = {str(name): str(value) for name, value in action.get("header", {}).items()}
    seconds, head = apart(put, server.port, path, str(source), headers)
    assert head.split()[1] == "200", head
    stored = bench.memory / "hub" / "blobs" / "lfs" / oid[:2] / oid[2:4] / oid
    assert stored.stat().st_size == GIB
    assert _sha256(stored) == oid
    stored.unlink()  # room for the next upload
    return seconds + batch_s


# -- downloads ---------------------------------------------------------------------------------


def _commit_large(server: Server, call: Api, source: Path) -> str:
    oid = _stamp(source, "to download")
    action = hub.upload_action(call, REPO, oid, GIB)
    put(server.port, "/" + action["href"].split("/", 3)[3], str(source), {})
    line = (
        '{"key":"header","value":{"summary":"Large"}}\n{"key":"lfsFile","value":'
        f'{{"path":"large.bin","algo":"sha256","oid":"{oid}","size":{GIB}}}}}\n'
    )
    hub.commit(call, REPO, line.encode())
    fetched = subprocess.run(
        ["curl", "-sf", f"{server.url}/{REPO}/resolve/main/large.bin"],
        stdout=subprocess.PIPE,
        check=True,
    )
    assert hashlib.sha256(fetched.stdout).hexdigest() == oid
    return f"/{REPO}/resolve/main/large.bin"


def _downloads(bench: Bench, nginx: Server, server: Server, path: str) -> list[Figure]:
    figures = []
    for name, goal, take in (
        ("1 GiB download", 0.95, _whole_file(discard=True)),
        ("1 GiB download, the client copies", None, _whole_file(discard=False)),
        ("1 GiB download by ranges of 16 MiB", 0.95, _ranges),
    ):
        figure = Figure(
            name,
            "MB/s",
            Goal("ratio", goal) if goal else None,
            "nginx sendfile",
            cpu_unit="s/GiB",
            note=_ON_TMPFS,
        )
        for number in range(bench.rounds + 1):
            theirs = _timed(nginx, partial(take, nginx, "/files/large"))
            ours = _timed(server, partial(take, server, path))
            if number:
                _add(figure, ours, theirs)
        _say(figure)
        figures.append(figure)
    return figures


def _whole_file(*, discard: bool) -> Callable[[Server, str], float]:
    def take(server: Server, path: str) -> float:
        seconds, size, head = apart(_get_whole, server.port, path, discard)
        assert (size, head.split()[1]) == (GIB, "200"), head
        assert "accept-ranges: bytes" in head, head
        return seconds

    return take


def _get_whole(port: int, path: str, discard: bool) -> tuple[float, int, str]:
    return get(port, path, {}, discard=discard)


def _ranges(server: Server, path: str) -> float:
    return apart(_get_ranges, server.port, path)


def _get_ranges(port: int, path: str) -> float:
    """Request one range after the other, each as a resuming client does: a new request."""
    total = 0.0
    for start in range(0, GIB, RANGE):
        headers = {"Range": f"bytes={start}-{start + RANGE - 1}"}
        seconds, size, head = get(port, path, headers, discard=True)
        assert (size, head.split()[1]) == (RANGE, "206"), head
        assert f"content-range: bytes {start}-{start + RANGE - 1}/{GIB}" in head, head
        total += seconds
    return total


# -- slow readers ------------------------------------------------------------------------------


def _peer_values(figure: Figure) -> list[float]:
    return figure.peer


def _our_values(figure: Figure) -> list[float]:
    return figure.ours


def _slow(bench: Bench, nginx: Server, server: Server, path: str) -> list[Figure]:
    name = f"{SLOW} slow downloads beside JSON requests"
    rss = Figure(f"{name}: resident memory", "MB", Goal("value", 100, above=False), "nginx")
    p99 = Figure(f"{name}: p99 of JSON", "ms", Goal("value", 10, above=False), "nginx")
    rate = Figure(f"{name}: JSON", "requests/s", None, "nginx")
    for _ in range(bench.rounds):
        for values, target, file, small in (
            (_peer_values, nginx, "/files/large", "/small"),
            (_our_values, server, path, "/healthz"),
        ):
            measured = _beside_slow(bench, target, file, small)
            for figure, value in zip((rss, p99, rate), measured, strict=True):
                values(figure).append(value)
    print(f"  {name}: {rss.judged:.0f} MB, p99 {p99.judged:.1f} ms", flush=True)
    return [rss, p99, rate]


def _beside_slow(bench: Bench, server: Server, file: str, small: str) -> tuple[float, float, float]:
    seconds = bench.seconds
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(apart, slow_readers, server.port, file, {}, SLOW, seconds + 3)
        time.sleep(1.5)
        head, body = whole(server.port, small)
        assert body == SMALL.encode()
        size = len(head) + len(body)
        load = wrk(server, [small], bench.disk, answer_bytes=size, connections=8, seconds=seconds)
        rss = server.rss_mb()
        assert reading.result() > SLOW * 100_000 * seconds, "the readers were starved"
    return rss, load.p99_ms, load.per_s


def _timed(server: Server, take: Callable[[], float]) -> tuple[float, float]:
    """Return MB/s and the server's CPU seconds."""
    before = server.cpu_s()
    seconds = take()
    return GIB / 1e6 / seconds, server.cpu_s() - before


def _add(figure: Figure, ours: tuple[float, float], theirs: tuple[float, float]) -> None:
    figure.ours.append(ours[0])
    figure.our_cpu.append(ours[1])
    figure.peer.append(theirs[0])
    figure.peer_cpu.append(theirs[1])


def _say(figure: Figure) -> None:
    print(f"  {figure.name}: {statistics.median(figure.ratios):.2f} of the peer", flush=True)
