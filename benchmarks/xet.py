"""Xet with the real client, compared with a store without checks on the same HTTP server.

A round uses a fresh store of the peer and then of the hub, with the same files: first an
upload, then a download, by clients with empty caches. Everything is on tmpfs.
"""

from __future__ import annotations

import filecmp
import hashlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import hub
from benchmarks.bench import GIB, Bench
from benchmarks.figures import Figure, Goal
from benchmarks.processes import Server, apart, free_port
from benchmarks.raw_client import Api, api, get
from benchmarks.weights import fine_tune, write_model, write_random
from benchmarks.xet_client import Cas, Sent, counted, download, upload
from hubstead.xet import XorbParser, chunk_hash, decode_records, merkle_root, to_text

_PEER = "a store that checks nothing"
_UP = Goal("ratio", 1.25, above=False)
_DOWN = Goal("ratio", 1.1, above=False)
_MODEL_BYTES = 500_000_000
_FILES = 10_000
_FILE_BYTES = 100 * 1024
_CLIENTS = 4
_TUNED = 0.05


def measure(bench: Bench) -> list[Figure]:
    """Measure uploads and downloads of four kinds, then their cost in bytes and memory."""
    source = bench.memory / "source"
    source.mkdir()
    figures = [
        *_big(bench, source),
        *_model(bench, source),
        *_many(bench, source),
        *_parallel(bench, source),
    ]
    shutil.rmtree(source)
    return figures


# -- the two stores ----------------------------------------------------------------------------


@dataclass
class _Store:
    """A running, empty store, with one repository."""

    server: Server
    cas: Cas
    folder: Path
    call: Api | None = None  # the hub's

    def timed_upload(self, paths: Sequence[Path]) -> tuple[float, float, Sent]:
        """Return seconds, CPU seconds of the server, and names of files."""
        before = self.server.cpu_s()
        seconds, sent = upload(self.cas, paths)
        return seconds, self.server.cpu_s() - before, sent

    def timed_download(self, sent: Sent, paths: Sequence[Path]) -> tuple[float, float]:
        """Download files and compare them with the originals; return seconds and CPU seconds."""
        target = self.folder.with_name("got")
        targets = [target / str(at) for at in range(len(paths))]
        target.mkdir()
        before = self.server.cpu_s()
        seconds = download(self.cas, sent, targets)
        spent = self.server.cpu_s() - before
        for downloaded, path in zip(targets, paths, strict=True):
            if not filecmp.cmp(downloaded, path, shallow=False):
                raise SystemExit(f"{path.name} came back as something else")
        shutil.rmtree(target)
        return seconds, spent


@contextmanager
def _peer(bench: Bench) -> Iterator[_Store]:
    port, folder = free_port(), bench.memory / "peer"
    command = [sys.executable, "-m", "benchmarks.unchecked", str(port), str(folder)]
    server = Server(command, port, bench.disk / "peer.log")
    server.wait()
    try:
        yield _Store(server, Cas(f"{server.url}/cas", "none"), folder)
    finally:
        server.stop()
        shutil.rmtree(folder)


@contextmanager
def _hub(bench: Bench) -> Iterator[_Store]:
    folder = bench.memory / "hub"
    server = hub.start_hub(folder)
    try:
        call = api(server.port, hub.admin_token(folder))
        hub.make_repo(call, "xet")
        yield _Store(server, _cas(call, "admin/xet"), folder, call)
    finally:
        server.stop()
        shutil.rmtree(folder)


def _cas(call: Api, repo: str) -> Cas:
    access = call("GET", f"/api/models/{repo}/xet-write-token/main")
    return Cas(access["casUrl"], access["accessToken"])


# -- figures of both ---------------------------------------------------------------------------


