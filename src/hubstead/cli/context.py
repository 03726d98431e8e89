"""Where a command works and how it answers: the options that every command has."""

from __future__ import annotations

import asyncio
import functools
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


@dataclass(frozen=True)
class Context:
    """Which hub a command is about, and whether programs read its answer."""

    data: Path | None
    file: Path | None
    as_json: bool

    def settings(self, **overrides: object) -> Settings:
        """Read the settings.

        Raises:
            Failure: they cannot be used; every fault is told.
        """
        try:
            return load(data=self.data, file=self.file, overrides=overrides)
        except BadSettings as bad:
            only = bad.faults[0] if len(bad.faults) == 1 else None
            raise Failure(only or str(bad)) from bad

    def query(self, question: Callable[[Database], Awaitable[T]], *, make: bool = False) -> T:
        """Open the hub's database, run ``question`` on it and return what it says.

        Args:
            question: What to do.
            make: Make the database, or bring it up to date, if need be.
        """
        settings = self.settings()

        async def answer() -> T:
            async with open_database(settings, make=make) as db:
                return await question(db)

        return run(answer)


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run ``work`` on an event loop; of logs only errors are shown, on standard error.

    What a server warns of (a slow statement) is nothing that who runs a command could act on.
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
    """Open the database while the block lasts."""
    url = settings.database_url
    refuse_marked_folder(settings.data)
    try:
        db = await open_db(url, pool_size=2, reader_threads=1)
    except Unavailable:
        if not make:
            raise
        await _bring_up_to_date(settings)
        db = await open_db(url, pool_size=2, reader_threads=1)
    try:
        yield db
    finally:
        await db.close()


async def _bring_up_to_date(settings: Settings) -> None:
    url = settings.database_url
    if not url.startswith("sqlite:///"):
        await migrate(url)
        return
    from hubstead.app import lock_data_folder

    with lock_data_folder(settings.data):
        await migrate(url)


def with_context(function: Callable[..., T]) -> Callable[..., T]:
    """Give a command the options --data, --settings and --json, and ``place`` made of them."""

    @click.option("--data", type=_FOLDER, metavar="DIR", help="The data folder (or HUBSTEAD_DATA).")
    @click.option(
        "--settings",
        type=_FILE,
        metavar="FILE",
        help="The settings file, TOML (or HUBSTEAD_SETTINGS).",
    )
    @click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")
    @functools.wraps(function)
    def wrapped(*, data: Path | None, settings: Path | None, as_json: bool, **options: Any) -> T:
        return function(Context(data, settings, as_json), **options)

    return wrapped


def secret_option(*names: str, text: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Add an option whose value is a secret, read from standard input if it is ``-``."""

    def read(_ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        if value != "-":
            return value
        line = sys.stdin.readline().rstrip("\r\n")
        if not line:
            raise click.BadParameter("nothing came from standard input", param=param)
        return line

    return click.option(
        *names, callback=read, metavar="VALUE", help=f"{text} '-' reads it from standard input."
    )
