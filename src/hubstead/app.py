"""The one module that builds everything and runs it."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import click
import msgspec
import structlog
import uvloop

from hubstead import logs, outbox, webhooks
from hubstead.accounts import (
    HubSigner,
    LastUse,
    Passwords,
    SignIn,
    add_token,
    add_user,
    authenticate_token,
    has_admin,
    rotate_keys,
)
from hubstead.blobs import S3Options, open_blobs
from hubstead.blobs import jobs as blob_jobs
from hubstead.commits import Storage
from hubstead.commits import jobs as commit_jobs
from hubstead.db import Database, Tx, migrate, open_db, refuse_marked_folder
from hubstead.errors import HubError, InvalidCredentials, Unavailable
from hubstead.files import make_folder, sync_folder
from hubstead.gitstore import GitStore, declare_git_metrics
from hubstead.http import HttpServer, Limits
from hubstead.jobs import MEASURE_EVERY_S, Handler, Job, NodeClock, Reschedule, Runner
from hubstead.metrics import Metrics
from hubstead.pages import ROUTES as PAGES
from hubstead.pages import compile_templates
from hubstead.settings import Settings
from hubstead.webhooks import Deliveries, RetryPolicy, Sender
from hubstead.wire import Application, Hub, Route, git, hub_api, lfs, xet
from hubstead.xet import jobs as xet_jobs

FIRST_USER = "admin"
FIRST_TOKEN = "first-token"
ROTATE = "accounts.rotate_keys"
ROTATE_EVERY_S = 86_400.0
#: How often each node writes down when tokens were used, and reads the signing keys.
UPKEEP_EVERY_S = 30.0
#: When each node looks for leftovers in its folders of git: soon after its start, for a laptop's
#: server may not run for hours, and then so often.
SWEEP_AFTER_S, SWEEP_EVERY_S = 600.0, 6 * 3600.0

#: Who handles events, in this order.
LISTENERS = (webhooks.LISTENER,)

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104

_log = structlog.get_logger("hubstead")


def routes() -> list[Route]:
    """Return the table of every address that is served."""
    return [*hub_api.ROUTES, *lfs.ROUTES, *git.ROUTES, *xet.ROUTES, *PAGES]


@asynccontextmanager
async def open_storage(
    settings: Settings, *, make: bool = False, restoring: bool = False
) -> AsyncIterator[Storage]:
    """Open the database and everything that holds content, while the block lasts.

    Args:
        settings: Where they are.
        make: Make the database, or bring it up to date, if need be; the caller holds the data
            folder (``holding``).
        restoring: The caller is a restore; nobody else may use what it has not completed.

    Raises:
        Unavailable: something does not answer, needs ``make``, or is half restored.
    """
    if not restoring:
        refuse_marked_folder(settings.data)
    if make:
        await migrate(settings.database_url)
    db = await open_db(
        settings.database_url,
        pool_size=settings.database.pool,
        reader_threads=settings.database.reader_threads,
        restoring=restoring,
    )
    store = None
    try:
        store = open_blobs(
            settings.blobs_url,
            options=_s3_options(settings),
            min_free_bytes=settings.blobs.min_free_bytes,
        )
        stores = Storage(
            db=db,
            git=GitStore(
                settings.git_root,
                max_open=settings.git.open_repositories,
                max_open_packs=settings.git.open_packs,
            ),
            blobs=store,
            settings=settings,
            packs_are_blobs=store.is_shared,
        )
        try:
            yield stores
        finally:
            await stores.xet.close()
    finally:
        if store is not None:
            await store.close()
        await db.close()


def _s3_options(settings: Settings) -> S3Options:
    return S3Options(
        endpoint=settings.s3.endpoint,
        public_endpoint=settings.s3.public_endpoint,
        region=settings.s3.region,
        access_key=settings.s3.access_key,
        secret_key=settings.s3.secret_key,
        session_token=settings.s3.session_token,
        path_style=settings.s3.path_style,
        direct=settings.s3.direct_downloads,
    )


@asynccontextmanager
async def open_hub(settings: Settings, *, make: bool = False) -> AsyncIterator[Hub]:
    """Open a whole hub, without serving it; see ``open_storage``."""
    async with open_storage(settings, make=make) as stores:
        metrics = Metrics()
        declare_git_metrics(metrics, stores.git)
        passwords = Passwords()
        sign_in = SignIn(
            stores.db,
            passwords,
            attempts=settings.accounts.sign_in_attempts,
            window_s=int(settings.accounts.sign_in_window_s),
        )
        hub = Hub(
            settings=settings,
            stores=stores,
            passwords=passwords,
            sign_in=sign_in,
            seal=await HubSigner.load(stores.db),
            clock=NodeClock(
                stores.db, node_name(), tolerance_s=settings.database.clock_tolerance_seconds
            ),
            last_use=LastUse(),
            metrics=metrics,
        )
        try:
            yield hub
        finally:
            await hub.last_use.flush(stores.db)


@contextmanager
def lock_data_folder(data: Path) -> Iterator[None]:
    """Keep the data folder for this process: one server, or one migration, at a time.

    Raises:
        Unavailable: another process holds it.
    """
    make_folder(data.absolute())
    fd = os.open(data / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Unavailable(reason=f"another server holds the data folder {data}") from None
        yield
    finally:
        os.close(fd)


@asynccontextmanager
async def background_jobs(hub: Hub) -> AsyncIterator[Runner]:
    """Do the background work of a hub while the block lasts."""
    settings = hub.settings
    sender = Sender(
        timeout_s=settings.webhooks.timeout_s, private_networks=settings.webhooks.private_networks
    )
    patience = RetryPolicy(settings.webhooks.max_attempts, settings.webhooks.hold_s)
    deliveries = Deliveries(hub.db, sender, patience)
    handlers: dict[str, Handler] = {
        **outbox.handlers(hub.db, LISTENERS),
        **webhooks.handlers(hub.db, deliveries),
        **blob_jobs.handlers(hub.db, hub.blobs, settings),
        **commit_jobs.handlers(hub.stores),
        **xet_jobs.handlers(hub.db, settings),
        **xet_jobs.conversion(hub.db, hub.blobs, hub.stores.xet, settings),
        ROTATE: _rotate(hub),
    }
    lanes = {outbox.DISPATCH: 1, **webhooks.QUEUES}
    runner = Runner(hub.db, handlers, node=node_name(), lanes=lanes, clock=hub.clock)
    outbox.schedule(runner, hub.db)
    webhooks.schedule(runner)
    for name, seconds in {
        **blob_jobs.EVERY_S,
        **commit_jobs.EVERY_S,
        **xet_jobs.EVERY_S,
        **xet_jobs.CONVERT_EVERY_S,
    }.items():
        runner.schedule_every(name, seconds)
    runner.schedule_every(ROTATE, ROTATE_EVERY_S)
    await hub.clock.measure()
    task = asyncio.create_task(runner.run())
    upkeep = [
        asyncio.create_task(
            _run_periodically(_flush_and_reload, hub, UPKEEP_EVERY_S, UPKEEP_EVERY_S)
        ),
        asyncio.create_task(
            _run_periodically(_maintain_packs, hub, UPKEEP_EVERY_S, UPKEEP_EVERY_S)
        ),
        asyncio.create_task(
            _run_periodically(_measure_clock, hub, MEASURE_EVERY_S, MEASURE_EVERY_S)
        ),
        asyncio.create_task(_run_periodically(_sweep, hub, SWEEP_AFTER_S, SWEEP_EVERY_S)),
    ]
    try:
        yield runner
    finally:
        runner.stop()
        for chore in upkeep:
            chore.cancel()
        await task
        await sender.close()
        with suppress(HubError):  # the announcement expires by itself
            await hub.clock.withdraw()


def node_name() -> str:
    """Return the name of this process in ``hubstead jobs``: machine and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _rotate(hub: Hub) -> Handler:
    async def make_key(_job: Job) -> Reschedule | None:
        await rotate_keys(hub.db)
        return None

    return make_key


