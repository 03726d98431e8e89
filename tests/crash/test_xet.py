"""Uploads by the real Xet client over a server, or of a client, that is killed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.crash import xet_writer
from tests.crash.test_crash import (
    ASKED,
    SEED,
    Shape,
    company,
    faults_of,
    files,
    note,
    stores_of,
)
from tests.support.http import Connection
from tests.support.hub import ForkedHub, HubFailed
from tests.support.processes import die_with_parent

KILLS = -(-int(ASKED) // 2) if ASKED else 4
WRITERS = 2
_PATHS = 6
_PATIENCE_S = 120.0


@pytest.mark.long
@pytest.mark.timeout(7200 if ASKED else 300)
@pytest.mark.parametrize("shape", [files, company])
def test_acknowledged_xet_uploads_survive_and_interrupted_ones_resume(
    shape: Callable[[], contextlib.AbstractContextManager[Shape]], tmp_path: Path
) -> None:
    with shape() as config:
        trial = Trial(config, tmp_path, random.Random(f"{SEED} xet {config.name}"))
        started = time.monotonic()
        try:
            trial.begin()
            for _ in range(KILLS):
                trial.round()
            trial.end()
        finally:
            for writer in trial.writers:
                writer.kill()
        seconds = time.monotonic() - started
    row = trial.summary(seconds)
    print(row)
    assert trial.events["commits"] > 0
    if ASKED:
        note(row)


@dataclass
class Upload:
    """The files of one commit: their paths in the repository, sources and digests."""

    sources: dict[str, str]
    digests: dict[str, str]


@dataclass
class Writer:
    """A client that uploads without pause to its own repository.

    ``stored`` are the digests of acknowledged files, ``pending`` the unacknowledged upload.
    """

    name: str
    folder: Path
    random: random.Random
    patient: bool  # the client retries by itself
    stored: dict[str, str] = field(default_factory=dict)
    pending: Upload | None = None
    acknowledged: int = 0
    process: subprocess.Popen[str] | None = None
    killed: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir()
        # The blocks that most files consist of, so that clients and server deduplicate chunks.
        self.blocks = [
            self.random.randbytes(self.random.randint(150_000, 700_000)) for _ in "x" * 9
        ]
        self._numbers = 0

    @property
    def repo(self) -> str:
        return f"admin/{self.name}"

    def start(self, endpoint: str, token: str) -> None:
        """Upload in a thread until stopped or killed."""
        self._where = {"endpoint": endpoint, "token": token, "repo": self.repo}
        self.stopping = False
        self.fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join(self) -> None:
        self.stopping = True
        self._thread.join(_PATIENCE_S)
        assert not self._thread.is_alive(), f"{self.name} hangs"
        if self.fault is not None:
            raise self.fault
        if self.process is not None and self.process is self.killed:
            # It had its last response already, so no thread has noticed the kill yet.
            self.process.wait(_PATIENCE_S)
            self.process = None

    def _run(self) -> None:
        try:
            while not self.stopping:
                self.pending = self.pending or self._make()
                if not self.upload():
                    return
        except BaseException as error:
            self.fault = error

    def upload(self) -> bool:
        """Upload the pending files, and return whether the hub acknowledged them."""
        assert self.pending is not None
        response = self.ask(files=self.pending.sources)
        self.last_result = response
        if response is None or "error" in response:
            return False
        self.stored |= self.pending.digests
        self.pending = None
        self.acknowledged += 1
        return True

    def download(self, path: str) -> str:
        """Return the digest of a file as the client downloads it."""
        response = self.ask(download=path, folder=str(self.folder))
        assert response is not None
        assert "path" in response, response
        downloaded = Path(response["path"])
        digest = hashlib.sha256(downloaded.read_bytes()).hexdigest()
        shutil.rmtree(downloaded.parents[4])
        return digest

    def ask(self, **request: Any) -> dict[str, Any] | None:
        """Send a request to the client process; None if it has ended."""
        if self.process is None:
            self.process = self._started()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({**self._where, **request}) + "\n")
            self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("RESULT"):
                result: dict[str, Any] = json.loads(line.removeprefix("RESULT"))
                return result
        self.process.wait(10)
        self.process = None
        return None

    def kill(self) -> None:
        if self.process is not None:
            self.killed = self.process
            self.killed.kill()

    def _started(self) -> subprocess.Popen[str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("HUBSTEAD_", "HF_"))}
        retries = {"HF_XET_CLIENT_RETRY_BASE_DELAY": "300ms"}
        if not self.patient:
            retries = {"HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "0"}
        home = {"HF_HOME": str(self.folder / "hf"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, xet_writer.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**env, **home, **retries},
                preexec_fn=die_with_parent,  # noqa: PLW1509 - nothing but one system call
            )

    def _make(self) -> Upload:
        """Write one to three files of known blocks and of new bytes."""
        sources, digests = {}, {}
        for path in self.random.sample([f"d/w{n}.bin" for n in range(_PATHS)], 3):
            some = self.random.choices(self.blocks, k=self.random.randint(0, 6))
            some.insert(
                self.random.randint(0, len(some)),
                self.random.randbytes(self.random.choice([1, 3_000, 200_000, 3_000_000])),
            )
            data = b"".join(some)
            digests[path] = hashlib.sha256(data).hexdigest()
            self._numbers += 1
            source = self.folder / f"source{self._numbers % 9}"
            source.write_bytes(data)
            sources[path] = str(source)
            if self.random.random() < 0.4:
                break
        return Upload(sources, digests)


@dataclass
class Trial:
    """Rounds of uploads, a kill, checks, and a restart."""

    shape: Shape
    folder: Path
    random: random.Random
    rounds: int = 0
    done: int = 0
    vanished: int = 0
    events: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        env = {
            "HUBSTEAD_MIN_FREE_BYTES": "0",
            "HUBSTEAD_LOG_LEVEL": "warning",
            "HUBSTEAD_BLOB_GRACE_SECONDS": "0",
            "HUBSTEAD_S3_DIRECT_DOWNLOADS": "true",
            **self.shape.env,
        }
        # A client's cache belongs to an address, which must stay the same.
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
        self.node = ForkedHub(self.folder / "hub", env, fixed_port=port)
        self.writers = [
            Writer(f"xet{n}", self.folder / f"xet{n}", random.Random(self.random.random()), n == 1)
            for n in range(WRITERS)
        ]

    def begin(self) -> None:
        self.node.start()
        for writer in self.writers:
            response = self.node.call("POST", "/api/repos/create", {"name": writer.name})
            assert response.status == 200, response.body
            writer.start(self.node.url, self.node.token)  # the first upload imports the client
        for writer in self.writers:
            writer.join()
            assert writer.pending is None, writer.last_result

    def round(self) -> None:
        """Upload, kill one side, check, restart, check."""
        self.rounds += 1
        for writer in self.writers:
            writer.start(self.node.url, self.node.token)
        time.sleep(self.random.uniform(0.02, 2.0))
        if self.random.random() < 0.8:
            self._kill_server()
        else:
            self._kill_client()
        for writer in self.writers:
            writer.join()
        caller = Connection(self.node.port, self.node.token)
        for writer in self.writers:
            self._settle(writer, caller)
        caller.close()
        if self.rounds % 4 == 0:
            asyncio.run(self._healthy())

    def _kill_server(self) -> None:
        self.node.kill()
        for writer in self.writers:
            writer.stopping = True
        if self.shape.disk_is_a_cache and self.random.random() < 0.3:
            shutil.rmtree(self.node.data)
            self.events["data folder deleted"] += 1
        deadline = time.monotonic() + 30
        while True:
            try:
                self.node.start()
                return
            except HubFailed:  # PostgreSQL may still wait for the locks of the killed process
                if self.shape.postgres is None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _kill_client(self) -> None:
        self.random.choice(self.writers).kill()
        self.events["client killed"] += 1
        for writer in self.writers:
            writer.stopping = True

    def _settle(self, writer: Writer, caller: Connection) -> None:
        """Acknowledged files are stored; pending ones completely or not at all, and they resume."""
        seen = _files(caller, writer.repo)
        if writer.pending is None:
            assert seen == writer.stored, f"round {self.rounds}, {writer.name}"
        else:
            done = writer.stored | writer.pending.digests
            assert seen in (writer.stored, done), f"round {self.rounds}, {writer.name}"
            self.done += seen == done
            self.vanished += seen != done
            assert writer.upload(), f"round {self.rounds}, {writer.name}: {writer.last_result}"
            assert _files(caller, writer.repo) == writer.stored
        path = self.random.choice(sorted(writer.stored))
        assert writer.download(path) == writer.stored[path]

    async def _healthy(self) -> None:
        async with stores_of(self.node) as stores:
            bad = await faults_of(stores)
        assert not bad, f"round {self.rounds}: {bad}"

    def end(self) -> None:
        asyncio.run(self._healthy())
        self.events["commits"] = sum(writer.acknowledged for writer in self.writers)
        assert self.node.stop() == 0

    def summary(self, seconds: float) -> str:
        """Return a row of the table of results."""
        commits = self.events.pop("commits")
        others = ", ".join(f"{count} × {name}" for name, count in self.events.items()) or "none"
        kills = self.rounds - self.events["client killed"]
        self.events["commits"] = commits
        return (
            f"| {time.strftime('%Y-%m-%d', time.gmtime())} | {self.shape.name}; hf_xet | {kills} "
            f"| {commits} | 0 | {self.done} / {self.vanished} "
            f"| {seconds / self.rounds:.1f} s | {others} | {commits} × commit of uploads by Xet |"
        )


def _files(caller: Connection, repo: str) -> dict[str, str]:
    """Return the digests of all files, read over plain HTTP."""
    response = caller("GET", f"/api/models/{repo}/tree/main?recursive=true")
    assert response.status == 200, response.body
    paths = [entry["path"] for entry in response.json if entry["type"] == "file"]
    digests = {}
    for path in paths:
        if path != ".gitattributes":
            response = caller("GET", f"/{repo}/resolve/main/{path}")
            assert response.status == 200, (path, response.status, response.body[:300])
            digests[path] = hashlib.sha256(response.body).hexdigest()
    return digests
