"""Runs the command ``hubstead`` to its end; ``hub.ProcessHub`` runs it as a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HUBSTEAD = Path(sys.executable).with_name("hubstead")


def clean_environment() -> dict[str, str]:
    """Return this process's environment without settings of a hub or of the client."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("HUBSTEAD_", "HF_"))}


def hubstead(
    *arguments: str, data: Path | None = None, stdin: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run ``hubstead ARGUMENTS --data DATA`` to its end."""
    folder = ["--data", str(data)] if data else []
    return subprocess.run(
        [HUBSTEAD, *arguments, *folder],
        input=stdin,
        env=clean_environment() | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def json_of(*arguments: str, data: Path, stdin: str = "") -> Any:
    """Run a command with ``--json``, which must succeed, and return its output parsed."""
    result = hubstead(*arguments, "--json", data=data, stdin=stdin)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)
