"""A ServerPool, and the files that its servers send."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.http_server import HASTY, RunningServer, ServerPool

from hubstead.http import Limits


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files")
    chance = random.Random(1)
    (path / "file-big").write_bytes(chance.randbytes(3_000_001))
    (path / "file-small").write_bytes(b"0123456789")
    (path / "file-empty").write_bytes(b"")
    with (path / "file-huge").open("wb") as file:
        file.truncate(1 << 30)
    return path


@pytest.fixture(scope="session")
def servers(folder: Path) -> Iterator[ServerPool]:
    servers = ServerPool(folder)
    yield servers
    servers.stop()


@pytest.fixture
def start(servers: ServerPool) -> Iterator[Callable[..., RunningServer]]:
    """Return idle servers; check afterwards that no request is left on them."""

    def get(
        limits: Limits | None = None,
        *,
        extensions: bool = True,
        loop: str = "auto",
        fresh: bool = False,
        upload_threads: int = 32,
    ) -> RunningServer:
        return servers.get(limits, extensions, loop, fresh, upload_threads)

    yield get
    servers.rest()


@pytest.fixture(params=["extension", "ordinary"])
def live(request: pytest.FixtureRequest, start: Callable[..., RunningServer]) -> RunningServer:
    """A server whose application uses the extensions, or one whose application does not."""
    return start(extensions=request.param == "extension")


@pytest.fixture(params=["extension", "ordinary"])
def strict(request: pytest.FixtureRequest, start: Callable[..., RunningServer]) -> RunningServer:
    """The same with limits that a test can reach."""
    return start(HASTY, extensions=request.param == "extension")
