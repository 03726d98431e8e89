"""SQLite: concurrent readers, and one writer thread that commits in groups.

Competing connections manage some 600 transactions a second, and some wait for seconds; one
thread that takes up to 64 waiting writes into one COMMIT manages over 20,000
(docs/decisions/0005-database.md).
"""

from __future__ import annotations

import asyncio
import os
import queue
import resource
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import structlog

from hubstead.admission import BoundedThreads, Lane, Work, current_work, run_in_lane, slot
from hubstead.db.interface import Conflict, Tx, WriteFn, run_change
from hubstead.db.statements import Statement, sqlite_dialect, sqlite_value
from hubstead.db.timeouts import Timeouts
from hubstead.errors import HubError, StorageFull, StorageReadOnly, Unavailable, WorkTooLong

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

GROUP = 64
#: To this size the write-ahead log shrinks again, once a long reader lets it start over.
LOG_BYTES = 64 << 20
#: Steps of SQLite between two looks at the limit of a scan: some milliseconds.
_STEPS = 50_000
SLOW_INLINE_S = 0.005
_DIALECT = sqlite_dialect()
_log = structlog.get_logger("hubstead.db")


def connect(path: Path, *, busy_s: float = 10.0, log_bytes: int = LOG_BYTES) -> sqlite3.Connection:
    """Open the file with the pragmas that every connection needs.

    ``synchronous=FULL`` makes COMMIT wait for the disk; WAL lets readers continue meanwhile.
    """
    if is_read_only(path):
        return _connect_read_only(path, busy_s)
    connection = sqlite3.connect(
        path, timeout=busy_s, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    if path.stat().st_size == 0:  # for ``release_pages``; later it would only wait for a writer
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        "cache_size=-65536",
        "mmap_size=268435456",
        f"journal_size_limit={log_bytes}",
    ):
        with _our_errors(connection):
            connection.execute(f"PRAGMA {pragma}")
    return connection


def is_read_only(path: Path) -> bool:
    """Tell whether this process may not write the file or its folder, as on a read-only disk."""
    files = (path, path.parent)
    return any(file.exists() and not os.access(file, os.W_OK) for file in files)


def _connect_read_only(path: Path, busy_s: float) -> sqlite3.Connection:
    """Open a file that cannot be written: a copy, or one on a disk that takes no writes.

    With a write-ahead log SQLite needs its shared memory beside it; without one nothing can change
    the file (``immutable``), and SQLite creates no files.
    """
    log = path.with_name(f"{path.name}-wal")
    has_log = log.exists() and log.stat().st_size > 0
    options = "mode=ro" if has_log else "mode=ro&immutable=1"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        timeout=busy_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
    )


#: With less room than this an I/O error of SQLite means a full disk: it has no page to grow into.
_FULL_BYTES = 1 << 20
#: SQLite's result codes; the upper bytes of a code say more.
_READ_ONLY, _IO_ERROR, _CORRUPT, _FULL, _CANNOT_OPEN, _NO_DATABASE = 8, 10, 11, 13, 14, 26


def _disk_fault(connection: sqlite3.Connection, text: str) -> HubError:
    """Return why SQLite cannot write: it reports a full and a failing disk alike."""
    path = Path(connection.execute("PRAGMA database_list").fetchone()[2])
    if is_read_only(path):
        return StorageReadOnly()
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return Unavailable(reason=f"the database says: {text}")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    is_limited = limit != resource.RLIM_INFINITY and _largest(path) + _FULL_BYTES > limit
    if is_limited or disk.f_bavail * disk.f_frsize < _FULL_BYTES:
        return StorageFull()
    return Unavailable(reason=f"the database says: {text}")


