"""Releases of the clients as they were published, each in an environment of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.clients.hub import RunningHub
from tests.clients.releases import ALL, RELEASES, Release
from tests.clients.results import Results
from tests.clients.running import run_scenario

without_node = pytest.mark.skipif(shutil.which("npm") is None, reason="Node is not on this machine")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "release",
    [
        pytest.param(release, marks=without_node if release.for_node else ())
        for release in RELEASES
        if ALL or release.everyday
    ],
    ids=lambda release: f"{release} {release.scenario.partition('.')[0]}",
)
def test_a_release_does_everything_it_can(
    request: pytest.FixtureRequest, results: Results, release: Release, tmp_path: Path
) -> None:
    hub: RunningHub = request.getfixturevalue("hub_by_name" if release.by_name else "hub")
    outcome = run_scenario(hub, release, tmp_path)
    results.outcomes[release] = outcome
    assert not outcome.failed, "\n".join(f"-- {a}\n{b}" for a, b in outcome.failed.items())
