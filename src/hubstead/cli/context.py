"""The options of every command: the hub it works on, and the format of its output."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import structlog

from hubstead.cli.root import Failure
from hubstead.db import Database, migrate, open_db, refuse_marked_folder
from hubstead.errors import Unavailable
from hubstead.settings import BadSettings, Settings, load

T = TypeVar("T")

_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_EXIT_STATUS = (
    "Exit status: 0 on success; 1 if the command fails, with the reason on standard error; 2 if "
    "its options or arguments are wrong."
)


@dataclass(frozen=True)
class Context:
    """The hub that a command works on, and its output format.

    Attributes:
        data: The data folder; None: the setting decides.
        file: The settings file; None: ``HUBSTEAD_SETTINGS`` decides.
        as_json: Print JSON instead of text.
    """

    data: Path | None
    file: Path | None
    as_json: bool

    def settings(self, **overrides: object) -> Settings:
        """Read the settings.

        Raises:
            Failure: a setting is invalid; the message lists every fault.
        """
        try:
            return load(data=self.data, file=self.file, overrides=overrides)
        except BadSettings as error:
            only = error.faults[0] if len(error.faults) == 1 else None
            raise Failure(only or str(error)) from error

    def query(self, operation: Callable[[Database], Awaitable[T]], *, make: bool = False) -> T:
        """Open the hub's database, run ``operation`` on it and return its result.

        Args:
            operation: Reads or writes the database.
            make: Create the database, or migrate it to this version, if necessary.
        """
        settings = self.settings()

        async def run_operation() -> T:
            async with open_database(settings, make=make) as db:
                return await operation(db)

        return run(run_operation)


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run ``work`` on an event loop; print only errors of the log, to standard error.

    Warnings (a slow statement) concern the operator of a server, not the user of a command.
    """
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
    )

    async def begin() -> T:
        return await work()

    return asyncio.run(begin())


@asynccontextmanager
async def open_database(settings: Settings, *, make: bool = False) -> AsyncIterator[Database]:
    """Open the database for the block.

    Raises:
        Unavailable: there is no database of this version, and ``make`` is not set.
    """
    url = settings.database_url
    refuse_marked_folder(settings.data)
    try:
        db = await open_db(url, pool_size=2, reader_threads=1)
    except Unavailable:
        if not make:
            raise
        await _migrate(settings)
        db = await open_db(url, pool_size=2, reader_threads=1)
    try:
        yield db
    finally:
        await db.close()


async def _migrate(settings: Settings) -> None:
    url = settings.database_url
    if not url.startswith("sqlite:///"):
        await migrate(url)
        return
    from hubstead.app import lock_data_folder

    with lock_data_folder(settings.data):
        await migrate(url)


def with_context(function: Callable[..., T]) -> Callable[..., T]:
    """Add --data, --settings and --json to a command, and its exit statuses to its help.

    The command receives a ``Context`` of the three options as its first argument.
    """

    @click.option("--data", type=_FOLDER, metavar="DIR", help="The data folder (or HUBSTEAD_DATA).")
    @click.option(
        "--settings",
        type=_FILE,
        metavar="FILE",
        help="The settings file, TOML (or HUBSTEAD_SETTINGS).",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
    @functools.wraps(function)
    def wrapped(*, data: Path | None, settings: Path | None, as_json: bool, **options: Any) -> T:
        return function(Context(data, settings, as_json), **options)

    help_text = inspect.cleandoc(function.__doc__ or "")
    if "Exit status:" not in help_text:
        wrapped.__doc__ = f"{help_text}\n\n{_EXIT_STATUS}"
    return wrapped


def secret_option(*names: str, text: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Return a decorator that adds an option for a secret; ``-`` reads it from standard input."""

    def read(_ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        if value != "-":
            return value
        line = sys.stdin.readline().rstrip("\r\n")
        if not line:
            raise click.BadParameter("standard input is empty", param=param)
        return line

    return click.option(
        *names, callback=read, metavar="VALUE", help=f"{text} '-' reads it from standard input."
    )