async def _run_periodically(
    chore: Callable[[Hub], Awaitable[None]], hub: Hub, after_s: float, every_s: float
) -> None:
    """Do what every node does for itself; whatever goes wrong once must not end it for good."""
    await asyncio.sleep(after_s)
    while True:
        try:
            await chore(hub)
        except HubError as error:
            _log.warning("upkeep has to wait", error=error.message)
        except Exception as error:
            _log.error("upkeep failed", exc_info=error)
        await asyncio.sleep(every_s)


async def _measure_clock(hub: Hub) -> None:
    await hub.clock.measure()


async def _flush_and_reload(hub: Hub) -> None:
    await hub.last_use.flush(hub.db)
    await hub.seal.reload(hub.db)


async def _maintain_packs(hub: Hub) -> None:
    await commit_jobs.maintain_packs(hub.stores)


async def _sweep(hub: Hub) -> None:
    await commit_jobs.sweep_folders(hub.stores)


def serve(settings: Settings, *, as_json: bool = False) -> None:
    """Serve a hub until SIGTERM or SIGINT, then drain.

    Args:
        settings: Of the hub.
        as_json: Print where it is, once it is there, as an object in one line.

    Raises:
        Unavailable: another server holds the data folder, or something does not answer.
        SystemExit: the address cannot be bound.
    """
    logs.configure(settings)
    compile_templates()
    _allow_open_files(settings.server.max_connections * 2 + settings.git.open_packs + 1024)
    with lock_data_folder(settings.data):
        uvloop.run(_serve(settings, as_json=as_json))


