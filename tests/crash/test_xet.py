"""Uploads by the real Xet client over a server, or of a client, that ends suddenly."""

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
def test_what_xet_clients_were_told_is_there_and_interrupted_uploads_go_on(
    shape: Callable[[], contextlib.AbstractContextManager[Shape]], tmp_path: Path
) -> None:
    with shape() as chosen:
        trial = Trial(chosen, tmp_path, random.Random(f"{SEED} xet {chosen.name}"))
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
    assert trial.told["commits"] > 0
    if ASKED:
        note(row)


@dataclass
class Upload:
    """The files of one commit: their paths in the repository, sources and digests."""

    sources: dict[str, str]
    digests: dict[str, str]


@dataclass
class Writer:
    """A client that uploads without pause to a repository of its own.

    ``there`` are the digests of what was acknowledged, ``pending`` what had no answer yet.
    """

    name: str
    folder: Path
    random: random.Random
    patient: bool  # the client tries again by itself
    there: dict[str, str] = field(default_factory=dict)
    pending: Upload | None = None
    acknowledged: int = 0
    process: subprocess.Popen[str] | None = None
    killed: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir()
        # What most files are put together from: so clients and server find chunks again.
        self.blocks = [
            self.random.randbytes(self.random.randint(150_000, 700_000)) for _ in "x" * 9
        ]
        self._numbers = 0

    @property
    def repo(self) -> str:
        return f"admin/{self.name}"

    def start(self, endpoint: str, token: str) -> None:
        """Upload in a thread until told to stop or something ends."""
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
            # It had its last answer already, so nobody has noticed yet.
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
        """Upload what is pending, and say whether that was acknowledged."""
        assert self.pending is not None
        response = self.ask(files=self.pending.sources)
        self.said = response
        if response is None or "error" in response:
            return False
        self.there |= self.pending.digests
        self.pending = None
        self.acknowledged += 1
        return True

    def download(self, path: str) -> str:
        """Return the digest of a file that the client downloads."""
        response = self.ask(download=path, folder=str(self.folder))
        assert response is not None
        assert "path" in response, response
        found = Path(response["path"])
        digest = hashlib.sha256(found.read_bytes()).hexdigest()
        shutil.rmtree(found.parents[4])
        return digest

    def ask(self, **told: Any) -> dict[str, Any] | None:
        """Have the client do something; None if it is no more."""
        if self.process is None:
            self.process = self._started()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({**self._where, **told}) + "\n")
            self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("SAID "):
                said: dict[str, Any] = json.loads(line.removeprefix("SAID "))
                return said
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
        """Make one to three files of blocks that are known and bytes that are not."""
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
    """Rounds of uploads, a sudden end, looking at what is left, and running them again."""

    shape: Shape
    folder: Path
    random: random.Random
    rounds: int = 0
    landed: int = 0
    vanished: int = 0
    told: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        env = {
            "HUBSTEAD_MIN_FREE_BYTES": "0",
            "HUBSTEAD_LOG_LEVEL": "warning",
            "HUBSTEAD_BLOB_GRACE_SECONDS": "0",
            "HUBSTEAD_S3_DIRECT_DOWNLOADS": "true",
            **self.shape.env,
        }
        # What a client remembers belongs to an address, which must be the same each time.
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
            assert writer.pending is None, writer.said

    def round(self) -> None:
        """Upload, end something, look, run again, look."""
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
            self.told["data folder deleted"] += 1
        deadline = time.monotonic() + 30
        while True:
            try:
                self.node.start()
                return
            except HubFailed:  # PostgreSQL may still be at the locks of the killed one
                if self.shape.postgres is None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _kill_client(self) -> None:
        self.random.choice(self.writers).kill()
        self.told["client killed"] += 1
        for writer in self.writers:
            writer.stopping = True

    def _settle(self, writer: Writer, caller: Connection) -> None:
        """What was acknowledged is there; what was not, wholly or not at all, and goes on."""
        seen = _files(caller, writer.repo)
        if writer.pending is None:
            assert seen == writer.there, f"round {self.rounds}, {writer.name}"
        else:
            done = writer.there | writer.pending.digests
            assert seen in (writer.there, done), f"round {self.rounds}, {writer.name}"
            self.landed += seen == done
            self.vanished += seen != done
            assert writer.upload(), f"round {self.rounds}, {writer.name}: {writer.said}"
            assert _files(caller, writer.repo) == writer.there
        path = self.random.choice(sorted(writer.there))
        assert writer.download(path) == writer.there[path]

    async def _healthy(self) -> None:
        async with stores_of(self.node) as stores:
            bad = await faults_of(stores)
        assert not bad, f"round {self.rounds}: {bad}"

    def end(self) -> None:
        asyncio.run(self._healthy())
        self.told["commits"] = sum(writer.acknowledged for writer in self.writers)
        assert self.node.stop() == 0

    def summary(self, seconds: float) -> str:
        """Return a row of the table of results."""
        commits = self.told.pop("commits")
        others = ", ".join(f"{count} × {what}" for what, count in self.told.items()) or "none"
        kills = self.rounds - self.told["client killed"]
        self.told["commits"] = commits
        return (
            f"| {time.strftime('%Y-%m-%d', time.gmtime())} | {self.shape.name}; hf_xet | {kills} "
            f"| {commits} | 0 | {self.landed} / {self.vanished} "
            f"| {seconds / self.rounds:.1f} s | {others} | {commits} × commit of uploads by Xet |"
        )


def _files(caller: Connection, repo: str) -> dict[str, str]:
    """Return the digests of all files, as plain HTTP reads them."""
    response = caller("GET", f"/api/models/{repo}/tree/main?recursive=true")
    assert response.status == 200, response.body
    paths = [each["path"] for each in response.json if each["type"] == "file"]
    found = {}
    for path in paths:
        if path != ".gitattributes":
            response = caller("GET", f"/{repo}/resolve/main/{path}")
            assert response.status == 200, (path, response.status, response.body[:300])
            found[path] = hashlib.sha256(response.body).hexdigest()
    return found
