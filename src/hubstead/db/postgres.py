"""PostgreSQL over asyncpg (extra ``postgres``)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, ParamSpec, TypeVar

import asyncpg

from hubstead.db.interface import Conflict, Tx, WriteFn, run_change
from hubstead.db.statements import Statement, postgres_dialect
from hubstead.db.timeouts import Timeouts
from hubstead.errors import StorageFull, Unavailable

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

#: Attempts for a transaction that PostgreSQL aborts in favour of another one.
ATTEMPTS = 8
_DIALECT = postgres_dialect()
_LOSSY = """
    SELECT name FROM pg_settings
    WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off'
    ORDER BY name
"""


#: What a lost, stopped or exchanged server, or a pooler without one, looks like.
_LOST = (
    asyncpg.PostgresConnectionError,  # class 08, with a broken protocol
    asyncpg.OperatorInterventionError,  # class 57: shut down, crashed, cancelled, dropped
    asyncpg.InsufficientResourcesError,  # class 53: too many connections, no memory
    asyncpg.PostgresSystemError,  # class 58: an I/O error of the server
    asyncpg.InvalidAuthorizationSpecificationError,  # class 28, of a reconnection
    asyncpg.InvalidCatalogNameError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby that took the address over
    OSError,
)


#: What the driver raises where no PostgreSQL answers, or it refuses.
_NO_CONNECTION = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        raise Conflict(reason=str(error)) from error
    except asyncpg.DiskFullError as error:
        raise StorageFull() from error
    except (asyncpg.DataCorruptedError, asyncpg.IndexCorruptedError) as error:
        raise Unavailable(
            reason=f"the database is damaged ({_line(error)}): run `hubstead doctor`"
        ) from error
    except _LOST as error:
        raise Unavailable(reason="the database cannot be reached") from error
    except asyncpg.InterfaceError as error:
        if "is closed" not in str(error) and "closing" not in str(error):
            raise  # a mistake of ours, not of the connection
        raise Unavailable(reason="the connection to the database was lost") from error


@contextmanager
def connection_errors() -> Iterator[None]:
    """Turn the reasons why no connection can be opened into one line for the operator.

    Raises:
        Unavailable: with the reason.
    """
    try:
        yield
    except asyncpg.InvalidCatalogNameError as error:
        raise Unavailable(reason=f"{_line(error)}: create it (docs/running.md)") from error
    except asyncpg.ClientConfigurationError as error:
        raise Unavailable(reason=f"the setting database is wrong: {_line(error)}") from error
    except _NO_CONNECTION as error:
        raise Unavailable(reason=f"the database cannot be reached: {_line(error)}") from error
    except ValueError as error:  # its text may repeat a part of the password
        raise Unavailable(
            reason="the setting database is not like postgresql://user:password@host/name, with "
            "special characters percent-encoded"
        ) from error


def _line(error: Exception) -> str:
    lines = str(error).splitlines()  # further ones have hints of PostgreSQL
    return lines[0] if lines else "it does not answer in time"


@contextmanager
def _answering(connection: Any) -> Iterator[None]:
    """Give up a connection whose server does not answer in time.

    A frozen server never confirms that it cancelled a statement, so waiting for that has no end.
    """
    try:
        with _our_errors():
            yield
    except Unavailable as error:
        if isinstance(error.__cause__, TimeoutError):
            connection.terminate()
            raise Unavailable(reason="the database does not answer in time") from error
        raise


async def _fetch(
    connection: Any, statement: Statement[R], values: Mapping[str, object], timeouts: Timeouts
) -> list[R]:
    compiled = statement.on(_DIALECT)
    make_row = statement.make_row
    assert make_row is not None, "only statements that return columns can be fetched"
    arguments = compiled.arguments(values)
    with _answering(connection):
        rows = await connection.fetch(compiled.sql, *arguments, timeout=timeouts.of(statement))
    return [make_row(row) for row in rows]


class PostgresTx:
    """A transaction on one connection."""

    def __init__(self, connection: Any, timeouts: Timeouts) -> None:
        self._connection = connection
        self._timeouts = timeouts
        #: The error that aborted the transaction, whether or not its function raised it.
        self.broken_by: BaseException | None = None

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            with _answering(self._connection):
                yield
        except BaseException as error:
            self.broken_by = error
            raise

    async def one(self, statement: Statement[R], /, **values: object) -> R | None:
        """See ``Reader.one``."""
        rows = await self.all(statement, **values)
        return rows[0] if rows else None

    async def single(self, statement: Statement[R], /, **values: object) -> R:
        """See ``Reader.single``."""
        (row,) = await self.all(statement, **values)
        return row

    async def all(self, statement: Statement[R], /, **values: object) -> list[R]:
        """See ``Reader.all``."""
        with self._noted():
            return await _fetch(self._connection, statement, values, self._timeouts)

    async def run(self, statement: Statement[Any], /, **values: object) -> int:
        """See ``Tx.run``."""
        compiled = statement.on(_DIALECT)
        with self._noted():
            status = await self._connection.execute(
                compiled.sql, *compiled.arguments(values), timeout=self._timeouts.of(statement)
            )
        return int(status.rpartition(" ")[2])

    async def run_many(
        self, statement: Statement[Any], rows: Sequence[Mapping[str, object]]
    ) -> None:
        """See ``Tx.run_many``."""
        compiled = statement.on(_DIALECT)
        arguments = [compiled.arguments(row) for row in rows]
        with self._noted():
            await self._connection.executemany(
                compiled.sql, arguments, timeout=self._timeouts.long_s()
            )


#: Errors that abort a transaction in favour of another one, or of a migration.
_RETRIED = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InvalidCachedStatementError,
)


async def _is_pooled(url: str, timeouts: Timeouts) -> bool:
    """Tell whether a pooler like PgBouncer is in between.

    The process id of the connection's greeting is then the pooler's, not that of the server.
    """
    connection = await asyncpg.connect(
        url,
        statement_cache_size=0,
        command_timeout=timeouts.statement_s,
        timeout=timeouts.statement_s,
    )
    try:
        async with connection.transaction():
            pid = await connection.fetchval("SELECT pg_backend_pid()")
        return bool(pid != connection.get_server_pid())
    finally:
        await connection.close(timeout=timeouts.statement_s)


async def _leave_as_is(_connection: Any) -> None:
    """Skip the reset of a returned connection and its round trip: sessions have no state."""


class PostgresDatabase:
    """A database that many nodes share. ``Database`` documents the methods."""

    dialect_name = "postgresql"

    def __init__(self, pool: Any, timeouts: Timeouts, *, is_pooled: bool) -> None:
        self._pool = pool
        self._timeouts = timeouts
        #: Whether a pooler like PgBouncer may give each transaction another server connection.
        self.is_pooled = is_pooled
        self._writes: set[asyncio.Task[Any]] = set()
        self._closing = False

    @classmethod
    async def connect(
        cls, url: str, *, pool_size: int = 10, timeouts: Timeouts | None = None
    ) -> PostgresDatabase:
        """Open up to ``pool_size`` connections to ``url`` (libpq form).

        Raises:
            Unavailable: if there is no answer.
        """
        timeouts = timeouts or Timeouts()
        with connection_errors():
            is_pooled = await _is_pooled(url, timeouts)
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=pool_size,
                reset=_leave_as_is,
                statement_cache_size=0 if is_pooled else 512,
                command_timeout=timeouts.statement_s,
                timeout=timeouts.statement_s,
                # A frozen node lets go of the rows that its transaction locked. A pooler has
                # other sessions: its role has the setting (docs/running.md).
                server_settings={}
                if is_pooled
                else {"idle_in_transaction_session_timeout": f"{timeouts.idle_s():g}s"},
            )
        return cls(pool, timeouts, is_pooled=is_pooled)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        """Have a connection of the pool inside the block.

        Raises:
            Unavailable: none becomes free in time, or the server stopped answering.
        """
        with _our_errors():
            # The same limit applies when the connection is returned.
            connection = await self._pool.acquire(timeout=self._timeouts.statement_s)
        try:
            with _answering(connection):
                yield connection
        except asyncio.CancelledError:
            connection.terminate()  # rather than wait for a server that may be frozen
            raise
        finally:
            with _our_errors():
                await self._pool.release(connection)

    async def one(self, statement: Statement[R], /, **values: object) -> R | None:
        """See ``Reader.one``."""
        rows = await self.all(statement, **values)
        return rows[0] if rows else None

    async def single(self, statement: Statement[R], /, **values: object) -> R:
        """See ``Reader.single``."""
        (row,) = await self.all(statement, **values)
        return row

    async def all(self, statement: Statement[R], /, **values: object) -> list[R]:
        """See ``Reader.all``."""
        async with self._connection() as connection:
            if not self.is_pooled:
                return await _fetch(connection, statement, values, self._timeouts)
            # The driver prepares a statement and then runs it; only a transaction ensures that
            # both reach the same server connection.
            async with connection.transaction():
                return await _fetch(connection, statement, values, self._timeouts)

    async def write(self, fn: WriteFn[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """See ``Database.write``."""
        if self._closing:
            raise Unavailable(reason="it is shutting down")
        task = asyncio.ensure_future(self._write(lambda tx: fn(tx, *args, **kwargs)))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return await asyncio.shield(task)

    async def execute(self, statement: Statement[Any], /, **values: object) -> int:
        """See ``Database.execute``."""
        return await self.write(run_change, statement, values)

    async def _write(self, fn: Callable[[Tx], Awaitable[T]]) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._attempt(fn)
            except _RETRIED as error:
                if attempt == ATTEMPTS:
                    raise Unavailable(reason="too many writers at once") from error
                await asyncio.sleep(random.random() * 0.02 * attempt)  # noqa: S311
        raise AssertionError

    async def _attempt(self, fn: Callable[[Tx], Awaitable[T]]) -> T:
        async with self._connection() as connection, connection.transaction():
            tx = PostgresTx(connection, self._timeouts)
            result = await fn(tx)
            if tx.broken_by is not None:
                # COMMIT would answer ROLLBACK here and look like success.
                raise RuntimeError("a write went on after an error") from tx.broken_by
            return result

    async def ready(self) -> None:
        """See ``Database.ready``."""
        async with self._connection() as connection:
            await connection.fetchval("SELECT 1")

    async def lossy_settings(self) -> list[str]:
        """See ``Database.lossy_settings``."""
        async with self._connection() as connection, connection.transaction():
            rows = await connection.fetch(_LOSSY)
        return [row["name"] + "=off" for row in rows]

    async def close(self) -> None:
        """See ``Database.close``."""
        self._closing = True
        if self._writes:
            await asyncio.gather(*self._writes, return_exceptions=True)
        await self._pool.close()
