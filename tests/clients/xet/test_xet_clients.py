"""Releases of Xet clients as they were published, each in an environment of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.clients.hub import PopulatedHub
from tests.clients.releases import ALL
from tests.clients.running import read_outcome
from tests.clients.xet.clients import CLIENTS, XetClient, run_client
from tests.clients.xet.results import XetResults

without_node = pytest.mark.skipif(shutil.which("npm") is None, reason="Node is not on this machine")


def chosen(clients: list[XetClient]) -> list[object]:
    """Return the clients that this run tries, as parameters."""
    return [
        pytest.param(client, marks=() if client.xet else without_node, id=str(client))
        for client in clients
        if ALL or client.everyday
    ]


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("client", chosen(CLIENTS))
def test_a_client_does_everything_it_can(
    request: pytest.FixtureRequest,
    xet_hub: PopulatedHub,
    xet_results: XetResults,
    client: XetClient,
    tmp_path: Path,
) -> None:
    script = "xet.py" if client.xet else "xet.mjs"
    outcome = read_outcome(run_client(xet_hub, client, script, tmp_path / "home"))
    shape = request.node.callspec.params["xet_hub"]
    xet_results.outcomes[client, shape] = outcome
    assert not outcome.failed, "\n".join(f"-- {a}\n{b}" for a, b in outcome.failed.items())
