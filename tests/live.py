"""Whole hubs on real sockets, in both shapes, and the people who call them.

``live_hub`` is a server in a thread of this process, one per shape and test run; tests make
people and repositories of their own on it, so they do not meet::

    def test_a_stranger_reads(live_hub):
        anna = live_hub.user("anna")        # a fresh account, "anna-3f2a…", with a write token
        anna.api.create_repo(anna.path("bert"))
        assert live_hub.call("GET", f"/api/models/{anna.name}/bert").status == 200
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import secrets
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

# The client reads its environment when it is imported: nothing of a developer's may reach it.
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="hubstead-tests-hf-")
os.environ.pop("HF_TOKEN", None)

import pytest
import uvloop
from huggingface_hub import HfApi
from sqlalchemy import func, select

from hubstead.accounts import add_org, add_token, add_user, set_member
from hubstead.app import opened_hub, routes
from hubstead.blobs import BlobKind
from hubstead.db import Database, Tx, scan
from hubstead.db.schema import metadata
from hubstead.settings import Settings
from hubstead.wire.http import Application, Hub, HubServer, Limits
from tests.services import Postgres, S3Server

T = TypeVar("T")
SHAPES = ("embedded", "company")

#: What scripts for ``Person.python`` begin with.
_SCRIPT = """import sys
from huggingface_hub import CommitOperationCopy, HfApi, hf_hub_download, snapshot_download
api = HfApi()
args = sys.argv[1:]
"""

_COUNTS = {
    table.name: scan(select(func.count().label("rows")).select_from(table))
    for table in metadata.tables.values()
}


@dataclass(frozen=True)
class Said:
    """An answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        return self.headers.get("x-error-code")

    @property
    def message(self) -> str:
        return self.headers.get("x-error-message", "")


def said(
    port: int,
    method: str,
    target: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Said:
    """Send one request on a connection of its own; what is not bytes or text goes as JSON."""
    sent = dict(headers or {})
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
        sent.setdefault("Content-Type", "application/json")
    if isinstance(body, str):
        body = body.encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, target, body, sent)
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Said(answer.status, named, answer.read())
    finally:
        connection.close()


@dataclass(frozen=True)
class Person:
    """Somebody with an account on a live hub."""

    hub: LiveHub
    name: str
    pk: int
    token: str

    @cached_property
    def api(self) -> HfApi:
        """The real client, signed in."""
        return self.hub.api(self.token)

    def path(self, name: str) -> str:
        """``anna-3f2a/bert``."""
        return f"{self.name}/{name}"

    def call(self, method: str, target: str, body: Any = None, **headers: str) -> Said:
        """Send a request that is signed by this person."""
        return self.hub.call(method, target, body, token=self.token, **headers)

    def repo(self, name: str = "bert", kind: str = "model", **how: Any) -> str:
        """Make a repository and return its id."""
        sdk = {"space_sdk": "static"} if kind == "space" else {}
        self.api.create_repo(self.path(name), repo_type=kind, **{**sdk, **how})
        return self.path(name)

    def commit(self, repo_id: str, *lines: Mapping[str, Any], **how: Any) -> Said:
        """Commit operations as ``{"key": …, "value": …}``; ``how``: kind, rev, header fields."""
        kind, rev = how.pop("kind", "models"), how.pop("rev", "main")
        header = {"key": "header", "value": {"summary": "test", **how}}
        body = "\n".join(json.dumps(line) for line in [header, *lines])
        target = f"/api/{kind}/{repo_id}/commit/{rev}"
        return self.call("POST", target, body, **{"Content-Type": "application/x-ndjson"})

    def run(self, *command: str, home: Path, xet: bool = True, **env: str) -> str:
        """Run a program as somebody who has just installed the client; return what it prints.

        In this process Xet is off. There it is on, as it is for everybody, unless told otherwise.
        """
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        home.mkdir(parents=True, exist_ok=True)
        theirs = {
            "HOME": str(home),
            "HF_HOME": str(home / "hf"),
            "HF_ENDPOINT": self.hub.url,
            "HF_TOKEN": self.token,
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            **({} if xet else {"HF_HUB_DISABLE_XET": "1"}),
        }
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=100,
            env={**kept, **theirs, **env},
            cwd=home,
        )
        assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def python(self, script: str, *arguments: str, home: Path, **how: Any) -> str:
        """Run Python of the tests' own environment; ``api`` is the real client. See ``run``."""
        code = _SCRIPT + textwrap.dedent(script)
        return self.run(sys.executable, "-c", code, *arguments, home=home, **how)

    def with_token(self, role: str) -> Person:
        """Return the same person with another token of that role."""
        return Person(self.hub, self.name, self.pk, self.hub.token_of(self.pk, role))


