"""Fixtures of all rooms' tests: an event loop, and both databases.

A test may be ``async def``: it then runs on the loop of the fixture ``run``, which ``db`` uses
as well. Sync tests call ``run(coroutine)``.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import shutil
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import structlog
from hypothesis import HealthCheck, settings

from hubstead.db import Database, migrate, open_db
from tests.support.hub import embedded_hub, live_hub, own_hub
from tests.support.run import Run
from tests.support.services import Postgres, postgres_server, postgres_url, s3_server
from tests.support.shapes import select_half

__all__ = ["embedded_hub", "live_hub", "own_hub", "postgres_server", "postgres_url", "s3_server"]


# git looks for git-lfs on the path. `make env` installs one beside the interpreter if the machine
# has none, and a test must not depend on how pytest was started.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

# The duration of an example depends on the machine's load.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")

# Hubs log from threads of the test process. pytest's replacements of stdout are not safe for
# that: one crashed CPython 3.11.
structlog.configure(logger_factory=structlog.stdlib.LoggerFactory())


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test on the loop of its fixtures."""
    if not inspect.iscoroutinefunction(pyfuncitem.function):
        return None
    names = inspect.signature(pyfuncitem.function).parameters
    wanted = {name: pyfuncitem.funcargs[name] for name in names}
    run = cast(Run, pyfuncitem.funcargs["run"])
    run(pyfuncitem.function(**wanted))
    return True


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that ``tests/support/shapes.py`` describes."""
    parser.addoption("--half", choices=["quick", "rest"], help="see tests/support/shapes.py")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the half not requested, and run long tests first."""
    select_half(config, items)
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_collection_finish() -> None:
    """Exempt the collected tests, which stay to the end, from garbage collection."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def run() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Run a coroutine to its end, on one loop for the whole test."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database with today's schema, as a template to copy."""
    path = tmp_path_factory.mktemp("migrated") / "hub.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(postgres_server: Postgres) -> str:
    """The address of a PostgreSQL database with today's schema, shared by the tests."""
    url = postgres_server.fresh_database()
    asyncio.run(migrate(url))
    return url


@pytest.fixture
def sqlite_url(migrated_file: Path, tmp_path: Path) -> str:
    """The address of a fresh SQLite database with today's schema."""
    shutil.copy(migrated_file, tmp_path / "hub.db")
    return f"sqlite:///{tmp_path / 'hub.db'}"


@pytest.fixture
def postgresql_url(migrated_postgresql: str) -> str:
    """The address of an empty PostgreSQL database with today's schema.

    All tests share one and empty it: creating a database takes longer than most tests.
    """
    asyncio.run(_empty(migrated_postgresql))
    return migrated_postgresql


async def _empty(url: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    rows = await connection.fetch(
        "SELECT relname FROM pg_stat_user_tables WHERE relname <> 'alembic_version'"
    )
    deletes = [f'DELETE FROM "{row[0]}"' for row in rows]
    # References are not checked meanwhile, so the order of tables does not matter.
    await connection.execute(";".join(["SET session_replication_role = replica", *deletes]))
    await connection.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of a fresh database, once per engine."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def db(database_url: str, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> Iterator[Database]:
    """A fresh database with today's schema, once per engine."""
    database = run(open_db(database_url))
    yield database
    run(database.close())
