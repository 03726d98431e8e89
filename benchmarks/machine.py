"""The facts about the machine that figures depend on; no paths, no host names."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version as version_of
from pathlib import Path

import pygit2

from benchmarks import peers


def facts() -> dict[str, str]:
    """Return processor, memory, kernel and versions."""
    return {
        "processor": f"{os.cpu_count()} × {_line('/proc/cpuinfo', 'model name')}",
        "memory": f"{int(_line('/proc/meminfo', 'MemTotal').split()[0]) / 1e6:.0f} GB",
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "uvicorn": version_of("uvicorn"),
        "libgit2": pygit2.LIBGIT2_VERSION,
        "peers": f"{peers.version('nginx')} with one worker, loader {peers.version('wrk')}",
    }


def load() -> str:
    """Return the load averages of 1, 5 and 15 minutes."""
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def _line(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "?"
