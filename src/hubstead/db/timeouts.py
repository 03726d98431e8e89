"""How long the database may take: a statement, a place in the pool, a scan, a write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hubstead.admission import current_work
from hubstead.db.statements import Statement

#: How many times longer than an indexed statement a scan, or a write that waits for its turn on
#: SQLite, may take in a request.
LONG_FACTOR = 6
#: The same outside of a request: jobs and commands count and copy whole tables.
BACKGROUND_FACTOR = 120

#: How many times longer a transaction on PostgreSQL may be idle between two statements.
IDLE_FACTOR = 3


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits in seconds. An engine that exceeds them is unavailable."""

    statement_s: float = 10.0  # indexed statements, and waiting for a connection

    def of(self, statement: Statement[Any]) -> float:
        """Return the limit of a statement."""
        return self.long_s() if statement.long else self.statement_s

    def long_s(self) -> float:
        """Return the limit of a scan."""
        in_background = current_work() is None
        return self.statement_s * (BACKGROUND_FACTOR if in_background else LONG_FACTOR)

    def write_s(self) -> float:
        """Return how long a write on SQLite may wait and take."""
        return self.statement_s * LONG_FACTOR

    def idle_s(self) -> float:
        """Return how long a transaction on PostgreSQL may wait for its next statement."""
        return self.statement_s * IDLE_FACTOR