async def _serve(settings: Settings, *, as_json: bool) -> None:
    async with open_hub(settings, make=True) as hub, background_jobs(hub):
        token = await first_token(hub)

        def started(port: int) -> None:
            hub.port = port
            # What is there now stays: looking through it all again would stall every request
            # for 25 ms each time.
            gc.freeze()
            say = _greeting_for_programs if as_json else _greeting
            click.echo(say(settings, port, token))

        server = HttpServer(
            Application(hub, routes()),
            host=settings.server.host,
            port=settings.server.port,
            limits=_limits(settings),
            on_started=started,
            drain_s=int(settings.server.shutdown_seconds),
            lifespan="off",
        )
        await server.serve()
        hub.unavailable = "it is shutting down"


def _limits(settings: Settings) -> Limits:
    return Limits(
        header_bytes=settings.server.header_bytes,
        header_seconds=settings.server.header_seconds,
        body_min_bytes_per_s=settings.server.body_min_bytes_per_s,
        body_silence_s=settings.server.body_silence_s,
        max_connections=settings.server.max_connections,
    )


def _allow_open_files(wanted: int) -> None:
    """Raise this process's limit of open files, so that what settings allow can be reached."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def first_token(hub: Hub) -> str | None:
    """Make the first administrator if there is none; return their token while it is valid.

    The token is kept in the data folder, readable by its owner only, so that who starts the hub
    can use it. It is written before the account is made: a crash in between makes a new one.
    """
    path = hub.settings.data / FIRST_TOKEN
    if not await has_admin(hub.db):
        await _make_first_admin(hub.db, path)
    try:
        token = path.read_text().strip()
        await authenticate_token(hub.db, token)
    except (OSError, InvalidCredentials):
        return None
    return token


async def _make_first_admin(db: Database, path: Path) -> None:
    from hubstead.accounts import new_token

    secret = new_token()
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)

    async def make(tx: Tx) -> None:
        pk = await add_user(tx, FIRST_USER, is_admin=True)
        await add_token(tx, pk, name=FIRST_TOKEN, value=secret)

    await db.write(make)


def _greeting_for_programs(settings: Settings, port: int, token: str | None) -> str:
    told = {"url": _address(settings, port)} | ({"token": token} if token else {})
    return msgspec.json.encode(told).decode()


def _address(settings: Settings, port: int) -> str:
    host = "127.0.0.1" if settings.server.host in _EVERYWHERE else settings.server.host
    return settings.server.public_url or f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _greeting(settings: Settings, port: int, token: str | None) -> str:
    url = _address(settings, port)
    lines = [f"Hubstead serves at {url}", "", f"  export HF_ENDPOINT={url}"]
    if token:
        lines.append(f"  export HF_TOKEN={token}")
    if not settings.server.public_url and settings.server.host in _EVERYWHERE:
        lines += [
            "",
            "Clients on other machines need public_url: HUBSTEAD_PUBLIC_URL=http://NAME:PORT",
        ]
    return "\n".join([*lines, ""])
