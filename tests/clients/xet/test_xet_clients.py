"""Published releases of Xet clients, each in its own environment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.clients.hub import PopulatedHub
from tests.clients.releases import ALL
from tests.clients.runner import read_outcome
from tests.clients.xet.clients import CLIENTS, XetClient, run_client
from tests.clients.xet.results import XetResults

without_node = pytest.mark.skipif(shutil.which("npm") is None, reason="Node is not on this machine")


def selected(clients: list[XetClient]) -> list[object]:
    """Return the clients that this run includes, as parameters."""
    return [
        pytest.param(client, marks=() if client.xet else without_node, id=str(client))
        for client in clients
        if ALL or client.everyday
    ]


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("client", selected(CLIENTS))
def test_a_client_passes_every_step(
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
