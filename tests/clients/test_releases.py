"""Published releases of the clients, each in its own environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.hub import PopulatedHub
from tests.clients.releases import REPOSITORY, Release
from tests.clients.results import Results
from tests.clients.runner import run_scenario, selected


@pytest.mark.timeout(600)
@pytest.mark.parametrize("release", selected(lambda scenario: scenario != REPOSITORY))
def test_a_release_passes_every_step(
    request: pytest.FixtureRequest, results: Results, release: Release, tmp_path: Path
) -> None:
    hub: PopulatedHub = request.getfixturevalue("hub_by_name" if release.by_name else "hub")
    outcome = run_scenario(hub, release, tmp_path)
    results.outcomes[release] = outcome
    assert not outcome.failed, outcome.faults