def _largest(path: Path) -> int:
    """Return the size of the largest file of a database, in bytes."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return max((file.stat().st_size for file in files if file.exists()), default=0)


def _our_error(error: sqlite3.Error, connection: sqlite3.Connection) -> Exception:
    """Translate an error of SQLite for callers; return our own mistakes unchanged."""
    text = str(error)
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code == _CORRUPT:
        return Unavailable(reason=f"the database is damaged ({text}): run `hubstead doctor`")
    if code == _NO_DATABASE:
        return Unavailable(reason=f"the database is damaged ({text}): restore the newest backup")
    if code == _READ_ONLY:
        return StorageReadOnly()
    if code == _FULL:
        return StorageFull()
    if code == _IO_ERROR:
        return _disk_fault(connection, text)
    if isinstance(error, sqlite3.IntegrityError):
        return Conflict(reason=text)
    if isinstance(error, sqlite3.OperationalError):
        if text == "interrupted":
            return WorkTooLong()
        if "locked" in text or code == _CANNOT_OPEN:
            return Unavailable(reason=f"the database says: {text}")
    return error


@contextmanager
def _our_errors(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _our_error(error, connection) from error


def _execute(
    connection: sqlite3.Connection, statement: Statement[Any], values: Mapping[str, object]
) -> sqlite3.Cursor:
    compiled = statement.on(_DIALECT)
    arguments = [sqlite_value(value) for value in compiled.arguments(values)]
    try:
        return connection.execute(compiled.sql, arguments)
    except sqlite3.Error as error:  # a context manager would take half as long as SQLite itself
        raise _our_error(error, connection) from error


def _fetch(
    connection: sqlite3.Connection, statement: Statement[R], values: Mapping[str, object]
) -> list[R]:
    make_row = statement.make_row
    assert make_row is not None, "only statements that return columns can be fetched"
    try:
        return list(map(make_row, _execute(connection, statement, values)))
    except sqlite3.Error as error:
        raise _our_error(error, connection) from error


@dataclass
class SqliteTx:
    """A transaction on the writer thread. Its methods are coroutines that never suspend."""

    connection: sqlite3.Connection

    async def one(self, statement: Statement[R], /, **values: object) -> R | None:
        """See ``Reader.one``."""
        rows = _fetch(self.connection, statement, values)
        return rows[0] if rows else None

    async def single(self, statement: Statement[R], /, **values: object) -> R:
        """See ``Reader.single``."""
        (row,) = await self.all(statement, **values)
        return row

    async def all(self, statement: Statement[R], /, **values: object) -> list[R]:
        """See ``Reader.all``."""
        return _fetch(self.connection, statement, values)

    async def run(self, statement: Statement[Any], /, **values: object) -> int:
        """See ``Tx.run``."""
        return _execute(self.connection, statement, values).rowcount

    async def run_many(
        self, statement: Statement[Any], rows: Sequence[Mapping[str, object]]
    ) -> None:
        """See ``Tx.run_many``."""
        for values in rows:
            _execute(self.connection, statement, values)


@dataclass
class _Job:
    fn: Callable[[Tx], Awaitable[Any]]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None
    started: bool = False
    withdrawn: bool = False  # its caller gave up before it started

    def expire(self) -> None:
        """Give up waiting; called on the event loop. A write that has started may still commit."""
        self.withdrawn = not self.started
        if not self.future.done():
            self.future.set_exception(Unavailable(reason="the database does not answer in time"))

    def settle(self) -> None:
        """Deliver the outcome to the event loop; called on the writer thread."""
        try:
            self.loop.call_soon_threadsafe(self._settle_here)
        except RuntimeError:  # the loop is closed, so no caller waits
            return

    def _settle_here(self) -> None:
        if not self.future.done():
            if self.error is not None:
                self.future.set_exception(self.error)
            else:
                self.future.set_result(self.result)


def _drive(awaitable: Awaitable[T]) -> T:
    """Run a coroutine that awaits only its transaction, and so never suspends."""
    assert isinstance(awaitable, Coroutine)
    try:
        awaitable.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    awaitable.close()
    raise RuntimeError("a write may await nothing but its transaction")


class _Writer:
    """The writer thread: commits queued writes in groups."""

    def __init__(self, path: Path) -> None:
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._connection = connect(path)
        self._thread = threading.Thread(target=self._run, name="hubstead-writer", daemon=True)
        self._thread.start()
        self.closed = False

    def submit(self, job: _Job) -> None:
        if self.closed:
            raise Unavailable(reason="it is shutting down")
        self._queue.put(job)

    def close(self) -> None:
        self.closed = True
        self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            try:
                self._commit_group(group)
            except BaseException as error:
                for job in group:
                    job.error = job.error or error
            for job in group:
                job.settle()

    def _next_group(self) -> list[_Job] | None:
        first = self._queue.get()
        if first is None:
            return None
        group = [first]
        while len(group) < GROUP:
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                break
            if job is None:  # close() after this group
                self._queue.put(None)
                break
            group.append(job)
        return group

    def _commit_group(self, group: list[_Job]) -> None:
        connection = self._connection
        with _our_errors(connection):
            connection.execute("BEGIN IMMEDIATE")
        try:
            for job in group:
                self._run_member(job)
                if not connection.in_transaction:
                    # SQLite rolled back the whole transaction (full disk): every member fails.
                    raise job.error or StorageFull()
            with _our_errors(connection):
                connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _run_member(self, job: _Job) -> None:
        job.started = True
        if job.withdrawn:
            return
        connection = self._connection
        connection.execute("SAVEPOINT member")
        tx = SqliteTx(connection)
        try:
            job.result = _drive(job.fn(tx))
        except BaseException as error:
            job.error = error
            if connection.in_transaction:
                connection.execute("ROLLBACK TO member")
        if connection.in_transaction:
            connection.execute("RELEASE member")


@dataclass(frozen=True, slots=True)
class _ScanLimit:
    """When a scan must end: at its deadline, or when its client has left."""

    deadline: float  # by time.monotonic()
    work: Work | None

    def is_over(self) -> bool:
        """Tell SQLite whether to interrupt the statement."""
        return (self.work is not None and self.work.gone) or time.monotonic() > self.deadline


class SqliteDatabase:
    """A database in one file. ``Database`` documents the methods."""

    dialect_name = "sqlite"

    def __init__(
        self, path: Path, *, reader_threads: int = 4, timeouts: Timeouts | None = None
    ) -> None:
        self.path = path
        self._timeouts = timeouts or Timeouts()
        self._writer = _Writer(path)
        self._inline = connect(path)
        self._inline.execute("PRAGMA query_only=ON")
        self._local = threading.local()
        self._reader_connections: list[sqlite3.Connection] = []
        self._pool = BoundedThreads(reader_threads, "hubstead-reader")

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
        if statement.long:
            limit = _ScanLimit(time.monotonic() + self._timeouts.long_s(), current_work())
            async with slot(Lane.SCANS):
                scan = self._pool.submit(self._scan, limit, statement, values)
                return await asyncio.wrap_future(scan)
        started = time.perf_counter()
        rows = _fetch(self._inline, statement, values)
        taken = time.perf_counter() - started
        if taken > SLOW_INLINE_S:
            sql = statement.on(_DIALECT).sql
            _log.warning("slow inline statement", ms=round(taken * 1000, 1), sql=sql)
        return rows

    def _scan(
        self, limit: _ScanLimit, statement: Statement[R], values: Mapping[str, object]
    ) -> list[R]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect(self.path)
            connection.execute("PRAGMA query_only=ON")
            self._reader_connections.append(connection)
        connection.set_progress_handler(limit.is_over, _STEPS)
        try:
            return _fetch(connection, statement, values)
        finally:
            connection.set_progress_handler(None, 0)

    async def write(self, fn: WriteFn[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """See ``Database.write``."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        job = _Job(lambda tx: fn(tx, *args, **kwargs), future, loop)
        self._writer.submit(job)
        timer = loop.call_later(self._timeouts.write_s(), job.expire)
        try:
            return await asyncio.shield(future)
        finally:
            timer.cancel()

    async def execute(self, statement: Statement[Any], /, **values: object) -> int:
        """See ``Database.execute``."""
        return await self.write(run_change, statement, values)

    async def ready(self) -> None:
        """See ``Database.ready``: an empty transaction proves that the file is writable."""

        async def nothing(_tx: Tx) -> None:
            return None

        await self.write(nothing)

    async def lossy_settings(self) -> list[str]:
        """See ``Database.lossy_settings``: every connection sets its own, and none is lossy."""
        return []

    async def close(self) -> None:
        """See ``Database.close``."""
        await run_in_lane(Lane.BACKGROUND, self._writer.close)
        self._pool.close()
        for connection in [self._inline, *self._reader_connections]:
            connection.close()
