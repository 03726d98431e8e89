"""A hub, and a machine that is signed in to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hub import ProcessHub, running_hub
from tests.world.machine import Machine


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessHub]:
    """A hub for all tests of this folder; files above 16 MB go in parts, so that some do."""
    data = tmp_path_factory.mktemp("world") / "hub"
    parts = {"lfs_part_bytes": "8MB", "lfs_multipart_threshold_bytes": "16MB"}
    with running_hub(data, {"max_lfs_file_bytes": "1GB", **parts}) as started:
        yield started


@pytest.fixture
def machine(node: ProcessHub, tmp_path: Path) -> Machine:
    """The administrator's machine."""
    return Machine(node, tmp_path, node.token)


@pytest.fixture
def strange_machine(node: ProcessHub, tmp_path: Path) -> Machine:
    """A machine without any token."""
    return Machine(node, tmp_path)
