"""An environment of its own for each release, made once and kept in ``.cache/clients``."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".cache" / "clients"
UV = Path(sys.executable).with_name("uv")


def python_of(version: str) -> Path:
    """Return the interpreter of the environment that holds huggingface_hub ``version``.

    It holds that release and what it asks for, in the newest versions there are: every release
    down to 0.0.13 installs and imports so on Python 3.11.
    """
    folder = FOLDER / version
    python = folder / "bin" / "python"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _run("venv", "--quiet", "--python", sys.executable, str(folder))
            _run(
                "pip", "install", "--quiet", "--python", str(python), f"huggingface_hub=={version}"
            )
            (folder / "ready").touch()
    return python


def _run(*command: str) -> None:
    done = subprocess.run(
        [UV, *command], check=False, capture_output=True, text=True, timeout=300, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
