"""A hub that serves LFS only, and its users, who call it over real sockets."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import bindparam, select

from hubstead.accounts import Actor, HubSigner, Passwords, SignIn, add_token
from hubstead.blobs import BlobKey, BlobKind, BlobStore, Link, link_blobs
from hubstead.blobs.tables import blobs, holds, repo_blobs, uploads
from hubstead.commits import Storage
from hubstead.db import Database, Tx
from hubstead.gitstore import GitStore
from hubstead.http import HttpServer
from hubstead.jobs import NodeClock
from hubstead.repos import Repo
from hubstead.settings import Settings
from hubstead.wire import Application, Hub
from hubstead.wire.lfs import ROUTES
from tests.support.factories import a_repo, a_user
from tests.support.http import Response, request
from tests.support.rows import reading

T = TypeVar("T")
LFS = "application/vnd.git-lfs+json"
GIT_LFS = {"User-Agent": "git-lfs/3.3.0 (GitHub; linux amd64; go 1.19.8)"}
SETTINGS = {"lfs_part_bytes": 1000, "lfs_multipart_threshold_bytes": 5000}


#: Clients block; in the server's own threads they would keep it from answering them.
_CLIENTS = ThreadPoolExecutor(32, "client")


async def in_client_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Run the blocking call of a client in its own thread."""
    return await asyncio.get_running_loop().run_in_executor(_CLIENTS, function, *arguments)


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def oid_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def key_of(data: bytes) -> BlobKey:
    return BlobKey(BlobKind.LFS, oid_of(data))


def lfs_objects(*contents: bytes) -> list[dict[str, object]]:
    return [{"oid": oid_of(data), "size": len(data)} for data in contents]


