"""gc without grace periods, repeatedly, beside busy clients: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hubstead.app import open_storage
from hubstead.doctor import Finding, Inspection, Severity, run_checks
from hubstead.garbage import GarbageKind, collect_garbage
from tests.support.hub import SHAPES, ThreadHub
from tests.support.person import Person
from tests.support.processes import wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

WORKER = Path(__file__).with_name("worker.py")
WORKERS = 3
#: The maximum of rounds until a xorb of the first clients is deleted.
ROUNDS = 20


class Collector(threading.Thread):
    """Another process of the hub, from the view of the database and the store."""

    def __init__(self, hub: ThreadHub) -> None:
        super().__init__(daemon=True)
        self.hub = hub
        self.enough = threading.Event()
        self.rounds = 0
        self.removed: Counter[GarbageKind] = Counter()
        self.fault: BaseException | None = None

    def run(self) -> None:
        try:
            asyncio.run(self.collect_on())
        except BaseException as error:
            self.fault = error

    def was_busy(self) -> bool:
        """Whether it ran often enough and deleted something in every way."""
        ways = (GarbageKind.LFS_LINK, GarbageKind.BLOB)
        return self.rounds > 3 and all(self.removed[way] for way in ways)

    def has_enough(self) -> bool:
        return self.was_busy() or not self.is_alive()

    async def collect_on(self) -> None:
        async with open_storage(self.hub.settings) as stores:
            while not self.enough.is_set():
                for count in await collect_garbage(stores, grace_ms=0, remove=True):
                    self.removed[count.what] += count.removed
                self.rounds += 1


@contextmanager
def collecting(hub: ThreadHub) -> Iterator[Collector]:
    collector = Collector(hub)
    collector.start()
    try:
        yield collector
    finally:
        collector.enough.set()
        collector.join(60)
    assert collector.fault is None, repr(collector.fault)
    assert collector.was_busy()


def work(
    person: Person,
    repos: list[str],
    home: Path,
    *,
    seconds: float,
    xet: bool,
    enough: Callable[[], bool] = lambda: True,
) -> dict[str, dict[str, dict[str, str]]]:
    """Run one client per repository; return the sha256 of each file by revision.

    They work for some seconds, and on until ``enough()``.
    """
    clients = [
        _begin(person, repo, seed, home / str(seed), xet=xet) for seed, repo in enumerate(repos)
    ]
    time.sleep(seconds)
    wait_until(enough, timeout_s=120)
    outputs = [client.communicate(timeout=100) for client in clients]
    for client, (_, errors) in zip(clients, outputs, strict=True):
        assert client.returncode == 0, errors[-3000:]
    return {
        repo: json.loads(out)["acknowledged"] for repo, (out, _) in zip(repos, outputs, strict=True)
    }


def _begin(person: Person, repo: str, seed: int, home: Path, *, xet: bool) -> subprocess.Popen[str]:
    home.mkdir(parents=True)
    inherited = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    env = {"HF_ENDPOINT": person.hub.url, "HF_TOKEN": person.token, "HF_HOME": str(home / "hf")}
    env |= {"HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return subprocess.Popen(
        [sys.executable, WORKER, repo, str(seed), home.parent.name],
        env={**inherited, **env, **({} if xet else {"HF_HUB_DISABLE_XET": "1"})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def check(person: Person, expected: dict[str, dict[str, dict[str, str]]]) -> int:
    """Compare every file of every revision; return their number."""
    count = 0
    for repo, revisions in expected.items():
        for revision, files in revisions.items():
            for path, digest in files.items():
                read = person.api.hf_hub_download(
                    repo, path, revision=revision, force_download=True
                )
                actual = hashlib.sha256(Path(read).read_bytes()).hexdigest()
                assert actual == digest, (repo, revision, path)
                count += 1
    return count


async def findings(hub: ThreadHub) -> list[Finding]:
    all_findings = run_checks(Inspection(hub.hub.stores, deep=True))
    return [finding async for finding in all_findings if finding.severity is not Severity.LEFTOVER]


@pytest.mark.parametrize("shape", SHAPES)
def test_no_commit_of_lfs_files_is_lost(
    own_hub: Callable[..., ThreadHub], shape: str, tmp_path: Path
) -> None:
    hub = own_hub(shape, blob_grace_seconds=0.0)
    anna = hub.user("anna")
    repos = [anna.repo(f"r{number}") for number in range(WORKERS)]
    with collecting(hub) as collector:
        acknowledged = work(
            anna, repos, tmp_path / "homes", seconds=6, xet=False, enough=collector.has_enough
        )
    assert check(anna, acknowledged) > 0
    assert hub.run(findings(hub)) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_no_commit_of_xet_files_is_lost(
    own_hub: Callable[..., ThreadHub], shape: str, tmp_path: Path
) -> None:
    """Time runs fast: a client lives for 4 seconds and xorbs for 10, not for 21 and 23 days."""
    short = {"xet_keep_seconds": 10.0, "xet_quarantine_seconds": 1.0, "xet_file_seconds": 1.0}
    hub = own_hub(shape, blob_grace_seconds=0.0, **short)
    anna = hub.user("anna")
    old: list[str] = []
    with collecting(hub) as collector:
        for round_ in range(ROUNDS):
            if collector.removed[GarbageKind.XORB] > 0:
                break
            repos = [anna.repo(f"r{round_}-{number}") for number in range(WORKERS)]
            for repo in old:
                anna.api.delete_repo(repo)
            acknowledged = work(anna, repos, tmp_path / f"homes-{round_}", seconds=4, xet=True)
            assert check(anna, acknowledged) > 0
            old = repos
    assert check(anna, acknowledged) > 0
    assert collector.removed[GarbageKind.XET_FILE] > 0
    assert collector.removed[GarbageKind.XORB] > 0
    assert hub.run(findings(hub)) == []
