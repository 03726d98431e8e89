"""Opens a database by its URL, and migrates its schema to the newest version."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, column, select, table

from hubstead.admission import Lane, run_in_lane
from hubstead.db.interface import Database
from hubstead.db.restore_mark import refuse_marked
from hubstead.db.sqlite import SqliteDatabase
from hubstead.db.statements import Statement, indexed
from hubstead.db.timeouts import Timeouts
from hubstead.errors import NewerSchema, Unavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: The newest migration (``db/migrations/versions``); a test compares.
SCHEMA_VERSION = "0020"

_SQLITE = "sqlite:///"
_OLDEST: Statement[str | None] = indexed(
    select(column("oldest", Text)).select_from(table("alembic_version")), str
)
_VERSION = indexed(select(column("version_num")).select_from(table("alembic_version")), str)


async def open_db(
    url: str,
    *,
    pool_size: int = 10,
    reader_threads: int = 4,
    restoring: bool = False,
    timeouts: Timeouts | None = None,
) -> Database:
    """Open ``sqlite:///path`` or ``postgresql://…``.

    Its schema is the one of this program or a newer one that this program may still serve: after
    an update, nodes of the previous release go on and can be started again.

    Only a restore itself (``restoring``) may open a database whose restore is incomplete.

    Raises:
        Unavailable: the database is unreachable, needs ``migrate`` first, or is half restored.
        NewerSchema: a newer release has migrated it in a way that this one cannot serve.
    """
    db = await _connect(url, pool_size, reader_threads, timeouts or Timeouts())
    try:
        await _check_version(db)
        if not restoring:
            await refuse_marked(db)
    except BaseException:
        await db.close()
        raise
    return db


async def _connect(url: str, pool_size: int, reader_threads: int, timeouts: Timeouts) -> Database:
    if url.startswith(_SQLITE):
        path = Path(url.removeprefix(_SQLITE))
        if not path.exists():
            raise Unavailable(reason=f"there is no database at {path}")
        return SqliteDatabase(path, reader_threads=reader_threads, timeouts=timeouts)
    from hubstead.db.postgres import PostgresDatabase

    return await PostgresDatabase.connect(url, pool_size=pool_size, timeouts=timeouts)


async def _check_version(db: Database) -> None:
    version = await _version(db)
    if version is None or version < SCHEMA_VERSION:
        raise Unavailable(
            reason=f"the database has schema {version or 'none'}, "
            f"this program needs {SCHEMA_VERSION}"
        )
    if version > SCHEMA_VERSION:
        oldest = await db.one(_OLDEST)
        if oldest is not None and oldest > SCHEMA_VERSION:
            raise NewerSchema(version=version, own=SCHEMA_VERSION, oldest=oldest)


async def require_own_schema(db: Database) -> None:
    """Refuse what needs to know every table, such as a backup, on a newer schema.

    Raises:
        NewerSchema: a newer release has migrated the database.
    """
    version = await _version(db)
    if version is not None and version > SCHEMA_VERSION:
        raise NewerSchema(version=version, own=SCHEMA_VERSION, oldest=version)


async def _version(db: Database) -> str | None:
    try:
        return await db.one(_VERSION)
    except Exception as error:
        if "alembic_version" in str(error):
            return None
        raise


async def migrate(url: str) -> None:
    """Migrate the schema of ``url`` to the newest version; create a missing SQLite file.

    Concurrent calls are safe: one migrates while the others wait. The caller ensures that no
    server runs on an SQLite file.

    Raises:
        Unavailable: the database is unreachable, or its disk is full.
        NewerSchema: a newer release has migrated it in a way that this one cannot serve.
    """
    if await _is_newest(url):
        return
    if url.startswith(_SQLITE):
        await run_in_lane(Lane.BACKGROUND, _migrate_sqlite, Path(url.removeprefix(_SQLITE)))
    else:
        await _migrate_postgres(url)


async def _is_newest(url: str) -> bool:
    try:
        db = await open_db(url, pool_size=1, reader_threads=1, restoring=True)
    except NewerSchema:
        raise
    except Unavailable:  # the migration raises the reason if it persists
        return False
    await db.close()
    return True


def _upgrade(connection: Connection) -> None:
    # Alembic takes 0.3 s and 10 MB to import and is needed once per release.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _migrate_sqlite(path: Path) -> None:
    import sqlalchemy

    from hubstead.db.sqlite import connect

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)  # SQLite would let everybody read it; its other files follow this one
    engine = sqlalchemy.create_engine("sqlite://", creator=lambda: connect(path))
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            _upgrade(connection)
            connection.exec_driver_sql("COMMIT")
    except sqlalchemy.exc.DBAPIError as error:
        raise Unavailable(reason=f"the database says: {error.orig}") from error
    finally:
        engine.dispose()


# An arbitrary number of ours: nodes that start together migrate one after another.
_MIGRATION_LOCK = 0x48756273


async def _migrate_postgres(url: str) -> None:
    import asyncpg
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import create_async_engine

    from hubstead.db.postgres import connection_errors

    async def connect() -> Any:
        with connection_errors():
            return await asyncpg.connect(url, statement_cache_size=0)

    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        # Behind a pooler, names of other sessions would clash.
        connect_args={
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: f"migration_{secrets.token_hex(8)}",
        },
    )
    try:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            await connection.run_sync(_upgrade)
    except DBAPIError as error:  # such as a role without the right to create tables
        line = str(error.orig).partition("\n")[0]
        raise Unavailable(reason=f"the database cannot be migrated: {line}") from error
    finally:
        await engine.dispose()
