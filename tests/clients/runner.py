"""Runs a scenario in the environment of a release, and parses its outcome."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.clients.environments import command_of, folder_of
from tests.clients.hub import ANNA, OLD_TOKENS, PASSWORD, PopulatedHub
from tests.clients.releases import ALL, RELEASES, Release

SCENARIOS = Path(__file__).with_name("scenarios")
TIMEOUT_S = 500
#: Variables that a client inherits. Proxies would misdirect requests to loopback.
_INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR")


@dataclass
class Outcome:
    """The outcome of a scenario, step by step; ``failed`` and ``absent`` have the reasons."""

    passed: list[str] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    output: str = ""

    @property
    def faults(self) -> str:
        """The failed steps as readable text."""
        return "\n".join(f"-- {step}\n{why}" for step, why in self.failed.items())


def selected(wanted: Callable[[str], bool]) -> list[Any]:
    """Return the releases of the ``wanted`` scenarios that this run includes, as parameters."""
    without_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="there is no Node here")
    return [
        pytest.param(release, marks=without_npm if release.for_node else (), id=str(release))
        for release in RELEASES
        if wanted(release.scenario) and (ALL or release.everyday)
    ]


def run_scenario(hub: PopulatedHub, release: Release, home: Path) -> Outcome:
    """Run the release's scenario against ``hub``, with ``home`` as its home folder."""
    env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    result = subprocess.run(
        [*command_of(release), SCENARIOS / release.scenario],
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env={**env, **_environment(hub, release, home)},
        cwd=home,
    )
    return read_outcome(result)


def _environment(hub: PopulatedHub, release: Release, home: Path) -> dict[str, str]:
    led = hub.front.environment() if hub.front else {"HF_ENDPOINT": hub.url}
    folder = folder_of(release)
    return led | {
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "HUB_URL": hub.url,
        "ANNA_TOKEN": hub.tokens[ANNA],
        "BO_TOKEN": hub.tokens["bo"],
        "OLD_TOKENS": " ".join(OLD_TOKENS),
        "PASSWORD": PASSWORD,
        "CLIENT": str(folder),
        "RELEASE": release.version,
        "RUN": f"{release.scenario[0]}{release.version.replace('.', '_')}_",
    }


def read_outcome(result: subprocess.CompletedProcess[str]) -> Outcome:
    """Parse the steps that a scenario printed."""
    outcome = Outcome(output=result.stdout + result.stderr)
    for line in result.stdout.splitlines():
        if not line.startswith("STEP "):
            continue
        step = json.loads(line.removeprefix("STEP "))
        outcome.names.append(step["step"])
        if "error" in step:
            outcome.failed[step["step"]] = step["error"]
        elif "absent" in step:
            outcome.absent[step["step"]] = step["absent"]
        else:
            outcome.passed.append(step["step"])
    if result.returncode or not outcome.passed:
        outcome.failed["the scenario itself"] = outcome.output
    return outcome
