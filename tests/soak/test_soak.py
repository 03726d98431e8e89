"""After an hour of every kind of write and read, a hub uses no more than after ten minutes.

Runs only if ``HUBSTEAD_TEST_SOAK_MINUTES`` has a duration (``make soak``: 60). The samples
go into ``HUBSTEAD_TEST_SOAK_RESULTS``, a CSV file, with a plot beside it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.crash import xet_writer
from tests.support.git import clone
from tests.support.http import Connection
from tests.support.hub import ProcessHub, running_hub

MINUTES = float(os.environ.get("HUBSTEAD_TEST_SOAK_MINUTES", "0"))
RESULTS = os.environ.get("HUBSTEAD_TEST_SOAK_RESULTS", "")
REPOS, COMMITTERS = 20, 4
#: The allowed growth from the tenth minute (or the middle of a shorter run) to the end.
MORE_MB, MORE_FILES = 30, 200
EVERY_S = 5.0
NDJSON, LFS = "application/x-ndjson", "application/vnd.git-lfs+json"

pytestmark = pytest.mark.skipif(not MINUTES, reason="an hour's run: make soak")


class Sample(NamedTuple):
    """The resources of a process at one moment."""

    seconds: float
    rss_mb: float
    files: int
    mappings: int


class Load:
    """Clients that run until they are stopped; the first fault stops all."""

    def __init__(self, hub: ProcessHub, folder: Path) -> None:
        self.hub, self.folder = hub, folder
        self.stopped = threading.Event()
        self.done: Counter[str] = Counter()
        self.faults: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def repeat(self, name: str, begin: Callable[[], Callable[[int], None]]) -> None:
        def run() -> None:
            try:
                step, turn = begin(), 0
                while not self.stopped.is_set():
                    step(turn)
                    turn += 1
                    self.done[name] += 1
            except BaseException as fault:
                self.faults.append(fault)
                self.stopped.set()

        self._threads.append(threading.Thread(target=run, name=name))
        self._threads[-1].start()

    def stop(self) -> None:
        self.stopped.set()
        for thread in self._threads:
            thread.join()

    def connection(self) -> Connection:
        return Connection(self.hub.port, self.hub.token, timeout_s=120)

    # -- one method per kind of client -----------------------------------------------------------

    def api(self, number: int) -> Callable[[int], None]:
        """Commit small files to one repository after another, and read them."""
        call, chance = self.connection(), random.Random(number)

        def step(turn: int) -> None:
            repo = f"admin/r{chance.randrange(REPOS)}"
            path = f"d{chance.randrange(5)}/f{chance.randrange(100)}"
            content = chance.randbytes(300).hex()
            _commit(call, repo, {"key": "file", "value": {"path": path, "content": content}})
            assert call("GET", f"/{repo}/resolve/main/{path}").body.decode() != ""
            listed = call("GET", f"/api/models/{repo}/commits/main").json
            old = chance.choice(listed)["id"]
            assert call("GET", f"/api/models/{repo}/tree/{old}?recursive=true&expand=true").json
            assert call("GET", f"/api/models/{repo}").status == 200

        return step

    def git(self) -> Callable[[int], None]:
        """Push commits, and clone now and then."""
        address = f"http://anyone:{self.hub.token}@127.0.0.1:{self.hub.port}/admin/pushed"
        work = clone(address, self.folder / "work")

        def step(turn: int) -> None:
            work.commit(f"f{turn % 50}", f"turn {turn}")
            work("push", "-q", "origin", "HEAD:main")
            if turn % 10 == 0:
                fresh = self.folder / f"clone{turn}"
                clone(address, fresh)
                subprocess.run(["rm", "-rf", str(fresh)], check=True)
            self.stopped.wait(0.2)

        return step

    def lfs(self) -> Callable[[int], None]:
        """Upload large files, commit them, and read them back."""
        call = self.connection()

        def step(turn: int) -> None:
            data = os.urandom(200_000)
            oid = hashlib.sha256(data).hexdigest()
            request = {"operation": "upload", "objects": [{"oid": oid, "size": len(data)}]}
            headers = {"Content-Type": LFS, "Accept": LFS}
            url = "/admin/large.git/info/lfs/objects/batch"
            [entry] = call("POST", url, json.dumps(request), headers=headers).json["objects"]
            action = entry["actions"]["upload"]
            sent = call("PUT", action["href"], data, headers=action.get("header"), signed=False)
            assert sent.status == 200, sent.body
            path = f"f{turn % 20}.bin"
            value = {"path": path, "algo": "sha256", "oid": oid, "size": len(data)}
            _commit(call, "admin/large", {"key": "lfsFile", "value": value})
            assert call("GET", f"/admin/large/resolve/main/{path}").body == data
            self.stopped.wait(0.5)

        return step

    def xet(self) -> Callable[[int], None]:
        """Commit and download files by the Xet client, each time with a part of the last."""
        home = self.folder / "xet"
        home.mkdir()
        environment = {**os.environ, "HF_HOME": str(home), "PYTHONPATH": os.getcwd()}
        process = subprocess.Popen(
            [sys.executable, xet_writer.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        sink, lines = process.stdin, process.stdout
        assert sink is not None
        assert lines is not None
        source, data = home / "file", os.urandom(1 << 20)
        base = {"endpoint": self.hub.url, "token": self.hub.token, "repo": "admin/chunks"}

        def ask(**more: object) -> None:
            sink.write(json.dumps(base | more) + "\n")
            sink.flush()
            result = next(line for line in lines if line.startswith("RESULT"))
            assert "error" not in result, result

        def step(turn: int) -> None:
            nonlocal data
            data = data[200_000:] + os.urandom(200_000)
            source.write_bytes(data)
            ask(files={f"x{turn % 10}.safetensors": str(source)})
            copies = home / f"copies{turn}"
            copies.mkdir()
            ask(download=f"x{turn % 10}.safetensors", folder=str(copies))
            subprocess.run(["rm", "-rf", str(copies)], check=True)
            if self.stopped.wait(0.5):
                sink.close()

        return step


def _commit(call: Connection, repo: str, line: dict[str, object]) -> None:
    header = {"key": "header", "value": {"summary": "soak"}}
    body = "\n".join(json.dumps(entry) for entry in (header, line))
    url = f"/api/models/{repo}/commit/main"
    for _ in range(5):
        sent = call("POST", url, body, headers={"Content-Type": NDJSON})
        if sent.status != 409:
            break
    assert sent.status == 200, sent.body


def _sample(pid: int, started: float) -> Sample:
    process = Path(f"/proc/{pid}")
    status = dict(
        line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line
    )
    return Sample(
        round(time.monotonic() - started, 1),
        round(int(status["VmRSS"].split()[0]) / 1024, 1),
        len(list((process / "fd").iterdir())),
        len((process / "maps").read_text().splitlines()),
    )


def _minute(samples: Sequence[Sample], end_s: float) -> Sample:
    """Return the median of each column in the minute (or tenth part) before ``end_s``."""
    width = min(60.0, samples[-1].seconds / 10)
    rows = [row for row in samples if end_s - width <= row.seconds <= end_s]
    columns = [statistics.median(column) for column in zip(*rows, strict=True)]
    return Sample(columns[0], columns[1], round(columns[2]), round(columns[3]))


def _plot(samples: Sequence[Sample]) -> str:
    """Draw each column over time, from 0 to its largest value."""
    lines = []
    for number, name in enumerate(Sample._fields[1:], 1):
        top = max(row[number] for row in samples)
        scaled = [
            (row.seconds / samples[-1].seconds * 600, number * 110 - row[number] / top * 90)
            for row in samples
        ]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in scaled)
        lines.append(f'<polyline fill="none" stroke="black" points="{points}"/>')
        lines.append(f'<text x="4" y="{number * 110 - 94}" font-size="11">{name} (to {top})</text>')
    inner = "\n".join(lines)
    size = 'width="600" height="340"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{inner}\n</svg>\n'


def _write_results(samples: Sequence[Sample], done: Counter[str]) -> None:
    print(f"\n{MINUTES:g} minutes: {dict(done)}; at the end {samples[-1]}")
    if RESULTS:
        rows = [Sample._fields, *samples]
        Path(RESULTS).write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
        Path(RESULTS).with_suffix(".svg").write_text(_plot(samples))


def _prepare(hub: ProcessHub) -> None:
    call = Connection(hub.port, hub.token)
    names = [*(f"r{number}" for number in range(REPOS)), "pushed", "large", "chunks"]
    for name in names:
        created = call("POST", "/api/repos/create", {"name": name, "type": "model"})
        assert created.status == 200, created.body
        content = base64.b64encode(b"first").decode()
        value = {"path": "first", "content": content, "encoding": "base64"}
        _commit(call, f"admin/{name}", {"key": "file", "value": value})


@pytest.mark.timeout(MINUTES * 60 + 600)
def test_a_hub_uses_no_more_at_the_end_than_in_its_tenth_minute(tmp_path: Path) -> None:
    # A shorter run has to reach its steady state sooner.
    grace_s = min(300.0, MINUTES * 60 / 8)
    with running_hub(tmp_path / "data", {"pack_grace_seconds": grace_s}) as hub:
        assert hub.process is not None
        _prepare(hub)
        load = Load(hub, tmp_path)
        for number in range(COMMITTERS):
            load.repeat("commits", partial(load.api, number))
        for name, begin in {"pushes": load.git, "lfs": load.lfs, "xet": load.xet}.items():
            load.repeat(name, begin)
        samples, started = [], time.monotonic()
        while time.monotonic() - started < MINUTES * 60 and not load.stopped.is_set():
            samples.append(_sample(hub.process.pid, started))
            load.stopped.wait(EVERY_S)
        with contextlib.suppress(FileNotFoundError):
            samples.append(_sample(hub.process.pid, started))
        load.stop()
    _write_results(samples, load.done)
    assert load.faults == []
    assert all(load.done[name] for name in ("commits", "pushes", "lfs", "xet"))
    early = _minute(samples, min(600.0, MINUTES * 60 / 2))
    late = _minute(samples, samples[-1].seconds)
    assert late.rss_mb <= early.rss_mb + MORE_MB, (early, late)
    assert late.files <= early.files + MORE_FILES, (early, late)
    assert late.mappings <= early.mappings + 2 * MORE_FILES, (early, late)