class _Pair:
    """The figures of an upload and a download of the same files."""

    def __init__(self, name: str, size: int) -> None:
        self.size = size
        self.up = Figure(f"Xet upload of {name}", "s", _UP, _PEER, cpu_unit="s/GB")
        self.down = Figure(f"Xet download of {name}", "s", _DOWN, _PEER, cpu_unit="s/GB")

    def both_ways(self, store: _Store, paths: Sequence[Path]) -> Sent:
        seconds, spent, sent = store.timed_upload(paths)
        self._add(self.up, store, seconds, spent)
        seconds, spent = store.timed_download(sent, paths)
        self._add(self.down, store, seconds, spent)
        return sent

    def _add(self, figure: Figure, store: _Store, seconds: float, spent: float) -> None:
        ours = store.call is not None
        (figure.ours if ours else figure.peer).append(seconds)
        (figure.our_cpu if ours else figure.peer_cpu).append(spent / self.size * 1e9)

    def say(self) -> None:
        for figure in (self.up, self.down):
            print(
                f"  {figure.name}: {figure.judged:.2f} of the peer, CPU "
                f"{figure.our_cpu[-1]:.2f} beside {figure.peer_cpu[-1]:.2f} s/GB",
                flush=True,
            )


def _big(bench: Bench, source: Path) -> list[Figure]:
    path = source / "random"
    size = int(2 * GIB * bench.scale)
    write_random(path, size)
    pair = _Pair(f"{_size_text(size)} incompressible", size)
    again = Figure(
        f"{pair.up.name}: sent by another client a second time",
        "% of the bytes",
        Goal("value", 1, above=False),
    )
    plain = _plain_figure(f"{_size_text(size)} incompressible")
    speed = Figure(
        "check of xorbs, incompressible", "MB/s of a core", Goal("value", 1000, above=True)
    )
    for _ in range(bench.rounds):
        with _peer(bench) as store:
            pair.both_ways(store, [path])
        with _hub(bench) as store:
            pair.both_ways(store, [path])
            _commit(store, path)
            again.ours.append(100 * _second(store, path) / size)
            _plain(bench, store, path, plain)
            speed.ours.append(_checked(store))
    pair.say()
    path.unlink()
    return [pair.up, pair.down, again, plain, speed]


def _model(bench: Bench, source: Path) -> list[Figure]:
    model, tuned = source / "model", source / "tuned"
    write_model(model, int(_MODEL_BYTES * bench.scale))
    fine_tune(model, tuned, _TUNED)
    size = model.stat().st_size
    pair = _Pair(f"a model of {_size_text(size)}", size)
    second = _Pair(f"a fine-tune of it, {_TUNED:.0%} changed", size)
    cost = Figure(f"{second.up.name}: sent", "% of the bytes")
    plain = _plain_figure(f"a model of {_size_text(size)}")
    speed = Figure("check of xorbs of a model", "MB/s of a core", Goal("value", 1000, above=True))
    for _ in range(bench.rounds):
        for make in (_peer, _hub):
            with make(bench) as store:
                pair.both_ways(store, [model])
                if store.call is not None:
                    _commit(store, model)
                    cost.ours.append(100 * _second(store, tuned) / size)
                    _plain(bench, store, model, plain)
                    speed.ours.append(_checked(store))
        for make in (_peer, _hub):
            with make(bench) as store:
                upload(store.cas, [model])
                if store.call is not None:
                    _commit(store, model)
                second.both_ways(store, [tuned])
    pair.say()
    second.say()
    model.unlink()
    tuned.unlink()
    return [pair.up, pair.down, second.up, second.down, cost, plain, speed]


def _many(bench: Bench, source: Path) -> list[Figure]:
    folder = source / "many"
    folder.mkdir()
    paths = [folder / f"{at:05}" for at in range(int(_FILES * bench.scale))]
    for path in paths:
        path.write_bytes(os.urandom(_FILE_BYTES))
    pair = _Pair(f"{len(paths):,} files of 100 KiB", len(paths) * _FILE_BYTES)
    for _ in range(bench.rounds):
        for make in (_peer, _hub):
            with make(bench) as store:
                pair.both_ways(store, paths)
    pair.say()
    shutil.rmtree(folder)
    return [pair.up, pair.down]


# -- the hub alone -----------------------------------------------------------------------------


def _second(store: _Store, path: Path) -> int:
    """Upload a file to another repository by a client with an empty cache; return the bytes."""
    assert store.call is not None
    hub.make_repo(store.call, "again")
    with counted(_cas(store.call, "admin/again")) as (cas, relay):
        upload(cas, [path])
        return relay.sent


