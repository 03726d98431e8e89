"""A killed hub has every acknowledged write, and no partial one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import update

from hubstead.app import open_storage
from hubstead.commits import Storage
from hubstead.db import indexed
from hubstead.doctor import Finding, Inspection, Severity, run_checks
from hubstead.jobs.tables import jobs
from hubstead.settings import load
from tests.crash.clients import LFS_MULTIPART_ABOVE, LFS_PART_BYTES, Client
from tests.crash.oracle import SHARED, Observer, State, adopt, differences
from tests.support.http import Connection
from tests.support.hub import ForkedHub, HubFailed
from tests.support.services import Postgres, running_postgres, running_s3

ASKED = os.environ.get("HUBSTEAD_TEST_CRASHES", "")
CRASHES = int(ASKED or 10)
SEED = int(os.environ.get("HUBSTEAD_TEST_SEED", "20261122"))
RESULTS = Path(__file__).with_name("results.md")
CLIENTS = 4
DATABASE = "crashes"
_ENV = {
    "HUBSTEAD_LFS_PART_BYTES": str(LFS_PART_BYTES),
    "HUBSTEAD_LFS_MULTIPART_THRESHOLD_BYTES": str(LFS_MULTIPART_ABOVE),
    "HUBSTEAD_MAX_LFS_FILE_BYTES": "10MB",
    "HUBSTEAD_MIN_FREE_BYTES": "0",
    "HUBSTEAD_BLOB_GRACE_SECONDS": "0",
    "HUBSTEAD_LOG_LEVEL": "warning",
}
_HASTEN = indexed(update(jobs).values(due_ms=0, lease_ms=0))


@dataclass
class Shape:
    """The stores of a hub, and which other processes may be killed."""

    name: str
    env: Mapping[str, str] = field(default_factory=dict)
    postgres: Postgres | None = None
    longest_stream_s: float = 0.6

    @property
    def disk_is_a_cache(self) -> bool:
        return self.postgres is not None


@contextlib.contextmanager
def files() -> Iterator[Shape]:
    yield Shape("SQLite, files")


@contextlib.contextmanager
def company() -> Iterator[Shape]:
    folder = Path(tempfile.mkdtemp(prefix="hubstead-crash-"))
    folder.chmod(0o755)
    try:
        with running_postgres(folder / "pg", fsync=True) as postgres, running_s3() as s3:
            env = {
                "HUBSTEAD_DATABASE": postgres.fresh_database(DATABASE),
                "HUBSTEAD_BLOBS": s3.fresh_url(),
                "HUBSTEAD_S3_ENDPOINT": s3.options.endpoint,
                "HUBSTEAD_S3_REGION": s3.options.region,
                "HUBSTEAD_S3_ACCESS_KEY": s3.options.access_key or "",
                "HUBSTEAD_S3_SECRET_KEY": s3.options.secret_key or "",
            }
            yield Shape("PostgreSQL (fsync=on), S3", env, postgres, longest_stream_s=1.5)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.long
@pytest.mark.timeout(7200 if ASKED else 180)
@pytest.mark.parametrize("shape", [files, company])
def test_a_killed_hub_has_all_it_acknowledged_and_no_partial_write(
    shape: Callable[[], contextlib.AbstractContextManager[Shape]], tmp_path: Path
) -> None:
    with shape() as config:
        trial = Trial(config, tmp_path / "hub", random.Random(f"{SEED} {config.name}"))
        started = time.monotonic()
        trial.begin()
        for _ in range(-(-CRASHES // 2)):
            trial.round()
        trial.end()
        seconds = time.monotonic() - started
    print(trial.summary(seconds))
    assert sum(trial.acknowledged.values()) > 0
    if ASKED:
        note(trial.summary(seconds))


@dataclass
class Trial:
    """Rounds of start, writes, kill and checks."""

    shape: Shape
    data: Path
    random: random.Random
    rounds: int = 0
    done: int = 0
    vanished: int = 0
    others: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.node = ForkedHub(self.data, {**_ENV, **self.shape.env})
        self.clients = [
            Client(f"c{n}", self.random.randrange(10**9), tolerant=self.shape.disk_is_a_cache)
            for n in range(CLIENTS)
        ]

    @property
    def acknowledged(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for client in self.clients:
            total.update(client.acknowledged)
        return total

    def begin(self) -> None:
        self.node.start()
        self.token = self.node.token
        response = self.node.call("POST", "/api/repos/create", {"name": SHARED.partition("/")[2]})
        assert response.status == 200, response.body

    def round(self) -> None:
        """Write, kill, restart, check."""
        self.rounds += 1
        for client in self.clients:
            client.start(self.node.port, self.token)
        time.sleep(self.random.uniform(0.02, self.shape.longest_stream_s))
        if self.shape.postgres and self.random.random() < 0.2:
            self._end_the_database(self.shape.postgres)
        self.node.kill()
        for client in self.clients:
            client.join()
        if self.shape.disk_is_a_cache and self.random.random() < 0.3:
            shutil.rmtree(self.data)
            self.others["data folder deleted"] += 1
        if self.random.random() < 0.15:
            self._kill_while_starting()
        self._restart()
        self._check()

    def _end_the_database(self, postgres: Postgres) -> None:
        """Kill one process of PostgreSQL, which then ends all of them and recovers."""
        pids = [pid for pid in _backends(postgres) if pid]
        if pids:
            os.kill(self.random.choice(pids), signal.SIGKILL)
            self.others["PostgreSQL killed"] += 1
            time.sleep(self.random.uniform(0, 0.1))

    def _kill_while_starting(self) -> None:
        timer_s = self.random.uniform(0.02, 0.4)
        node = ForkedHub(self.data, self.node.env)
        with contextlib.suppress(HubFailed):
            _start_and_kill(node, timer_s)
        self.others["killed while starting"] += 1

    def _restart(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                self.node.start()
                return
            except HubFailed:  # PostgreSQL may still be in recovery
                if self.shape.postgres is None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _check(self) -> None:
        observer = Observer(Connection(self.node.port, self.token))
        try:
            for client in self.clients:
                self._settle(client, observer)
        except TimeoutError:
            self.node.log_tasks()
            raise
        commits = 1 + sum(client.state.shared_commits for client in self.clients)
        assert observer.shared_commits() == commits, "a commit was lost or duplicated"
        observer.caller.close()
        asyncio.run(self._doctor())

    def _settle(self, client: Client, observer: Observer) -> None:
        """Determine whether an unacknowledged write was done: completely or not at all."""
        candidates = [client.state] + ([client.pending] if client.pending else [])
        seen = observer.observe(client.name, candidates)
        wrong = [differences(candidate, seen) for candidate in candidates]
        if not wrong[0]:
            self.vanished += client.pending is not None
        elif len(wrong) == 2 and not wrong[1]:
            client.state = candidates[1]
            self.done += 1
        else:
            raise AssertionError(f"round {self.rounds}, {client.name}: {wrong}")
        client.pending = None
        adopt(client.state, seen)

    async def _doctor(self) -> None:
        async with stores_of(self.node) as stores:
            bad = await faults_of(stores)
            # A deletion in the background ends by the next round.
            await stores.db.write(lambda tx: tx.run(_HASTEN))
        assert not bad, f"round {self.rounds}: {bad}"

    def end(self) -> None:
        """The command doctor checks last, and the hub still stops cleanly."""
        assert "healthy" in self.node.run("doctor", "--deep", "--json").stdout
        assert self.node.stop() == 0
        assert all(isinstance(client.state, State) for client in self.clients)

    def summary(self, seconds: float) -> str:
        """Return a row of the table of results."""
        kinds = ", ".join(f"{count} × {kind}" for kind, count in self.acknowledged.most_common())
        others = ", ".join(f"{count} × {name}" for name, count in self.others.items()) or "none"
        return (
            f"| {time.strftime('%Y-%m-%d', time.gmtime())} | {self.shape.name} | {self.rounds} "
            f"| {sum(self.acknowledged.values())} | 0 | {self.done} / {self.vanished} "
            f"| {seconds / self.rounds:.1f} s | {others} | {kinds} |"
        )


def stores_of(node: ForkedHub) -> contextlib.AbstractAsyncContextManager[Storage]:
    """Open the stores of a server that may be running, as its commands do."""
    config = {k.removeprefix("HUBSTEAD_").lower(): v for k, v in node.env.items()}
    return open_storage(load(data=node.data, overrides=config))


async def faults_of(stores: Storage) -> list[Finding]:
    """Return the findings of `hubstead doctor --deep` except leftovers."""
    findings = [finding async for finding in run_checks(Inspection(stores, deep=True))]
    return [finding for finding in findings if finding.severity is not Severity.LEFTOVER]


def _backends(postgres: Postgres) -> list[int]:
    sql = (
        "SELECT pid FROM pg_stat_activity WHERE datname = "
        f"'{DATABASE}' AND backend_type = 'client backend'"
    )
    command: list[str | Path] = [
        postgres.binaries / "psql",
        "-qAtX",
        "-d",
        postgres.url(),
        "-c",
        sql,
    ]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
    return [int(line) for line in output.split()]


def _start_and_kill(node: ForkedHub, after_s: float) -> None:
    def kill() -> None:
        if node.child is not None:
            node.child.kill()

    timer = threading.Timer(after_s, kill)
    timer.start()
    try:
        node.start()
    finally:
        timer.join()
        node.kill()


def note(row: str) -> None:
    """Add a row to the table of results."""
    with RESULTS.open("a") as file:
        if file.tell() == 0:
            file.write(_HEAD)
        file.write(row + "\n")


_HEAD = f"""# Results of the crash runs

`make crash` kills a hub with SIGKILL at random moments while {CLIENTS} clients write, starts it
again, and reads back every byte of what was acknowledged; `hubstead doctor --deep` (git fsck with
the tips included) checks after every round. "In flight" are requests without a response: they were
completely done / not done at all. Every run adds a row. Here: {platform.machine()},
two cores.

| date | shape | kills | acknowledged writes | lost or half done | in flight: done / not done | \
per round | other sudden ends | the writes |
|---|---|---|---|---|---|---|---|---|
"""
