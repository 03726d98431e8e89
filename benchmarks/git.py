"""Clones and pushes with the real git, beside git's own http-backend behind nginx.

Both serve the same repositories; a round is the peer and then the hub. The peer stores with
git's own default (``core.fsync``), the hub is durable before it responds.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import hub, peers
from benchmarks.bench import Bench
from benchmarks.figures import Figure, Goal
from benchmarks.processes import Server, free_port
from benchmarks.raw_client import Api, api

FILES = 20_000
COMMITS = 2_000
CLONES = 20
_PATH = "/usr/local/bin:/usr/bin:/bin"
_BACKEND = Path("/usr/lib/git-core/git-http-backend")
_SMALL_CLONE = Goal("ratio", 1.15, above=False)

_NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {folder}/incoming;
    fastcgi_temp_path {folder}/fastcgi;
    proxy_temp_path {folder}/proxy;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            fastcgi_pass unix:{folder}/fcgi.sock;
            fastcgi_buffering off;
            fastcgi_request_buffering off;
            fastcgi_param SCRIPT_FILENAME {backend};
            fastcgi_param GIT_PROJECT_ROOT {root};
            fastcgi_param GIT_HTTP_EXPORT_ALL 1;
            fastcgi_param REMOTE_USER bench;
            fastcgi_param PATH_INFO $uri;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
            fastcgi_param GIT_PROTOCOL $http_git_protocol;
        }}
    }}
}}
"""


def measure(bench: Bench) -> list[Figure]:
    """Measure push and clone of 20,000 files and 2,000 commits, ref lists, 20 parallel clones."""
    sources = bench.disk / "sources"
    sources.mkdir()
    files, history = _many_files(sources / "files"), _long_history(sources / "history")
    data = bench.disk / "hub"
    server = hub.start_hub(data)
    try:
        token = hub.admin_token(data)
        with http_backend(bench) as peer:
            pair = Pair(bench, server, peer, api(server.port, token), token)
            return [
                *_both_ways(pair, files, f"{FILES:,} small files"),
                _both_ways(pair, files, f"{FILES:,} small files, peer checks objects too", True)[0],
                *_both_ways(pair, history, f"{COMMITS:,} commits"),
                *_parallel(pair),
                *_refs(pair),
            ]
    finally:
        server.stop()


@dataclass
class Pair:
    """The hub and its peer."""

    bench: Bench
    hub: Server
    peer: Server
    call: Api
    token: str
    shared: str = ""  # a repository that both have

    def addresses(self, name: str, *, checked: bool) -> tuple[str, str]:
        """Create an empty repository on both; return (peer's address, hub's).

        ``checked``: the peer checks objects as the hub always does (``receive.fsckObjects``).
        """
        path = self.bench.disk / "peer" / "root" / "admin" / f"{name}.git"
        run_git(self.bench.disk, "init", "-q", "--bare", "-b", "main", str(path))
        run_git(path, "config", "http.receivepack", "true")
        run_git(path, "config", "receive.fsckObjects", str(checked).lower())
        hub.make_repo(self.call, name)
        return self.known(name)

    def known(self, name: str) -> tuple[str, str]:
        ours = self.hub.url.replace("//", f"//u:{self.token}@")
        return f"{self.peer.url}/admin/{name}.git", f"{ours}/admin/{name}"


@contextmanager
def http_backend(bench: Bench) -> Iterator[Server]:
    wrapper = shutil.which("fcgiwrap") or shutil.which("fcgiwrap", path="/usr/sbin")
    if wrapper is None or not _BACKEND.exists():
        raise SystemExit(
            "the peer needs fcgiwrap: apt-get install --no-install-recommends fcgiwrap"
        )
    folder = bench.disk / "peer"
    root = folder / "root"
    root.mkdir(parents=True)
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port, backend=_BACKEND, root=root))
    command = [wrapper, "-c", "8", "-s", f"unix:{folder}/fcgi.sock"]
    environment = {"PATH": _PATH, "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    run_git(folder, "config", "--file", str(folder / ".gitconfig"), "safe.directory", "*")
    wrapped = subprocess.Popen(command, env=environment, start_new_session=True)
    while not (folder / "fcgi.sock").exists():
        time.sleep(0.01)
    (folder / "fcgi.sock").chmod(0o777)
    for path in (folder, root):
        path.chmod(0o777)
    program = peers.program("nginx")
    nginx = Server(
        [program, "-e", f"{folder}/nginx.log", "-c", str(config)], port, folder / "nginx.out"
    )
    nginx.wait()
    try:
        yield nginx
    finally:
        nginx.stop()
        os.killpg(wrapped.pid, signal.SIGTERM)  # it forks, and does not end its children
        wrapped.wait()


def run_git(folder: Path, *arguments: str, stdin: bytes | None = None) -> str:
    environment = {
        "PATH": _PATH,
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        **{f"GIT_{who}_NAME": "Bench" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "bench@example.org" for who in ("AUTHOR", "COMMITTER")},
    }
    result = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        check=False,
    )
    if result.returncode:
        raise SystemExit(f"git {arguments[0]}: {result.stderr.decode()}")
    return result.stdout.decode()


def _many_files(folder: Path) -> Path:
    """Return a repository of one commit of 20,000 files of 200 to 1,500 bytes."""
    some = random.Random(1)
    parts = ["commit refs/heads/main\ncommitter B <b@example.org> 1 +0000\ndata 1\nx\n"]
    for n in range(FILES):
        text = "".join(some.choices("abcdefgh \n", k=some.randrange(200, 1500)))
        parts.append(f"M 644 inline d{n // 200}/f{n}.txt\ndata {len(text)}\n{text}\n")
    return imported(folder, "".join(parts))


