"""A live hub on each kind of store."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.lfs import LfsHub, running_lfs_hub
from tests.support.run import Run
from tests.support.services import S3Server

from hubstead.blobs import BlobStore, open_blobs
from hubstead.db import Database, open_db
from hubstead.repos import Repo


def open_store(
    request: pytest.FixtureRequest, kind: str, folder: Path, *, direct: bool
) -> BlobStore:
    if kind == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        return open_blobs(server.fresh_url(), options=replace(server.options, direct=direct))
    return open_blobs("memory:" if kind == "memory" else (folder / "blobs").as_uri())


@pytest.fixture
def sqlite(sqlite_url: str, run: Run) -> Iterator[Database]:
    database = run(open_db(sqlite_url))
    yield database
    run(database.close())


@pytest.fixture
def serve(
    request: pytest.FixtureRequest, tmp_path: Path, sqlite: Database, run: Run
) -> Iterator[Callable[..., Coroutine[Any, Any, LfsHub]]]:
    """Start a hub: ``await serve("local", hold_seconds=5)``."""
    stack = AsyncExitStack()

    async def start(kind: str = "local", **settings: Any) -> LfsHub:
        direct = bool(settings.get("s3_direct_downloads"))
        store = open_store(request, kind, tmp_path, direct=direct)
        stack.push_async_callback(store.close)
        return await stack.enter_async_context(running_lfs_hub(tmp_path, sqlite, store, **settings))

    yield start
    run(stack.aclose())


@pytest.fixture(params=["memory", "local", "s3"])
def everywhere(request: pytest.FixtureRequest, serve: Any, run: Run) -> LfsHub:
    """A hub, once per kind of store."""
    live: LfsHub = run(serve(request.param))
    return live


@pytest.fixture
def live(serve: Any, run: Run) -> LfsHub:
    """A hub with its blobs in files."""
    started: LfsHub = run(serve("local"))
    return started


@pytest.fixture
def bert(request: pytest.FixtureRequest, run: Run) -> Repo:
    """``anna/bert``, public and empty."""
    name = "everywhere" if "everywhere" in request.fixturenames else "live"
    live: LfsHub = request.getfixturevalue(name)
    repo: Repo = run(live.a_repo())
    return repo