@dataclass
class LfsHub:
    """The hub and its users: ``anna`` owns ``anna/bert``, ``bo`` is a stranger."""

    hub: Hub
    port: int
    tokens: dict[str, str] = field(default_factory=dict)
    people: dict[str, Actor] = field(default_factory=dict)

    @property
    def db(self) -> Database:
        return self.hub.db

    @property
    def store(self) -> BlobStore:
        return self.hub.blobs

    async def call(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        by: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a request; ``by`` adds the token of that user, in git's way."""
        sent = dict(headers or {})
        if by is not None:
            basic = base64.b64encode(f"user:{self.tokens[by]}".encode()).decode()
            sent.setdefault("Authorization", f"Basic {basic}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", LFS)
        return await in_client_thread(request, self.port, method, url, body, sent)

    async def batch(
        self,
        operation: str,
        objects: list[dict[str, object]],
        *,
        by: str | None = "anna",
        repo: str = "anna/bert",
        transfers: tuple[str, ...] = ("basic",),
        headers: Mapping[str, str] | None = None,
        **more: object,
    ) -> Response:
        content = {"operation": operation, "transfers": transfers, "objects": objects, **more}
        url = f"/{repo}.git/info/lfs/objects/batch"
        return await self.call("POST", url, content, by=by, headers=headers)

    async def upload_action(self, data: bytes, **how: Any) -> dict[str, Any]:
        """Return the upload action for an object that the hub lacks."""
        response = await self.batch("upload", lfs_objects(data), **how)
        assert response.status == 200, response.body
        action: dict[str, Any] = response.json["objects"][0]["actions"]["upload"]
        return action

    async def put(self, data: bytes, **how: Any) -> Response:
        """Upload an object in one request."""
        return await self.call("PUT", (await self.upload_action(data, **how))["href"], data)

    async def begin(self, data: bytes, **how: Any) -> MultipartUpload:
        """Begin a multipart upload."""
        action = await self.upload_action(data, transfers=("basic", "multipart"), **how)
        return MultipartUpload(self, data, action)

    async def commit(self, repo: Repo, data: bytes) -> None:
        """Link an object to a repository as a commit does."""

        async def add(tx: Tx) -> None:
            await link_blobs(tx, repo.pk, [Link(key_of(data), len(data), "w.bin")], pusher_pk=None)

        await self.db.write(add)

    async def commit_after_put(self, repo: Repo, data: bytes) -> None:
        """Upload an object and link it to a repository."""
        response = await self.put(data, repo=repo.full_name, transfers=("basic",))
        assert response.status == 200, response.body
        await self.commit(repo, data)

    async def a_user(self, name: str) -> Actor:
        actor = await a_user(self.db, name)

        async def add(tx: Tx) -> str:
            return await add_token(tx, actor.pk, name="laptop")

        self.tokens[name] = await self.db.write(add)
        self.people[name] = actor
        return actor

    async def a_repo(self, name: str = "anna/bert", **columns: Any) -> Repo:
        return await a_repo(self.db, self.people[name.partition("/")[0]], name, **columns)

    async def rows(self, repo: Repo | None = None) -> dict[str, int]:
        """Count the rows about blobs, and the objects in the store."""
        counts = {table.name: len(await self.db.all(_ALL[table.name])) for table in _TABLES}
        counts["stored"] = len([key async for key in self.store.keys(BlobKind.LFS)])
        return counts

    async def holds(self, repo: Repo, data: bytes) -> int | None:
        """Return when the hold on an object expires, in milliseconds."""
        row = await self.db.one(_HOLD, repo_pk=repo.pk, name=oid_of(data))
        return row.until_ms if row else None

    def leftovers(self) -> list[Path]:
        """Return the files of interrupted writes, if the store has files."""
        root = getattr(self.store, "root", None)
        if root is None:
            return []
        return list((root / "incoming").iterdir())


_TABLES = (blobs, repo_blobs, holds, uploads)
_ALL = {table.name: reading(select(table)) for table in _TABLES}
_HOLD = reading(
    select(holds.c.until_ms).where(
        holds.c.repo_pk == bindparam("repo_pk"), holds.c.name == bindparam("name")
    )
)


@dataclass
class MultipartUpload:
    """A multipart upload, as a client does it."""

    live: LfsHub
    data: bytes
    action: dict[str, Any]
    etags: dict[int, str] = field(default_factory=dict)

    @property
    def numbers(self) -> list[int]:
        return [int(name) for name in self.action["header"] if name.isdigit()]

    @property
    def chunk(self) -> int:
        return int(self.action["header"]["chunk_size"])

    def piece(self, number: int) -> bytes:
        return self.data[(number - 1) * self.chunk : number * self.chunk]

    async def send(self, number: int, data: bytes | None = None) -> Response:
        response = await self.live.call(
            "PUT",
            self.action["header"][f"{number:05}"],
            self.piece(number) if data is None else data,
        )
        if response.status == 200:
            self.etags[number] = response.headers["etag"]
        return response

    async def send_all(self, *, order: list[int] | None = None) -> None:
        for number in order or self.numbers:
            response = await self.send(number)
            assert response.status == 200, response.body

    async def complete(self, **changes: Any) -> Response:
        parts = [{"partNumber": n, "etag": etag} for n, etag in sorted(self.etags.items())]
        body = {"oid": oid_of(self.data), "parts": parts, **changes}
        return await self.live.call("POST", self.action["href"], body)


@asynccontextmanager
async def running_lfs_hub(
    folder: Path, db: Database, store: BlobStore, **settings: Any
) -> AsyncIterator[LfsHub]:
    """Serve a hub with the users anna and bo, and ``anna/bert``."""
    config = Settings(data=folder).replace(**{**SETTINGS, **settings})
    stores = Storage(db, GitStore(folder / "git"), store, config, packs_are_blobs=False)
    passwords = Passwords()
    clock = NodeClock(db, "lfs", tolerance_s=5)
    hub = Hub(config, stores, passwords, SignIn(db, passwords), await HubSigner.load(db), clock)
    server = HttpServer(Application(hub, ROUTES), lifespan="off")
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    try:
        live = LfsHub(hub, server.port)
        await live.a_user("anna")
        await live.a_user("bo")
        yield live
    finally:
        # A graceful stop takes a fifth of a second, and has its own tests.
        for listener in server.servers:
            listener.close()
        for _ in range(500):
            if not server.server_state.tasks:
                break
            await asyncio.sleep(0.01)
        assert not server.server_state.tasks, "a request goes on for ever"
