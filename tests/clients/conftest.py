"""One hub for all clients, and the table of their outcomes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.clients.environments import ROOT
from tests.clients.hub import PopulatedHub, fronted_hub, populated_hub
from tests.clients.results import Results

SETTINGS = {
    "lfs_part_bytes": 200_000,
    "max_lfs_file_bytes": 1_000_000_000,
    "sign_in_attempts": 1000,
}


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PopulatedHub]:
    """A hub whose LFS parts are small, so that uploads have many."""
    data = tmp_path_factory.mktemp("hub") / "data"
    with populated_hub(data, SETTINGS) as running:
        yield running


@pytest.fixture(scope="session")
def hub_by_name(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PopulatedHub]:
    """The same for releases before 0.5.0, which have the public Hub's name built in."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on this machine")
    with fronted_hub(tmp_path_factory.mktemp("fronted") / "hub", SETTINGS) as running:
        yield running


@pytest.fixture(scope="session")
def results() -> Iterator[Results]:
    """The outcomes of all releases; written to the docs once every release was run."""
    results = Results()
    yield results
    if results.complete:
        (ROOT / "docs" / "compatibility.md").write_text(results.page())
