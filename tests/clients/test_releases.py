"""Releases of the clients as they were published, each in an environment of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.hub import PopulatedHub
from tests.clients.releases import REPOSITORY, Release
from tests.clients.results import Results
from tests.clients.running import run_scenario, tried


@pytest.mark.timeout(600)
@pytest.mark.parametrize("release", tried(lambda scenario: scenario != REPOSITORY))
def test_a_release_does_everything_it_can(
    request: pytest.FixtureRequest, results: Results, release: Release, tmp_path: Path
) -> None:
    hub: PopulatedHub = request.getfixturevalue("hub_by_name" if release.by_name else "hub")
    outcome = run_scenario(hub, release, tmp_path)
    results.outcomes[release] = outcome
    assert not outcome.failed, outcome.faults
