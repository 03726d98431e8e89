"""The migrations build the schema that the rooms declare, on both engines."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine

import hubstead
from hubstead.backup.snapshot_db import skipped_tables
from hubstead.db import migrate, open_db
from hubstead.db.connect import SCHEMA_VERSION
from hubstead.db.schema import metadata
from hubstead.db.sqlite import connect
from hubstead.errors import Unavailable
from tests.support.services import Postgres

#: Alembic cannot compare collations in an index; ``test_plans.py`` shows that it is used.
_BY_COLLATION = {"ix_ref_bytes"}
MIGRATIONS = Path(hubstead.__file__).parent / "db" / "migrations"


def declare_every_table() -> None:
    for module in pkgutil.walk_packages(hubstead.__path__, "hubstead."):
        if module.name.endswith(".tables"):
            importlib.import_module(module.name)


def differences(connection: sqlalchemy.Connection) -> list[Any]:
    declare_every_table()
    # Alembic misreads SQLite's empty default, so defaults are compared on PostgreSQL.
    options = {
        "compare_server_default": connection.dialect.name == "postgresql",
        "include_object": lambda _object, name, *_: name not in _BY_COLLATION,
    }
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


@pytest.mark.filterwarnings("ignore:autogenerate skipping")
def test_migrations_build_the_declared_schema_on_sqlite(migrated_file: Path) -> None:
    engine = sqlalchemy.create_engine("sqlite://", creator=lambda: connect(migrated_file))
    with engine.connect() as connection:
        assert differences(connection) == []
    engine.dispose()


async def test_migrations_build_the_declared_schema_on_postgresql(postgresql_url: str) -> None:
    import asyncpg

    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(postgresql_url)
    )
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


def test_the_program_requires_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA_VERSION]


def test_migrations_import_nothing_of_the_current_code() -> None:
    for path in (MIGRATIONS / "versions").glob("*.py"):
        assert "hubstead" not in path.read_text(), path.name


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'hub.db'}"
    server: Postgres = request.getfixturevalue("postgres_server")
    return server.fresh_database()


async def test_concurrent_and_repeated_migrations_succeed(empty_url: str) -> None:
    await asyncio.gather(migrate(empty_url), migrate(empty_url), migrate(empty_url))
    await migrate(empty_url)
    db = await open_db(empty_url)
    await db.ready()
    await db.close()


async def test_an_unmigrated_database_is_refused(empty_url: str) -> None:
    if empty_url.startswith("sqlite"):
        path = Path(empty_url.removeprefix("sqlite:///"))
        with pytest.raises(Unavailable, match="there is no database"):
            await open_db(empty_url)
        path.parent.mkdir()
        path.touch()
    with pytest.raises(Unavailable, match=f"has schema none, this program needs {SCHEMA_VERSION}"):
        await open_db(empty_url)


async def test_a_database_of_another_release_is_refused(database_url: str) -> None:
    await set_version(database_url, "9999")
    try:
        with pytest.raises(Unavailable, match="has schema 9999"):
            await open_db(database_url)
    finally:
        await set_version(database_url, SCHEMA_VERSION)


async def set_version(url: str, version: str) -> None:
    sql = f"UPDATE alembic_version SET version_num = '{version}'"
    if url.startswith("sqlite"):
        connection = connect(Path(url.removeprefix("sqlite:///")))
        connection.execute(sql)
        connection.close()
    else:
        import asyncpg

        other = await asyncpg.connect(url)
        await other.execute(sql)
        await other.close()


async def test_a_server_that_does_not_respond_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await open_db("postgresql://nobody@127.0.0.1:9/none")
    with pytest.raises(Unavailable):
        await migrate("postgresql://nobody@127.0.0.1:9/none")


def test_every_table_declares_how_a_backup_treats_it() -> None:
    declare_every_table()
    undeclared = [
        name
        for name, table in metadata.tables.items()
        if table.info.get("backup") not in ("copy", "skip", "own")
    ]
    assert undeclared == []
    assert set(skipped_tables()) == {
        "browser_session", "dead_folder", "dead_pack", "deletion_pause", "file_fact", "node",
        "registry_blob", "registry_manifest", "sign_in_attempt", "storage_change", "upload",
        "xet_epoch",
    }  # fmt: skip
