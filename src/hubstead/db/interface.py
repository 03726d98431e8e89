"""The interface of a database: reads, and one way to write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

from hubstead.db.statements import Statement
from hubstead.errors import HubError

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Conflict(HubError):
    """A change breaks a rule of the schema: {reason}"""

    reason: str


class Reader(Protocol):
    """A source of rows: the database itself, or an open transaction."""

    async def one(self, statement: Statement[R], /, **values: object) -> R | None:
        """Return the first row, or None."""
        ...

    async def single(self, statement: Statement[R], /, **values: object) -> R:
        """Return the row of a statement that always returns exactly one, such as a count.

        Raises:
            ValueError: if the statement returned no row, or several.
        """
        ...

    async def all(self, statement: Statement[R], /, **values: object) -> list[R]:
        """Return every row."""
        ...


class Tx(Reader, Protocol):
    """One write transaction, given to the function that ``Database.write`` runs.

    An error aborts it on PostgreSQL: a function that catches one must return or raise.
    """

    async def run(self, statement: Statement[Any], /, **values: object) -> int:
        """Run a change and return the number of rows it affected.

        Raises:
            Conflict: if a unique, foreign-key or check rule refuses it.
        """
        ...

    async def run_many(
        self, statement: Statement[Any], rows: Sequence[Mapping[str, object]]
    ) -> None:
        """Run a change once per element of ``rows``."""
        ...


#: What ``Database.write`` runs: a function of the transaction and the arguments of the call.
WriteFn: TypeAlias = Callable[Concatenate[Tx, P], Awaitable[T]]


class Database(Reader, Protocol):
    """SQLite or PostgreSQL; every method may be called from the event loop only."""

    #: ``sqlite`` or ``postgresql``.
    dialect_name: str

    async def write(self, fn: WriteFn[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn(tx, *args, **kwargs)`` in one transaction; return its result once durable.

        ``fn`` awaits nothing but ``tx`` and may be run again if the database asks for it, so it
        has no other effects. Cancelling the caller does not cancel a submitted write.

        Raises:
            Conflict: a rule of the schema refused a change.
            StorageFull: the disk is full; nothing was written.
            Unavailable: the database cannot be reached or is shutting down.
        """
        ...

    async def execute(self, statement: Statement[Any], /, **values: object) -> int:
        """Run one change in a transaction of its own; return the number of rows it affected.

        Raises:
            Conflict, StorageFull, Unavailable: as `write`.
        """
        ...

    async def ready(self) -> None:
        """Return if the database answers and its schema is the one this code needs.

        Raises:
            Unavailable: with the reason.
        """
        ...

    async def lossy_settings(self) -> list[str]:
        """Return settings of the engine, as ``fsync=off``, with which a crash can undo writes.

        Raises:
            Unavailable: the database does not answer.
        """
        ...

    async def close(self) -> None:
        """Finish submitted writes and close every connection."""
        ...


async def run_change(tx: Tx, statement: Statement[Any], values: Mapping[str, object]) -> int:
    """Run one change: what ``Database.execute`` writes."""
    return await tx.run(statement, **values)
