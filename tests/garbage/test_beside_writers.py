"""gc without any grace, again and again, beside clients at work: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from hubstead.app import opened_stores
from hubstead.doctor import Finding, Patient, Severity, examine
from hubstead.garbage import What, collect
from tests.live import SHAPES, LiveHub, Person

WORKER = Path(__file__).with_name("worker.py")
WORK_S = 12.0
WORKERS = 3


class Collector(threading.Thread):
    """Another process of the hub, as far as the database and the store can tell."""

    def __init__(self, hub: LiveHub) -> None:
        super().__init__(daemon=True)
        self.hub = hub
        self.enough = threading.Event()
        self.rounds = 0
        self.removed: Counter[What] = Counter()
        self.fault: BaseException | None = None

    def run(self) -> None:
        try:
            asyncio.run(self.collect_on())
        except BaseException as error:
            self.fault = error

    async def collect_on(self) -> None:
        async with opened_stores(self.hub.settings) as stores:
            while not self.enough.is_set():
                for heap in await collect(stores, grace_ms=0, remove=True):
                    self.removed[heap.what] += heap.removed
                self.rounds += 1


def begin(person: Person, repo: str, seed: int, home: Path, *, xet: bool) -> subprocess.Popen[str]:
    home.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    env = {"HF_ENDPOINT": person.hub.url, "HF_TOKEN": person.token, "HF_HOME": str(home / "hf")}
    env |= {"HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return subprocess.Popen(
        [sys.executable, WORKER, repo, str(seed), str(WORK_S)],
        env={**kept, **env, **({} if xet else {"HF_HUB_DISABLE_XET": "1"})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def ailments(hub: LiveHub) -> list[Finding]:
    found = examine(Patient(hub.hub.stores, deep=True))
    return [each async for each in found if each.severity is not Severity.LITTER]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("xet", [False, True], ids=["lfs", "xet"])
def test_nothing_that_was_acknowledged_is_lost(
    own_hub: Callable[..., LiveHub], shape: str, xet: bool, tmp_path: Path
) -> None:
    no_mercy = {"blob_grace_seconds": 0.0, "xet_keep_seconds": 0.0, "xet_quarantine_seconds": 0.0}
    hub = own_hub(shape, **no_mercy)
    anna = hub.user("anna")
    repos = [anna.repo(f"r{number}") for number in range(WORKERS)]
    collector = Collector(hub)
    collector.start()
    clients = [
        begin(anna, repo, seed, tmp_path / f"home-{seed}", xet=xet)
        for seed, repo in enumerate(repos)
    ]
    told = [client.communicate(timeout=200) for client in clients]
    collector.enough.set()
    collector.join(60)
    assert collector.fault is None, repr(collector.fault)
    for client, (_, errors) in zip(clients, told, strict=True):
        assert client.returncode == 0, errors[-3000:]
    assert collector.rounds > 3
    assert collector.removed[What.LFS_LINK] > 0
    assert collector.removed[What.BLOB] > 0
    for repo, (output, _) in zip(repos, told, strict=True):
        for revision, files in json.loads(output)["kept"].items():
            for path, digest in files.items():
                answer = anna.call("GET", f"/{repo}/resolve/{revision}/{path}")
                if answer.status in (302, 307):
                    continue  # followed below by the client
                assert answer.status == 200, (repo, revision, path, answer)
                assert hashlib.sha256(answer.body).hexdigest() == digest
    assert hub.run(ailments(hub)) == []