def _long_history(folder: Path) -> Path:
    """Return a repository of 2,000 commits that change some lines of two files."""
    some = random.Random(2)
    texts = {n: [f"line {k}" for k in range(200)] for n in range(50)}
    parts = []
    for n in range(COMMITS):
        parts.append(f"commit refs/heads/main\ncommitter B <b@example.org> {n} +0000\ndata 1\nx\n")
        for which in some.sample(sorted(texts), 2):
            texts[which][some.randrange(200)] = f"changed by {n}"
            text = "\n".join(texts[which])
            parts.append(f"M 644 inline src/f{which}.txt\ndata {len(text)}\n{text}\n")
    return imported(folder, "".join(parts))


def imported(folder: Path, stream: str) -> Path:
    run_git(folder.parent, "init", "-q", "-b", "main", str(folder))
    run_git(folder, "fast-import", "--quiet", stdin=stream.encode())
    run_git(folder, "repack", "-adq")
    return folder


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _both_ways(pair: Pair, source: Path, what: str, checked: bool = False) -> list[Figure]:
    names = {"unit": "s", "goal": _SMALL_CLONE, "peer_name": "http-backend"}
    push, clone = Figure(f"push of {what}", **names), Figure(f"clone of {what}", **names)  # type: ignore[arg-type]
    push.cpu_unit = clone.cpu_unit = "s"
    target = pair.bench.disk / "clone"
    for number in range(pair.bench.rounds):
        pair.shared = f"{source.name}-{number}{'-checked' * checked}"
        for server, figure_values, address in zip(
            (pair.peer, pair.hub),
            ((push.peer, clone.peer), (push.ours, clone.ours)),
            pair.addresses(pair.shared, checked=checked),
            strict=True,
        ):
            before = server.cpu_s()
            figure_values[0].append(
                timed(partial(run_git, source, "push", "-q", "-f", address, "main"))
            )
            pushed = server.cpu_s()
            figure_values[1].append(
                timed(partial(run_git, target.parent, "clone", "-q", "--bare", address, "clone"))
            )
            if server is pair.hub:
                push.our_cpu.append(pushed - before)
                clone.our_cpu.append(server.cpu_s() - pushed)
            tip = run_git(target, "rev-parse", "main")
            assert tip == run_git(source, "rev-parse", "main")
            shutil.rmtree(target)
    for figure in (push, clone):
        print(f"  {figure.name}: {figure.judged:.2f} of the peer's time", flush=True)
    return [push, clone]


def _parallel(pair: Pair) -> list[Figure]:
    took = Figure(
        f"{CLONES} clones of {COMMITS:,} commits at once", "s", _SMALL_CLONE, "http-backend"
    )
    memory = Figure("memory of the hub and its programs of git meanwhile", "MB")
    for number in range(pair.bench.rounds):
        for server, values, address in zip(
            (pair.peer, pair.hub), (took.peer, took.ours), pair.known(pair.shared), strict=True
        ):
            folder = pair.bench.disk / f"many-{number}"
            folder.mkdir()
            threads = [
                threading.Thread(
                    target=run_git,
                    args=(folder, "clone", "-q", "--bare", address, str(folder / str(n))),
                )
                for n in range(CLONES)
            ]
            started, most = time.perf_counter(), 0.0
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                most = max(most, server.anonymous_mb())
                time.sleep(0.02)
            values.append(time.perf_counter() - started)
            if server is pair.hub:
                memory.ours.append(most)
            assert len(list(folder.iterdir())) == CLONES
            shutil.rmtree(folder)
    return [took, memory]


def _refs(pair: Pair) -> list[Figure]:
    """Measure ``info/refs`` of protocol v0 by wrk: the whole list of refs in every response."""
    rate = Figure(
        "ref advertisements (v0)", "per s", Goal("ratio", 2), "http-backend", cpu_unit="µs/request"
    )
    target = "/info/refs?service=git-upload-pack"
    for _ in range(pair.bench.rounds):
        name = f"admin/{pair.shared}"
        theirs, ours = f"/{name}.git{target}", f"/{name}{target}"
        for server, values, path in ((pair.peer, rate.peer, theirs), (pair.hub, rate.ours, ours)):
            size = _answer_bytes(server, path)
            load = peers.wrk(
                server, [path], pair.bench.disk, answer_bytes=size, seconds=pair.bench.seconds
            )
            values.append(load.per_s)
            if server is pair.hub:
                rate.our_cpu.append(load.cpu_us)
    return [rate]


def _answer_bytes(server: Server, path: str) -> int:
    """Return the size of one response with its head, as wrk counts it."""
    load = subprocess.run(
        ["wrk", "-t1", "-c1", "-d1s", f"{server.url}{path}"],
        capture_output=True,
        text=True,
        check=True,
    )
    totals = dict(zip(("requests", "read"), _wrk_totals(load.stdout), strict=True))
    return round(totals["read"] / totals["requests"])


def _wrk_totals(text: str) -> tuple[float, float]:
    words = text.split()
    requests = float(words[words.index("requests") - 1])
    amount = words[words.index("read") - 1]
    unit = amount.lstrip("0123456789.")
    size = (
        float(amount.removesuffix(unit)) * {"B": 1, "KB": 1024, "MB": 1 << 20, "GB": 1 << 30}[unit]
    )
    return requests, size
