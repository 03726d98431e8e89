"""Builds the hub from its rooms, and runs the server with its background jobs."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import ipaddress
import os
import resource
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import click
import msgspec
import structlog
import uvloop

from hubstead import logs, webhooks
from hubstead.accounts import (
    HubSigner,
    LastUse,
    Passwords,
    SessionLimits,
    SignIn,
    add_token,
    add_user,
    authenticate_token,
    has_admin,
    new_token,
)
from hubstead.accounts.jobs import account_jobs
from hubstead.admission import (
    Admission,
    Lane,
    LaneRules,
    declare_admission_metrics,
    install_admission,
)
from hubstead.blobs import S3Options, open_blobs
from hubstead.blobs.jobs import blob_jobs
from hubstead.collections import release_upvotes
from hubstead.commits import Storage
from hubstead.commits.jobs import commit_jobs, maintain_packs, sweep_folders
from hubstead.db import Database, Timeouts, Tx, migrate, open_db, refuse_marked_folder
from hubstead.discussions import PullRequestRefs
from hubstead.errors import HubError, InvalidCredentials, NameTaken, Unavailable
from hubstead.facts import FACT_LISTENER, fact_jobs
from hubstead.files import make_folder, make_private, require_writable, sync_folder
from hubstead.garbage import garbage_jobs
from hubstead.gitstore import GitStore, declare_git_metrics
from hubstead.http import HttpServer, Limits
from hubstead.ids import FIRST_USER
from hubstead.jobs import MEASURE_EVERY_S, JobType, NodeClock, Runner, database_jobs, node_name
from hubstead.likes import release_likes
from hubstead.metrics import Metrics
from hubstead.outbox import outbox_jobs
from hubstead.pages import ROUTES as PAGES
from hubstead.pages import compile_templates, failure_page
from hubstead.registry import registry_jobs
from hubstead.settings import Settings, list_warnings
from hubstead.webhooks import Deliveries, RetryPolicy, Sender, webhook_jobs
from hubstead.wire import Application, Hub, Route, git, hub_api, lfs, registry, xet
from hubstead.xet.jobs import xet_jobs

FIRST_TOKEN = "first-token"
#: How often every node records the last use of tokens, and reloads the signing keys.
UPKEEP_EVERY_S = 30.0
#: When every node sweeps its folders of git: soon after the start, since the server of a laptop
#: may not run for hours, and then at this interval.
SWEEP_AFTER_S, SWEEP_EVERY_S = 600.0, 6 * 3600.0

#: What rooms do before an account is deleted.
ACCOUNT_RELEASES = (release_likes, release_upvotes)

#: The listeners of events, in their order.
LISTENERS = (webhooks.LISTENER, FACT_LISTENER)

#: How long a thread of a lane keeps the interpreter when the event loop wants it. Python's own 5 ms
#: would add 5 ms to every step of every request beside one busy thread.
SWITCH_S = 0.0005

#: For the addresses that stand for all of a machine's: one that answers on it. A socket of "::" has
#: no IPv4.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104

_log = structlog.get_logger("hubstead")


def routes(settings: Settings | None = None) -> list[Route]:
    """Return the routes of the server; without settings all that there can be."""
    views = registry.ROUTES if settings is None or settings.registry.enabled else []
    return [*hub_api.ROUTES, *lfs.ROUTES, *git.ROUTES, *xet.ROUTES, *views, *PAGES]


@asynccontextmanager
async def open_storage(
    settings: Settings, *, make: bool = False, restoring: bool = False
) -> AsyncIterator[Storage]:
    """Open the database and the stores of content inside the block.

    Args:
        settings: The settings of the hub.
        make: Create or migrate the database if necessary; the caller has locked the data folder
            (``lock_data_folder``).
        restoring: The caller is a restore; other callers must not open an incomplete hub.

    Raises:
        Unavailable: the database or the store does not answer, the schema is not current, or a
            restore is incomplete.
    """
    if not restoring:
        refuse_marked_folder(settings.data)
    if make:
        await migrate(settings.database_url)
        make_private(settings.private_paths())
    db = await open_db(
        settings.database_url,
        pool_size=settings.database.pool,
        reader_threads=settings.database.reader_threads,
        restoring=restoring,
        timeouts=Timeouts(settings.database.timeout_seconds),
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
            pulls=PullRequestRefs(),
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
    """Open a hub without serving it; arguments and errors are those of ``open_storage``."""
    async with open_storage(settings, make=make) as stores:
        metrics = Metrics()
        admission = _admission(settings)
        install_admission(admission)
        declare_admission_metrics(metrics, admission)
        declare_git_metrics(metrics, stores.git)
        passwords = Passwords()
        sign_in = SignIn(
            stores.db,
            passwords,
            attempts=settings.accounts.sign_in_attempts,
            window_s=settings.accounts.sign_in_window_s,
            sessions=session_limits(settings),
        )
        hub = Hub(
            settings=settings,
            stores=stores,
            passwords=passwords,
            sign_in=sign_in,
            signer=await HubSigner.load(stores.db),
            clock=NodeClock(
                stores.db, node_name(), tolerance_s=settings.database.clock_tolerance_seconds
            ),
            last_use=LastUse(),
            metrics=metrics,
            admission=admission,
        )
        watch = asyncio.create_task(admission.stalls.watch())
        try:
            yield hub
        finally:
            watch.cancel()
            await hub.last_use.flush(stores.db)


def session_limits(settings: Settings) -> SessionLimits:
    """Return how long sessions of browsers last, and how many one user has."""
    rules = settings.accounts
    return SessionLimits(rules.session_idle_s, rules.session_absolute_s, rules.max_sessions)


def _admission(settings: Settings) -> Admission:
    """Return the lanes as the settings bound them."""
    work, length = settings.admission, settings.admission.queue_length

    def rules(width: int, share: int, *, queue: int = length, **more: Any) -> LaneRules:
        return LaneRules(width, share, queue=queue, queue_share=max(1, queue // 2), **more)

    reads: dict[str, Any] = {"seconds": work.read_seconds, "abandons": True}
    git = settings.git.processes
    return Admission(
        {
            Lane.READS: rules(work.read_threads, work.read_threads - 1, **reads),
            Lane.HISTORY: rules(work.history_threads, work.history_threads // 2, **reads),
            Lane.DIGESTS: rules(work.digest_threads, work.digest_threads - 1, abandons=True),
            Lane.WRITES: rules(work.write_threads, work.write_threads - 1),
            Lane.TRANSFERS: rules(work.transfer_threads, work.transfer_threads * 3 // 4),
            Lane.PASSWORDS: rules(work.password_checks, work.password_checks // 2, **reads),
            Lane.PUSHES: rules(work.pushes, work.pushes // 2),
            Lane.PROCESSES: rules(git, max(1, git * 3 // 4), **reads),
            Lane.SCANS: rules(
                settings.database.reader_threads,
                max(1, settings.database.reader_threads - 1),
                **reads,
            ),
            Lane.UPLOADS: rules(work.upload_threads, work.upload_threads * 3 // 4, queue=0),
            Lane.BACKGROUND: rules(work.background_threads, work.background_threads),
        },
        buffered_bytes=work.buffered_bytes,
        buffered_share=work.buffered_bytes // 2,
    )


@contextmanager
def lock_data_folder(data: Path) -> Iterator[None]:
    """Lock the data folder inside the block: one server, or one migration, at a time.

    Raises:
        Unavailable: another process has the lock, or the folder cannot be written.
    """
    try:
        make_folder(data.absolute())
        fd = os.open(data / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Unavailable(
            reason=f"the data folder {data} cannot be written: {error.strerror}"
        ) from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Unavailable(reason=f"another server holds the data folder {data}") from None
        yield
    finally:
        os.close(fd)


def job_types(hub: Hub, sender: Sender) -> list[JobType]:
    """Return the types of jobs of all rooms.

    Args:
        hub: The hub.
        sender: Sends the deliveries of webhooks.
    """
    db, blobs, settings = hub.db, hub.blobs, hub.settings
    retry_policy = RetryPolicy(settings.webhooks.max_attempts, settings.webhooks.hold_s)
    return [
        *outbox_jobs(db, LISTENERS),
        *webhook_jobs(db, Deliveries(db, sender, retry_policy)),
        *blob_jobs(db, blobs, settings.blobs, pack_grace_s=settings.git.pack_grace_seconds),
        *commit_jobs(hub.stores),
        *garbage_jobs(hub.stores),
        *xet_jobs(db, blobs, hub.stores.xet, settings.xet, settings.blobs),
        *account_jobs(db, session_limits(settings)),
        *fact_jobs(hub.stores, hub.facts),
        *registry_jobs(db),
        *database_jobs(db),
    ]


@asynccontextmanager
async def background_jobs(hub: Hub) -> AsyncIterator[Runner]:
    """Run the background jobs of a hub, and the upkeep of this node, inside the block."""
    settings = hub.settings.webhooks
    sender = Sender(timeout_s=settings.timeout_s, private_networks=settings.private_networks)
    runner = Runner(hub.db, job_types(hub, sender), node=node_name(), clock=hub.clock)
    async with upkeep(hub, *_HOUSEKEEPING):
        task = asyncio.create_task(runner.run())
        try:
            yield runner
        finally:
            runner.stop()
            await task
            await sender.close()


@asynccontextmanager
async def upkeep(hub: Hub, *housekeeping: _Step) -> AsyncIterator[None]:
    """Run inside the block what every node does at intervals, and ``housekeeping`` as well."""
    await hub.clock.measure()
    tasks = [
        asyncio.create_task(run_periodically(partial(step, hub), after_s=after_s, every_s=every_s))
        for step, after_s, every_s in (*_BOOKKEEPING, *housekeeping)
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        with suppress(HubError):  # the announcement expires by itself
            await hub.clock.withdraw()


async def run_periodically(
    step: Callable[[], Awaitable[None]], *, after_s: float, every_s: float
) -> None:
    """Run an upkeep task of this node at an interval; log its errors and go on.

    Args:
        step: The task.
        after_s: When it runs first, in seconds from now.
        every_s: The pause between two runs, in seconds.
    """
    await asyncio.sleep(after_s)
    while True:
        try:
            await step()
        except HubError as error:
            _log.warning("upkeep has to wait", error=error.message)
        except Exception as error:
            _log.error("upkeep failed", exc_info=error)
        await asyncio.sleep(every_s)


async def _measure_clock(hub: Hub) -> None:
    await hub.clock.measure()


async def _flush_and_reload(hub: Hub) -> None:
    await hub.last_use.flush(hub.db)
    await hub.signer.reload(hub.db)


async def _maintain_packs(hub: Hub) -> None:
    await maintain_packs(hub.stores)


async def _sweep(hub: Hub) -> None:
    await sweep_folders(hub.stores)


#: A step of upkeep; when it runs first and how often, in seconds.
_Step: TypeAlias = tuple[Callable[[Hub], Awaitable[None]], float, float]
_BOOKKEEPING: tuple[_Step, ...] = (
    (_flush_and_reload, UPKEEP_EVERY_S, UPKEEP_EVERY_S),
    (_measure_clock, MEASURE_EVERY_S, MEASURE_EVERY_S),
)
#: What deletes files, so that a read-only hub leaves it.
_HOUSEKEEPING: tuple[_Step, ...] = (
    (_maintain_packs, UPKEEP_EVERY_S, UPKEEP_EVERY_S),
    (_sweep, SWEEP_AFTER_S, SWEEP_EVERY_S),
)


def serve(settings: Settings, *, as_json: bool = False) -> None:
    """Serve a hub until SIGTERM or SIGINT, then drain.

    Args:
        settings: The settings of the hub.
        as_json: Print the address of the started server as a JSON object in one line.

    Raises:
        Unavailable: another server has locked the data folder, the folder cannot be written, the
            database or store does not answer, or the address cannot be bound.
    """
    logs.configure(settings.logs)
    compile_templates()
    sys.setswitchinterval(SWITCH_S)
    _allow_open_files(settings.server.max_connections * 2 + settings.git.open_packs + 1024)
    with lock_data_folder(settings.data):
        require_writable([settings.data, *settings.private_paths()])
        uvloop.run(_serve(settings, as_json=as_json))


async def _serve(settings: Settings, *, as_json: bool) -> None:
    async with open_hub(settings, make=True) as hub:
        token = await first_token(hub)
        await _log_risks(hub)
        run = upkeep if settings.server.read_only else background_jobs
        async with run(hub):
            await _serve_hub(hub, settings, token, as_json=as_json)


async def _log_risks(hub: Hub) -> None:
    """Log what is valid but hardly meant, one line each."""
    for warning in list_warnings(hub.settings):
        _log.warning(warning)
    for lossy in await hub.db.lossy_settings():
        _log.warning(f"PostgreSQL runs with {lossy}: it can lose acknowledged writes in a crash")


async def _serve_hub(hub: Hub, settings: Settings, token: str | None, *, as_json: bool) -> None:
    def print_greeting(port: int) -> None:
        hub.port = port
        # The objects of the start-up stay: scanning them in every collection would stall all
        # requests for 25 ms.
        gc.freeze()
        greeting = _json_greeting if as_json else _greeting
        click.echo(greeting(settings, port, token))

    def report_draining() -> None:
        hub.unavailable = "this node is shutting down"
        _log.info("draining", drain_seconds=settings.server.drain_seconds)

    server = HttpServer(
        Application(hub, routes(settings), failure_page=failure_page),
        host=settings.server.host,
        port=settings.server.port,
        limits=_limits(settings),
        on_started=print_greeting,
        drain_s=int(settings.server.shutdown_seconds),
        linger_s=settings.server.drain_seconds,
        on_drain=report_draining,
        lifespan="off",
    )
    table = server.table
    hub.metrics.gauge("connections", "Open connections.", lambda: table.count)
    hub.metrics.total("connections_refused", "Connections without a place.", lambda: table.refused)
    await server.serve()


def _limits(settings: Settings) -> Limits:
    return Limits(
        header_bytes=settings.server.header_bytes,
        header_seconds=settings.server.header_seconds,
        body_min_bytes_per_s=settings.server.body_min_bytes_per_s,
        body_silence_s=settings.server.body_silence_s,
        max_connections=settings.server.max_connections,
        connections_per_address=settings.server.max_connections_per_address,
        trusted=tuple(ipaddress.ip_network(net) for net in settings.server.trusted_proxies),
    )


def _allow_open_files(needed: int) -> None:
    """Raise the limit of open files of this process to what the settings need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def first_token(hub: Hub) -> str | None:
    """Create the first administrator if there is none; return their token while it is valid.

    The token is stored in the data folder, readable by its owner only, for the operator. It is
    written beside before the account is created, and gets its name afterwards: the file holds
    nothing but a valid token at any time, after a crash and beside other nodes too.
    """
    path = hub.settings.data / FIRST_TOKEN
    draft = path.with_name(f"{FIRST_TOKEN}.new")
    if not await has_admin(hub.db):
        await _create_first_admin(hub.db, draft)
    if await _valid_token(hub.db, draft):  # else of a crash, or another node was faster
        draft.replace(path)
    draft.unlink(missing_ok=True)
    sync_folder(path.parent)
    token = await _valid_token(hub.db, path)
    if token is None:
        path.unlink(missing_ok=True)
    return token


async def _valid_token(db: Database, path: Path) -> str | None:
    try:
        token = path.read_text().strip()
        await authenticate_token(db, token)
    except (OSError, InvalidCredentials):
        return None
    return token


async def _create_first_admin(db: Database, path: Path) -> None:
    """Write a token to ``path``; create the administrator with it, unless another node has."""
    secret = new_token()
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
    try:
        await db.write(_add_first_admin, secret)
    except NameTaken:  # by the node that started at the same moment, or by a user who is none
        _log.info("another account is called admin: made no administrator")


async def _add_first_admin(tx: Tx, secret: str) -> None:
    pk = await add_user(tx, FIRST_USER, is_admin=True, is_first=True)
    await add_token(tx, pk, name=FIRST_TOKEN, value=secret)


def _json_greeting(settings: Settings, port: int, token: str | None) -> str:
    fields = {"url": _address(settings, port)} | ({"token": token} if token else {})
    return msgspec.json.encode(fields).decode()


def _address(settings: Settings, port: int) -> str:
    host = _EVERYWHERE.get(settings.server.host, settings.server.host)
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
