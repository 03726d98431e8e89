"""Rows whose fields are the columns of an ad-hoc statement."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from hubstead.db import Statement, scan


def reading(element: Any) -> Statement[Any]:
    """Return a statement whose rows are named tuples of its columns."""
    row: Any = namedtuple("Row", element.exported_columns.keys())  # type: ignore[misc]
    statement: Statement[Any] = scan(element, row)
    return statement