def _plain_figure(name: str) -> Figure:
    return Figure(
        f"plain HTTP download of {name} put together from xorbs",
        "MB/s",
        None,
        "nginx sendfile of the plain file",
        cpu_unit="s/GB",
    )


def _commit(store: _Store, path: Path) -> None:
    """Commit an uploaded file: from then on its chunks are deduplicated for others."""
    assert store.call is not None
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    line = (
        '{"key":"header","value":{"summary":"Large"}}\n{"key":"lfsFile","value":'
        f'{{"path":"large.bin","algo":"sha256","oid":"{sha256}","size":{path.stat().st_size}}}}}\n'
    )
    hub.commit(store.call, "admin/xet", line.encode())


def _plain(bench: Bench, store: _Store, path: Path, figure: Figure) -> None:
    """Download a committed file like a client without Xet, and the same file from nginx."""
    size = path.stat().st_size
    with bench.nginx() as nginx:
        link = bench.nginx_files / "large"
        os.link(path, link)
        for server, address, values, cpu in (
            (nginx, "/files/large", figure.peer, figure.peer_cpu),
            (store.server, "/admin/xet/resolve/main/large.bin", figure.ours, figure.our_cpu),
        ):
            before = server.cpu_s()
            seconds, got, head = apart(_get, server.port, address)
            assert (got, head.split()[1]) == (size, "200"), head
            values.append(size / 1e6 / seconds)
            cpu.append((server.cpu_s() - before) / size * 1e9)
        link.unlink()


def _get(port: int, path: str) -> tuple[float, int, str]:
    return get(port, path, {}, discard=True)


def _checked(store: _Store) -> float:
    """Check stored xorbs again, in one thread; return MB of chunks per second of CPU."""
    xorbs = sorted((store.folder / "blobs" / "xorb").rglob("*"))
    bodies = [path.read_bytes() for path in xorbs if path.is_file()][:8]
    assert bodies, "there are no xorbs"
    names = [_name(body) for body in bodies]
    started, total = time.process_time(), 0
    for name, body in zip(names, bodies, strict=True):
        total += _check(name, body)
    return total / 1e6 / (time.process_time() - started)


def _name(body: bytes) -> str:
    """Return the name of a xorb: its blob has another name."""
    leaves = [(chunk_hash(chunk), len(chunk)) for chunk in decode_records(body)]
    return to_text(merkle_root(leaves))


def _check(name: str, body: bytes) -> int:
    view = memoryview(body)
    receiver = XorbParser(name, lambda _: None)
    for start in range(0, len(view), 1 << 20):
        receiver.feed(view[start : start + (1 << 20)])
    return receiver.finish().unpacked


def _parallel(bench: Bench, source: Path) -> list[Figure]:
    """Measure parallel uploads by four clients."""
    paths = [source / f"at-once-{number}" for number in range(_CLIENTS)]
    size = int(GIB // 2 * bench.scale)
    name = f"Xet uploads by {_CLIENTS} clients at once, {_size_text(size)} each"
    rss = Figure(f"{name}: resident memory", "MB", Goal("value", 400, above=False))
    seconds = Figure(f"{name}: all done", "s", cpu_unit="s/GB")
    for path in paths:
        write_random(path, size)
    for _ in range(bench.rounds):
        with _hub(bench) as store, _Watch(store.server) as watch:
            before, started = store.server.cpu_s(), time.perf_counter()
            with ThreadPoolExecutor(_CLIENTS) as pool:
                list(pool.map(lambda path: upload(store.cas, [path]), paths))
            seconds.ours.append(time.perf_counter() - started)
            seconds.our_cpu.append((store.server.cpu_s() - before) / size / _CLIENTS * 1e9)
        rss.ours.append(watch.most_mb)
    print(f"  {rss.name}: {rss.judged:.0f} MB", flush=True)
    for path in paths:
        path.unlink()
    return [rss, seconds]


class _Watch:
    """Samples a server's memory all the time."""

    def __init__(self, server: Server) -> None:
        self.most_mb = 0.0
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._over.wait(0.05):
            self.most_mb = max(self.most_mb, self._server.rss_mb())


def _size_text(size: int) -> str:
    return f"{size / GIB:.3g} GiB" if size >= GIB else f"{size / 1e6:.0f} MB"