@dataclass
class LiveHub:
    """A hub that serves, from a thread of this process."""

    shape: str
    settings: Settings
    hub: Hub = field(init=False)
    server: HubServer = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _thread: threading.Thread = field(init=False)

    def start(self) -> LiveHub:
        """Start the server, or start it again, and wait until it accepts connections."""
        ready = threading.Event()
        faults: list[BaseException] = []

        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            async with opened_hub(self.settings, make=True) as self.hub:
                self.server = HubServer(
                    Application(self.hub, routes()),
                    limits=Limits(),
                    on_started=started,
                    drain_s=2,
                    lifespan="off",
                )
                await self.server.serve()

        def started(port: int) -> None:
            self.hub.port = port
            ready.set()

        def live() -> None:
            try:
                uvloop.run(serve())
            except BaseException as error:
                faults.append(error)
            finally:
                ready.set()

        self._thread = threading.Thread(target=live, name=f"hub-{self.shape}", daemon=True)
        self._thread.start()
        assert ready.wait(60)
        if faults:
            raise faults[0]
        return self

    def stop(self) -> None:
        """Drain and end."""
        self.server.stop()
        self._thread.join(30)
        assert not self._thread.is_alive()

    # -- how it is reached ---------------------------------------------------------------------

    @property
    def port(self) -> int:
        return self.hub.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def db(self) -> Database:
        return self.hub.db

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine where the hub runs, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def write(self, work: Callable[[Tx], Coroutine[Any, Any, T]]) -> T:
        """Run one transaction."""
        return self.run(self.db.write(work))

    def call(
        self, method: str, target: str, body: Any = None, *, token: str = "", **headers: str
    ) -> Said:
        """Send a request; ``headers`` may be given with ``_`` for ``-``."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent.setdefault("Authorization", f"Bearer {token}")
        return said(self.port, method, target, body, sent)

    def api(self, token: str | bool = False) -> HfApi:
        """Return the real client; without a token it is anonymous."""
        return HfApi(endpoint=self.url, token=token)

    # -- who calls -----------------------------------------------------------------------------

    def user(self, name: str = "anna", *, role: str = "write", password: str = "") -> Person:
        """Make an account whose name starts with ``name``, and a token of that role."""
        full = f"{name}-{secrets.token_hex(3)}"
        kept = self.run(self.hub.passwords.hash(password)) if password else None

        async def add(tx: Tx) -> int:
            return await add_user(tx, full, password_hash=kept)

        pk = self.write(add)
        return Person(self, full, pk, self.token_of(pk, role))

    def token_of(self, pk: int, role: str = "write") -> str:
        """Make an access token of a user."""

        async def add(tx: Tx) -> str:
            return await add_token(tx, pk, name=f"t-{secrets.token_hex(3)}", role=role)

        return self.write(add)

    def org(self, owner: Person, members: Mapping[str, Person] | None = None) -> str:
        """Make an organization with ``members`` by role, and return its name."""
        name = f"acme-{secrets.token_hex(3)}"

        async def add(tx: Tx) -> None:
            pk = await add_org(tx, name, owner.pk)
            for role, member in (members or {}).items():
                await set_member(tx, pk, member.pk, role)

        self.write(add)
        return name

    # -- what it holds -------------------------------------------------------------------------

    def traces(self) -> dict[str, object]:
        """Say all that a write could leave: rows by table, files of git, names of blobs."""
        return {**self.run(self._rows()), "git": self._files(), "blobs": self.run(self._blobs())}

    async def _rows(self) -> dict[str, object]:
        found: dict[str, object] = {}
        for name, statement in _COUNTS.items():
            row = await self.db.one(statement)
            assert row is not None
            found[name] = row.rows
        return found

    def _files(self) -> list[str]:
        folders = [self.settings.git_root, self.settings.data / "incoming"]
        files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.settings.data)) for path in files)

    async def _blobs(self) -> list[str]:
        return sorted(
            [each.key.name for kind in BlobKind async for each in self.hub.blobs.keys(kind)]
        )


def settings_of(shape: str, data: Path, request: pytest.FixtureRequest, **more: Any) -> Settings:
    """Return settings of a hub of one shape over fresh stores."""
    if shape == "embedded":
        return Settings(data=data, **more)
    postgres: Postgres = request.getfixturevalue("postgres_server")
    s3: S3Server = request.getfixturevalue("s3_server")
    return Settings(
        data=data,
        database=postgres.fresh_database(),
        blobs=s3.fresh_url(),
        s3_endpoint=s3.options.endpoint,
        s3_access_key=s3.options.access_key,
        s3_secret_key=s3.options.secret_key,
        **more,
    )


@pytest.fixture(scope="session", params=SHAPES)
def live_hub(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveHub]:
    """A whole hub, once per shape: SQLite with files, PostgreSQL with S3."""
    data = tmp_path_factory.mktemp(request.param) / "data"
    hub = LiveHub(request.param, settings_of(request.param, data, request)).start()
    yield hub
    hub.stop()


@pytest.fixture(scope="session")
def embedded_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    """A whole hub with SQLite and files, for what does not depend on where things are kept."""
    hub = LiveHub("embedded", Settings(data=tmp_path_factory.mktemp("one") / "data")).start()
    yield hub
    hub.stop()


@pytest.fixture
def own_hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., LiveHub]]:
    """Start hubs of a test's own, with other settings: ``own_hub(public_url="https://…")``."""
    started: list[LiveHub] = []

    def start(shape: str = "embedded", **settings: Any) -> LiveHub:
        data = tmp_path / f"hub-{len(started)}"
        started.append(LiveHub(shape, settings_of(shape, data, request, **settings)).start())
        return started[-1]

    yield start
    for hub in started:
        hub.stop()
