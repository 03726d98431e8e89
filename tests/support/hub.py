"""Starts a hub in one of three ways, all with the same interface (``RunningHub``).

=============  ==================================================================================
``ThreadHub``  in a thread of this process, where a test reaches its database and its objects
``ProcessHub`` the command ``hubstead serve`` in a process of its own, which a test may kill
``ForkedHub``  the same command, forked from a process that has imported all of it (ten times
               quicker to start)
=============  ==================================================================================

The fixture ``live_hub`` is a ``ThreadHub`` per shape and test run. Each test adds users and
repositories of its own to it, so that tests do not meet::

    def test_a_stranger_reads(live_hub):
        anna = live_hub.user("anna")        # a fresh account, "anna-3f2a…", with a write token
        anna.api.create_repo(anna.path("bert"))
        assert live_hub.call("GET", f"/api/models/{anna.name}/bert").status == 200
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import multiprocessing
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

import pytest
import uvloop
from huggingface_hub import HfApi
from sqlalchemy import func, select

from hubstead.accounts import add_org, add_token, add_user, set_member
from hubstead.app import open_hub, routes
from hubstead.blobs import BlobKind
from hubstead.db import Database, Tx, WriteFn
from hubstead.db.schema import metadata
from hubstead.http import HttpServer, Limits
from hubstead.pages import failure_page
from hubstead.settings import Settings
from hubstead.wire import Application, Hub
from tests.support.command import HUBSTEAD, clean_environment
from tests.support.http import Response, request
from tests.support.person import Person
from tests.support.processes import die_with_parent
from tests.support.rows import reading
from tests.support.services import Postgres, S3Server

P = ParamSpec("P")
T = TypeVar("T")
SHAPES = ("embedded", "company")
START_TIMEOUT_S = 60.0

_FORKING = multiprocessing.get_context("forkserver")
_IMPORTED = (
    "hubstead.app",
    "hubstead.cli.serve",
    "hubstead.db.postgres",
    "hubstead.blobs.s3",
    "alembic.command",
    "sqlalchemy.ext.asyncio",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "tests.support.hub",
)
_FORKING.set_forkserver_preload(list(_IMPORTED))

#: A refused sign-in leaves its count of attempts by design.
_COUNTS = {
    table.name: reading(select(func.count().label("rows")).select_from(table))
    for table in metadata.tables.values()
    if table.name != "sign_in_attempt"
}


class HubFailed(Exception):
    """A hub's process did not start or did not end; the text is the end of its log."""


class RunningHub(ABC):
    """A hub that serves on a port of this machine."""

    port: int
    token: str = ""  # of its first administrator, if the start printed it

    @abstractmethod
    def start(self) -> Self:
        """Start the server, or start it again, and wait until it accepts connections."""

    @abstractmethod
    def stop(self) -> object:
        """Drain and end."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        token: str | None = None,
        **headers: str,
    ) -> Response:
        """Send one request on a connection of its own.

        Args:
            token: The token that signs it ("" for none), by default the hub's own.
            headers: Header fields; ``_`` in a name stands for ``-``.
        """
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        chosen = self.token if token is None else token
        if chosen:
            named.setdefault("Authorization", f"Bearer {chosen}")
        return request(self.port, method, url, body, named)

    def api(self, token: str | bool = False) -> HfApi:
        """Return the real client; without a token it is anonymous."""
        return HfApi(endpoint=self.url, token=token)


@dataclass
class ThreadHub(RunningHub):
    """A hub that serves from a thread of this process."""

    shape: str
    settings: Settings
    hub: Hub = field(init=False)
    server: HttpServer = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _thread: threading.Thread = field(init=False)

    def start(self) -> Self:
        """Start the server, or start it again, and wait until it accepts connections."""
        ready = threading.Event()
        faults: list[BaseException] = []

        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            async with open_hub(self.settings, make=True) as self.hub:
                self.server = HttpServer(
                    Application(self.hub, routes(self.settings), failure_page=failure_page),
                    limits=Limits(),
                    on_started=started,
                    drain_s=2,
                    lifespan="off",
                )
                await self.server.serve()

        def started(port: int) -> None:
            self.hub.port = self.port = port
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
        self._thread.join(60)
        assert not self._thread.is_alive()

    # -- access to its parts ---------------------------------------------------------------------

    @property
    def db(self) -> Database:
        return self.hub.db

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the hub's loop, and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def write(self, fn: WriteFn[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one transaction."""
        return self.run(self.db.write(fn, *args, **kwargs))

    # -- accounts --------------------------------------------------------------------------------

    def user(self, name: str = "anna", *, role: str = "write", password: str = "") -> Person:
        """Add an account whose name starts with ``name``, and its token of that role."""
        full = f"{name}-{secrets.token_hex(3)}"
        password_hash = self.run(self.hub.passwords.hash(password)) if password else None
        pk = self.write(add_user, full, password_hash=password_hash)
        return Person(self, full, pk, self.token_of(pk, role))

    def token_of(self, pk: int, role: str = "write") -> str:
        """Create an access token of a user."""
        return self.write(add_token, pk, name=f"t-{secrets.token_hex(3)}", role=role)

    def org(self, owner: Person, members: Mapping[str, Person] | None = None) -> str:
        """Add an organization with ``members`` by role, and return its name."""
        name = f"acme-{secrets.token_hex(3)}"

        async def add(tx: Tx) -> None:
            org = await add_org(tx, name, owner.pk)
            for role, member in (members or {}).items():
                await set_member(tx, org, member.pk, role)

        self.write(add)
        return name

    # -- content ---------------------------------------------------------------------------------

    def traces(self) -> dict[str, object]:
        """Return all that a write could leave: row counts by table, git files, names of blobs."""
        return {**self.run(self._rows()), "git": self._files(), "blobs": self.run(self._blobs())}

    async def _rows(self) -> dict[str, object]:
        counts: dict[str, object] = {}
        for name, statement in _COUNTS.items():
            row = await self.db.one(statement)
            assert row is not None
            counts[name] = row.rows
        return counts

    def _files(self) -> list[str]:
        folders = [self.settings.git_root, self.settings.data / "incoming"]
        files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.settings.data)) for path in files)

    async def _blobs(self) -> list[str]:
        return sorted(
            [blob.key.name for kind in BlobKind async for blob in self.hub.blobs.keys(kind)]
        )


