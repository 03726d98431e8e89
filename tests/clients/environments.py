"""One environment per release, created once and cached in ``.cache/clients``."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

from tests.clients.releases import Release

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".cache" / "clients"
UV = Path(sys.executable).with_name("uv")


def command_of(release: Release) -> list[str | Path]:
    """Return the command that runs a script in the environment of ``release``.

    The environment has that release and its requirements in their newest versions: every release
    of huggingface_hub can be installed and imported so on Python 3.11.
    """
    folder = install(folder_of(release), *release.requirements, for_node=release.for_node)
    return ["node"] if release.for_node else [folder / "bin" / "python", "-W", "ignore"]


def install(folder: Path, *requirements: str, for_node: bool = False) -> Path:
    """Install packages of pip or npm in a folder, unless they are there; return the folder."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready, wanted = folder / "ready", "\n".join(requirements)
        if not ready.exists() or ready.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            (_node if for_node else create_environment)(folder, *requirements)
            ready.write_text(wanted)
    return folder


def folder_of(release: Release) -> Path:
    """Return the folder of the environment of ``release``."""
    prefix = {"huggingface_hub": "", "@huggingface/hub": "js-"}
    return FOLDER / f"{prefix.get(release.package, f'{release.package}-')}{release.version}"


def create_environment(folder: Path, *requirements: str) -> Path:
    """Create a Python environment in ``folder`` and return its Python.

    uv has its own certificates; behind a registry with a private one, the system's are needed.
    """
    _run(UV, "venv", "--quiet", "--clear", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    command = (UV, "pip", "install", "--quiet", "--compile-bytecode", "--python", python)
    try:
        _run(*command, *requirements)
    except AssertionError:
        _run(*command, "--system-certs", *requirements)
    return python


def _node(folder: Path, *requirements: str) -> Path:
    folder.mkdir()
    # Optional packages of a runtime are binaries for graphics cards; its script compiles them.
    quiet = ("--no-audit", "--no-fund", "--silent", "--ignore-scripts", "--omit=optional")
    _run("npm", "install", *quiet, "--prefix", folder, *requirements)
    return folder


def _run(*command: str | Path) -> None:
    result = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=900, cwd=ROOT
    )
    assert result.returncode == 0, result.stdout + result.stderr
