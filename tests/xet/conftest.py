"""The Xet store of a hub, in both shapes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from hubstead.accounts import Actor
from hubstead.app import open_storage
from hubstead.blobs import BlobKind
from hubstead.commits import Storage
from hubstead.db.schema import metadata
from hubstead.repos import Repo
from hubstead.xet import XetStore, parse_shard
from tests.support.factories import a_repo, a_user
from tests.support.hub import SHAPES, settings_of
from tests.support.rows import reading
from tests.support.xet_files import SampleFile, SampleXorb, a_shard

_COUNTS = {
    name: reading(select(func.count().label("rows")).select_from(table))
    for name, table in metadata.tables.items()
}


@dataclass
class XetHub:
    """A hub's stores, a repository of anna's, and shortcuts to upload to it."""

    stores: Storage
    anna: Actor
    repo: Repo

    @property
    def xet(self) -> XetStore:
        return self.stores.xet

    async def send(self, xorb: SampleXorb, repo: Repo | None = None, body: bytes = b"") -> bool:
        """Upload a xorb as the wire does."""
        data = memoryview(body or xorb.body)
        async with self.xet.receive_xorb(xorb.name, (repo or self.repo).pk) as upload:
            for start in range(0, len(data), 100_000):
                await asyncio.to_thread(upload.feed, data[start : start + 100_000])
        return upload.is_new

    async def register(
        self, *files: SampleFile, xorbs: tuple[SampleXorb, ...] = (), repo: Repo | None = None
    ) -> bool:
        return await self.take(a_shard(files, xorbs), repo=repo)

    async def take(self, shard: bytes, *, repo: Repo | None = None, **how: Any) -> bool:
        return await self.xet.shards.register(
            (repo or self.repo).pk, self.anna.pk, parse_shard(shard), **how
        )

    async def upload(self, *files: SampleFile, xorbs: tuple[SampleXorb, ...]) -> None:
        for xorb in xorbs:
            await self.send(xorb)
        await self.register(*files, xorbs=xorbs)

    async def read(self, file: SampleFile, start: int = 0, count: int | None = None) -> bytes:
        source = await self.xet.open_object(file.sha256)
        assert source.path is None
        return b"".join([chunk async for chunk in source.chunks(start, count)])

    async def traces(self) -> dict[str, object]:
        """Return all that an upload could leave."""
        rows = {name: (await self.stores.db.one(count)).rows for name, count in _COUNTS.items()}  # type: ignore[union-attr]
        stored = [
            count.key.name for kind in BlobKind async for count in self.stores.blobs.keys(kind)
        ]
        data = self.stores.settings.data
        aside = [path.name for path in data.rglob("incoming-*")]
        return {**rows, "blobs": sorted(stored), "aside": aside}


@pytest.fixture(params=SHAPES)
def hub(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    run: Callable[[Coroutine[Any, Any, Any]], Any],
) -> Iterator[XetHub]:
    settings = settings_of(request.param, tmp_path / "data", request)
    stack = AsyncExitStack()

    async def start() -> XetHub:
        stores = await stack.enter_async_context(open_storage(settings, make=True))
        anna = await a_user(stores.db, "anna")
        return XetHub(stores, anna, await a_repo(stores.db, anna))

    yield run(start())
    run(stack.aclose())
