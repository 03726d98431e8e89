"""What statements say of their rows is what their columns are."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import typing
from collections.abc import Iterator
from types import NoneType
from typing import Any

import pytest
from sqlalchemy import Column, Join, Label, Select

import hubstead
from hubstead.db import Statement
from hubstead.db.statements import postgres_dialect, sqlite_dialect
from hubstead.discovery.statements import Shape, listing, names_with

#: Columns that may be null, in rows that a condition of their statement picks so that they are not.
_NEVER_NULL = {
    ("_Lease", "holder"),
    ("_PlainCopy", "reconstructable_ms"),
    ("_Moves", "repo_pk"),
    ("str", "word"),
    # Every repository has an owner; lists join them loosely, so that SQLite keeps to its order.
    ("ListedRow", "owner"),
    ("ListedRow", "owner_kind"),
}
_LISTED = Shape("downloads", False, False, 0, 0, False, None, False, True, True, "walk")


def registered() -> Iterator[tuple[str, Statement[Any]]]:
    """Yield every statement that a module of the program registers."""
    for module in pkgutil.walk_packages(hubstead.__path__, "hubstead."):
        if ".migrations" in module.name or module.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, Statement):
                yield f"{module.name}.{name}", value
    yield "listing", listing(_LISTED)
    yield "names_with", names_with(2)


STATEMENTS = dict(registered())


def hints(row: type) -> dict[str, Any]:
    """Return the type of each column that a row has, those of rows within it too."""
    found = typing.get_type_hints(row)
    if not dataclasses.is_dataclass(row):
        return found
    columns: dict[str, Any] = {}
    for name, hint in found.items():
        inner = next((each for each in _members(hint) if hasattr(each, "_fields")), None)
        if inner is None:
            columns[name] = hint
        else:  # what may be absent as a whole may be so in each column
            absent = NoneType in _members(hint)
            columns |= {k: each | None if absent else each for k, each in hints(inner).items()}
    return columns


def _members(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) or (hint,)


def outer(statement: Statement[Any]) -> set[object]:
    """Return the tables of which a row may have nothing."""
    if not isinstance(statement.element, Select):
        return set()
    pending: list[object] = list(statement.element.get_final_froms())
    found: set[object] = set()
    while pending:
        source = pending.pop()
        if isinstance(source, Join):
            pending += [source.left, source.right]
            found |= {source.right} if source.isouter else set()
    return found


def test_there_are_statements() -> None:
    assert len(STATEMENTS) > 240


@pytest.mark.parametrize("name", STATEMENTS)
def test_every_statement_compiles_on_both_engines(name: str) -> None:
    for dialect in (sqlite_dialect(), postgres_dialect()):
        compiled = STATEMENTS[name].on(dialect)
        assert compiled.sql


@pytest.mark.parametrize("name", [name for name, each in STATEMENTS.items() if each.row])
def test_fields_have_the_types_of_their_columns(name: str) -> None:
    statement = STATEMENTS[name]
    row = statement.row
    assert row is not None
    columns = dict(statement.element.exported_columns.items())  # type: ignore[attr-defined]
    types = hints(row) if hasattr(row, "_fields") else dict.fromkeys(columns, row)
    maybe_absent = outer(statement)
    for field, column in columns.items():
        source = column.element if isinstance(column, Label) else column
        if not isinstance(source, Column):
            continue
        members = _members(types[field])
        assert source.type.python_type in members, f"{row.__qualname__}.{field}"
        if source.nullable or source.table in maybe_absent:
            never_null = (row.__name__, field) in _NEVER_NULL
            assert NoneType in members or never_null, f"{row.__qualname__}.{field} may be null"
