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
from hubstead.db import migrate, open_db, require_own_schema
from hubstead.db.connect import SCHEMA_VERSION
from hubstead.db.schema import metadata
from hubstead.db.sqlite import connect
from hubstead.errors import NewerSchema, Unavailable
from tests.support.factories import a_repo, a_user
from tests.support.services import Postgres

#: Alembic cannot compare collations in an index; ``test_plans.py`` shows that it is used.
_BY_COLLATION = {"ix_ref_bytes"}
#: What the next release may add while this one serves.
LATER_MIGRATION = (
    "CREATE TABLE later (pk BIGINT PRIMARY KEY, repo_pk BIGINT)",
    "ALTER TABLE repo ADD COLUMN later TEXT",
    "CREATE INDEX ix_repo_later ON repo (later)",
    "UPDATE alembic_version SET version_num = '9998'",
)
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


async def test_a_database_of_an_earlier_release_is_refused(empty_url: str) -> None:
    await migrate(empty_url)
    await change(empty_url, "UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(Unavailable, match="has schema 0001"):
        await open_db(empty_url)


async def test_a_release_serves_and_restarts_on_the_next_schema(empty_url: str) -> None:
    await migrate(empty_url)
    for sql in LATER_MIGRATION:
        await change(empty_url, sql)
    await migrate(empty_url)  # as a start does
    db = await open_db(empty_url)
    await db.ready()
    await a_repo(db, await a_user(db))
    with pytest.raises(NewerSchema, match="schema 9998"):
        await require_own_schema(db)  # a backup would lack tables
    await db.close()


async def test_a_migration_that_ends_the_support_of_this_release_refuses_it_with_the_way_out(
    empty_url: str,
) -> None:
    await migrate(empty_url)
    for sql in LATER_MIGRATION:
        await change(empty_url, sql)
    await change(empty_url, "UPDATE alembic_version SET version_num='9999', oldest='9998'")
    for start in (migrate, open_db):
        with pytest.raises(NewerSchema) as refused:
            await start(empty_url)
        assert refused.value.message == (
            "A newer release migrated the database (schema 9999), and this one (schema "
            f"{SCHEMA_VERSION}) cannot work on it: install a release with schema 9998 or newer, "
            "or restore the backup from before the update."
        )
    await change(empty_url, f"UPDATE alembic_version SET oldest='{SCHEMA_VERSION}'")
    await (await open_db(empty_url)).close()


async def change(url: str, sql: str) -> None:
    """Run a statement as a migration of a later release does."""
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
