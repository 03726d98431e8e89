"""Releases of huggingface_hub as they were published, each in an environment of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.hub import RunningHub
from tests.clients.releases import ALL, RELEASES, Release
from tests.clients.running import run_scenario


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "release",
    [release for release in RELEASES if ALL or release.everyday],
    ids=lambda release: release.version,
)
def test_a_release_does_everything_it_can(
    hub: RunningHub, release: Release, tmp_path: Path
) -> None:
    outcome = run_scenario(hub, release, tmp_path)
    told = "\n".join(f"-- {step}\n{error}" for step, error in outcome.failed.items())
    assert set(outcome.failed) == set(release.gaps), told
