"""A hub as people run it: ``hubstead serve`` in a process, managed by the command line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = [sys.executable, "-c", "from hubstead.cli import main; main()"]
START_TIMEOUT_S = 60.0
ANNA, PASSWORD = "anna", "correct horse battery"
ORG = "acme"


@dataclass(frozen=True)
class RunningHub:
    """A hub that answers at ``url``; ``anna`` owns ``acme``, ``bo`` is a stranger."""

    url: str
    data: Path
    tokens: dict[str, str]

    def run(self, *command: str) -> Any:
        """Run ``hubstead …`` beside the server and return what it answers."""
        return _run(self.data, *command)


def _run(data: Path, *command: str) -> Any:
    done = subprocess.run(
        [*PROGRAM, *command, "--data", str(data), "--json"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


@contextlib.contextmanager
def running_hub(data: Path, **settings: object) -> Iterator[RunningHub]:
    """Start a hub on a free port of this machine, with its people, and stop it afterwards.

    Args:
        data: Its folder.
        settings: Its settings, as ``HUBSTEAD_<NAME>`` sets them.
    """
    environ = {f"HUBSTEAD_{name.upper()}": str(value) for name, value in settings.items()}
    log = data.with_suffix(".log")
    with log.open("w") as sink:
        process = subprocess.Popen(
            [*PROGRAM, "serve", "--data", str(data), "--port", "0"],
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        url = _address(process, log)
        yield RunningHub(url, data, _people(data))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until and process.poll() is None:
        for line in log.read_text().splitlines():
            _, said, url = line.partition("export HF_ENDPOINT=")
            if said and _ready(url):
                return url
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"the hub did not start: {log.read_text()}")


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def _people(data: Path) -> dict[str, str]:
    # Client suites of old read fullname and email as keys that must be there.
    about = ("--email", "anna@example.org", "--fullname", "Anna Example")
    _run(data, "user", "create", ANNA, "--password", PASSWORD, *about)
    _run(data, "user", "create", "bo", "--password", PASSWORD)
    _run(data, "org", "create", ORG, "--owner", ANNA)
    return {name: _run(data, "token", "create", name)["token"] for name in (ANNA, "bo")}
