"""The real command, as people run it: one call, or a hub that serves."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HUBSTEAD = Path(sys.executable).with_name("hubstead")
#: What a shell of the developer may hold must not reach the tests.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("HUBSTEAD_")}


def hubstead(
    *arguments: str, data: Path | None = None, stdin: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run ``hubstead ARGUMENTS --data DATA`` to its end."""
    place = ["--data", str(data)] if data else []
    return subprocess.run(
        [HUBSTEAD, *arguments, *place],
        input=stdin,
        env=CLEAN | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def answer_of(*arguments: str, data: Path, stdin: str = "") -> Any:
    """Run a command with ``--json``, which must succeed, and return what it says."""
    done = hubstead(*arguments, "--json", data=data, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@dataclass(frozen=True)
class Served:
    """A hub that is running."""

    url: str
    token: str  # of its first administrator
    data: Path
    process: subprocess.Popen[str]
    greeting: str  # the first line of it


@contextlib.contextmanager
def serving(data: Path, *options: str, port: int = 0, **variables: str) -> Iterator[Served]:
    """Run ``hubstead serve`` on a free port (or this one) while the block lasts."""
    data.mkdir(parents=True, exist_ok=True)
    with (data.parent / f"{data.name}.log").open("w") as log:
        process = subprocess.Popen(
            [HUBSTEAD, "serve", "--data", str(data), "--port", str(port), *options],
            env=CLEAN | variables,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        greeting = process.stdout.readline()
        found = re.search(r"https?://[^\s\"]+", greeting)
        assert found, Path(log.name).read_text()[-3000:]
        token = (data / "first-token").read_text().strip()
        yield Served(found[0], token, data, process, greeting)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)
        if process.stdout is not None:
            process.stdout.close()
