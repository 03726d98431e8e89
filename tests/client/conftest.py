"""A live hub for the wrapper's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.hub import PopulatedHub, populated_hub


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PopulatedHub]:
    with populated_hub(tmp_path_factory.mktemp("hub") / "data") as running:
        yield running
