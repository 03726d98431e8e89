"""A hub as its users run it: the command ``hubstead serve`` in a process of its own."""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

COMMAND = Path(sys.executable).with_name("hubstead")
START_TIMEOUT_S = 60.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class NodeFailed(Exception):
    """The server did not start or did not end; the text is the end of its log."""


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """One kept-open connection; an answer that does not come is an ``OSError``.

    Nothing is ever sent twice: what has no answer may have been done or not.
    """

    def __init__(self, port: int, token: str = "", *, timeout_s: float = 30) -> None:
        self.port = port
        self.token = token
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)

    def __call__(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        signed: bool = True,
    ) -> Said:
        """Send a request; a body that is neither bytes nor text goes as JSON."""
        sent = {"Authorization": f"Bearer {self.token}"} if signed and self.token else {}
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            sent["Content-Type"] = "application/json"
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            self._connection.request(method, target, body, {**sent, **(headers or {})})
            answer = self._connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Said(answer.status, named, answer.read())
        except http.client.HTTPException as error:
            self._connection.close()
            raise ConnectionError(repr(error)) from error
        except OSError:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()


@dataclass
class Node:
    """A server over the data folder ``data``, started and ended as often as one likes."""

    data: Path
    env: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    token: str = ""
    under: Sequence[str | Path] = ()  # a program to run the server under
    fixed_port: int = 0  # with a public_url the server does not say on which port it listens
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.data.with_name(f"{self.data.name}.log")

    def environment(self) -> dict[str, str]:
        """Return this process's environment without settings of a hub, with this node's."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HUBSTEAD_", "HF_"))}
        return {**kept, **self.env}

    def command(self, *arguments: str | Path) -> list[str | Path]:
        return [COMMAND, *arguments, "--data", self.data]

    def start(self) -> Node:
        """Start the server and wait until it says where it serves."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.under, *self.command("serve"), "--port", str(self.fixed_port)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self.environment(),
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - nothing but one system call
            )
        late = threading.Timer(START_TIMEOUT_S, self.process.kill)
        late.start()
        assert self.process.stdout is not None
        try:
            self._greeted(self.process.stdout)
        except NodeFailed:
            self._ended(10)
            raise
        finally:
            late.cancel()
        return self

    def _greeted(self, lines: Iterable[str]) -> None:
        told = False
        for line in lines:
            words = line.split()
            if told and not words:
                return
            if words[:1] == ["export"]:
                name, _, value = words[1].partition("=")
                if name == "HF_ENDPOINT":
                    self.port = self.fixed_port or int(value.rpartition(":")[2])
                    told = True
                elif name == "HF_TOKEN":
                    self.token = value
        raise NodeFailed(self.log.read_text(errors="replace")[-3000:])

    def call(self, method: str, url: str, body: Any = None, **how: Any) -> Said:
        """Send one request on a connection of its own."""
        caller = Caller(self.port, self.token)
        try:
            return caller(method, url, body, **how)
        finally:
            caller.close()

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of the hub beside the server."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=check,
        )

    def kill(self) -> None:
        """End it as a power cut would, and whatever it runs under (strace) with it."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self._ended(10)

    def stop(self, *, timeout_s: float = 40) -> int:
        """Ask it to end and return its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self._ended(timeout_s)

    def _ended(self, timeout_s: float) -> int:
        process = self.process
        assert process is not None
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
            raise NodeFailed(self.log.read_text(errors="replace")[-3000:]) from None
        assert process.stdout is not None
        process.stdout.close()
        self.process = None
        return status


@contextmanager
def running(data: Path, *, fixed_port: int = 0, **env: str) -> Iterator[Node]:
    """Run a server over ``data`` while the block lasts; ``env`` are settings without prefix."""
    settings = {f"HUBSTEAD_{name.upper()}": value for name, value in env.items()}
    node = Node(data, settings, fixed_port=fixed_port)
    node.start()
    try:
        yield node
    finally:
        if node.process is not None:
            node.stop()


def wait_until(true: Any, *, timeout_s: float = 60) -> None:
    """Wait until ``true()`` is."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.02)


def wait_for_line(lines: Iterable[str], wanted: str) -> None:
    """Read what another program prints, its log perhaps, up to a line that was agreed upon."""
    assert wanted in (line.rstrip("\n") for line in lines), f"it ended without {wanted!r}"


def die_with_parent() -> None:
    """Have the kernel end this process when its parent ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
