"""A hub, and a machine whose owner is signed in to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node import Node, running
from tests.world.machine import Machine


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A hub for all tests of this folder; files above 16 MB go in parts, so that some do."""
    data = tmp_path_factory.mktemp("world") / "hub"
    parts = {"lfs_part_bytes": "8MB", "lfs_multipart_threshold_bytes": "16MB"}
    with running(data, max_lfs_file_bytes="1GB", **parts) as started:
        yield started


@pytest.fixture
def machine(node: Node, tmp_path: Path) -> Machine:
    """The administrator's."""
    return Machine(node, tmp_path, node.token)


@pytest.fixture
def strange_machine(node: Node, tmp_path: Path) -> Machine:
    """Somebody's who has no token yet."""
    return Machine(node, tmp_path)
