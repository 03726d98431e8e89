"""A store of each kind, for the suite that all stores must pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hubstead.blobs import BlobStore, DirectTransfers, open_blobs
from tests.support.run import Run
from tests.support.services import S3Server


@pytest.fixture(params=["memory", "local", "s3"])
def blobs(request: pytest.FixtureRequest, run: Run) -> Iterator[BlobStore]:
    """An empty store, once per kind."""
    store: BlobStore = request.getfixturevalue(f"{request.param}_blobs")
    yield store
    run(store.close())


@pytest.fixture
def memory_blobs() -> BlobStore:
    return open_blobs("memory:")


@pytest.fixture
def local_blobs(tmp_path: Path) -> BlobStore:
    return open_blobs((tmp_path / "blobs").as_uri())


@pytest.fixture
def s3_blobs(s3_server: S3Server) -> BlobStore:
    return open_blobs(s3_server.fresh_url(), options=s3_server.options)


def direct_of(store: BlobStore) -> DirectTransfers:
    """Return the direct transfers of a store that supports them."""
    assert store.direct is not None
    return store.direct


async def read(store: BlobStore, key: Any, start: int = 0, count: int | None = None) -> bytes:
    """Return the bytes of a blob, or a range of them."""
    blob = await store.open(key)
    return b"".join([chunk async for chunk in blob.chunks(start, count)])


async def in_thread(function: Callable[[], Any]) -> Any:
    """Run a blocking function in a worker thread."""
    return await asyncio.to_thread(function)