@dataclass
class ProcessHub(RunningHub):
    """``hubstead serve`` over the data folder ``data``; it can be started again after its end."""

    data: Path
    env: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    token: str = ""
    under: Sequence[str | Path] = ()  # a program to run the server under
    fixed_port: int = 0  # with a public_url the server does not print its port
    options: Sequence[str] = ()  # of ``hubstead serve``
    process: subprocess.Popen[str] | None = None
    greeting: list[str] = field(default_factory=list)  # the first lines that the server prints
    public_url: str = ""  # the address in the greeting

    @property
    def log(self) -> Path:
        return self.data.with_name(f"{self.data.name}.log")

    def environment(self) -> dict[str, str]:
        """Return this process's environment without settings of a hub, with this hub's."""
        return {**clean_environment(), **self.env}

    def command(self, *arguments: str | Path) -> list[str | Path]:
        return [HUBSTEAD, *arguments, "--data", self.data]

    def start(self) -> Self:
        """See ``RunningHub.start``.

        Raises:
            HubFailed: if it does not start within a minute.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.under, *self.command("serve"), *self._options()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self.environment(),
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - nothing but one system call
            )
        late = threading.Timer(START_TIMEOUT_S, self.process.kill)
        late.start()
        assert self.process.stdout is not None
        try:
            self._read_greeting(self.process.stdout)
        except HubFailed:
            self._wait(10)
            raise
        finally:
            late.cancel()
        return self

    def _options(self) -> list[str]:
        return ["--port", str(self.fixed_port), *self.options]

    def _read_greeting(self, lines: Iterable[str]) -> None:
        """Read up to the empty line after the exports, or the one line of ``--json``."""
        self.greeting = []
        self.public_url = ""
        for line in lines:
            words = line.split()
            if self.public_url and not words:
                return
            self.greeting.append(line)
            if words[:1] == ["export"]:
                name, _, value = words[1].partition("=")
                if name == "HF_ENDPOINT":
                    self._set_address(value)
                elif name == "HF_TOKEN":
                    self.token = value
            elif line.startswith("{"):
                facts = json.loads(line)
                self._set_address(facts["url"])
                self.token = facts["token"] or self.token
                return
        raise HubFailed(self._end_of_log())

    def _set_address(self, url: str) -> None:
        self.public_url = url
        self.port = self.fixed_port or int(url.rpartition(":")[2])

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of the hub beside the server."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=check,
        )

    @property
    def is_running(self) -> bool:
        return self.process is not None

    def kill(self) -> None:
        """Kill it as a power cut would, together with its tracer (strace)."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self._wait(10)

    def stop(self, *, timeout_s: float = 40) -> int:
        """Send SIGTERM, wait for the end and return the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self._wait(timeout_s)

    def _wait(self, timeout_s: float) -> int:
        process = self.process
        assert process is not None
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
            raise HubFailed(self._end_of_log()) from None
        assert process.stdout is not None
        process.stdout.close()
        self.process = None
        return status

    def _end_of_log(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


@contextlib.contextmanager
def running_hub(
    data: Path,
    settings: Mapping[str, object] | None = None,
    *,
    fixed_port: int = 0,
    options: Sequence[str] = (),
) -> Iterator[ProcessHub]:
    """Run ``hubstead serve`` over ``data`` while the block lasts.

    ``settings`` have the names of the fields in ``settings/groups.py``.
    """
    env = {f"HUBSTEAD_{name.upper()}": str(value) for name, value in (settings or {}).items()}
    hub = ProcessHub(data, env, fixed_port=fixed_port, options=options).start()
    try:
        yield hub
    finally:
        if hub.is_running:
            hub.stop()


@dataclass
class ForkedHub(ProcessHub):
    """A ``ProcessHub`` that starts quickly."""

    child: ForkServerProcess | None = None

    def start(self) -> Self:
        """See ``ProcessHub.start``."""
        reader, writer = _FORKING.Pipe(duplex=False)
        arguments = ["serve", "--data", str(self.data), *self._options()]
        child = _FORKING.Process(
            target=_serve, args=(arguments, dict(self.env), self.log, writer), daemon=True
        )
        child.start()
        self.child = child
        writer.close()
        with os.fdopen(os.dup(reader.fileno())) as greeting:
            reader.close()
            self._read_greeting(greeting)
        return self

    @property
    def is_running(self) -> bool:
        return self.child is not None

    def kill(self) -> None:
        """See ``ProcessHub.kill``."""
        assert self.child is not None
        self.child.kill()
        self.child.join(10)
        self.child = None

    def log_tasks(self) -> None:
        """Make the server log where each of its tasks waits."""
        assert self.child is not None
        assert self.child.pid is not None
        os.kill(self.child.pid, signal.SIGUSR1)
        time.sleep(0.5)

    def stop(self, *, timeout_s: float = 40) -> int:
        """See ``ProcessHub.stop``."""
        assert self.child is not None
        assert self.child.pid is not None
        os.kill(self.child.pid, signal.SIGTERM)
        self.child.join(timeout_s)
        status = self.child.exitcode
        assert status is not None
        self.child = None
        return status


def _serve(arguments: list[str], env: Mapping[str, str], log: Path, out: Pipe) -> None:
    from hubstead.cli.root import root

    die_with_parent()
    signal.signal(signal.SIGUSR1, _log_tasks)
    os.environ.update(env)
    os.dup2(out.fileno(), 1)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    out.close()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    root(arguments, prog_name="hubstead")


def _log_tasks(*_: object) -> None:
    for task in gc.get_objects():
        if isinstance(task, asyncio.Task) and not task.done():
            task.print_stack(file=sys.stderr)


def settings_of(shape: str, data: Path, request: pytest.FixtureRequest, **more: Any) -> Settings:
    """Return settings of a hub of one shape over fresh stores."""
    if shape == "embedded":
        return Settings(data=data).replace(**more)
    postgres: Postgres = request.getfixturevalue("postgres_server")
    s3: S3Server = request.getfixturevalue("s3_server")
    return Settings(data=data).replace(
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
) -> Iterator[ThreadHub]:
    """A whole hub, once per shape: SQLite with files, PostgreSQL with S3."""
    data = tmp_path_factory.mktemp(request.param) / "data"
    hub = ThreadHub(request.param, settings_of(request.param, data, request)).start()
    yield hub
    hub.stop()


@pytest.fixture(scope="session")
def embedded_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadHub]:
    """A whole hub with SQLite and files, for what does not differ by shape."""
    hub = ThreadHub("embedded", Settings(data=tmp_path_factory.mktemp("one") / "data")).start()
    yield hub
    hub.stop()


@pytest.fixture
def own_hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., ThreadHub]]:
    """Start hubs for one test, with other settings: ``own_hub(public_url="https://…")``."""
    started: list[ThreadHub] = []

    def start(shape: str = "embedded", **settings: Any) -> ThreadHub:
        data = tmp_path / f"hub-{len(started)}"
        started.append(ThreadHub(shape, settings_of(shape, data, request, **settings)).start())
        return started[-1]

    yield start
    for hub in started:
        hub.stop()
