"""The declared rows of all statements agree with the types of their columns."""

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

#: Nullable columns that a condition of their statement restricts to values.
_NEVER_NULL = {
    ("_Lease", "holder"),
    ("_PlainCopy", "reconstructable_ms"),
    ("_Moves", "repo_pk"),
    ("str", "word"),
    # Every repository has an owner; lists use an outer join, so that SQLite scans in their order.
    ("ListedRow", "owner"),
    ("ListedRow", "owner_kind"),
    # Likewise every collection.
    ("CollectionRow", "owner_id"),
    ("CollectionRow", "owner"),
    ("CollectionRow", "owner_fullname"),
    ("CollectionRow", "owner_kind"),
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
    """Return the type of each column of a row, nested rows included."""
    types = typing.get_type_hints(row)
    if not dataclasses.is_dataclass(row):
        return types
    columns: dict[str, Any] = {}
    for name, hint in types.items():
        inner = next((member for member in _members(hint) if hasattr(member, "_fields")), None)
        if inner is None:
            columns[name] = hint
        else:  # an optional row makes each of its columns optional
            absent = NoneType in _members(hint)
            columns |= {k: v | None if absent else v for k, v in hints(inner).items()}
    return columns


def _members(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) or (hint,)


def outer(statement: Statement[Any]) -> set[object]:
    """Return the tables on the optional side of an outer join."""
    if not isinstance(statement.element, Select):
        return set()
    pending: list[object] = list(statement.element.get_final_froms())
    optional: set[object] = set()
    while pending:
        source = pending.pop()
        if isinstance(source, Join):
            pending += [source.left, source.right]
            optional |= {source.right} if source.isouter else set()
    return optional


def test_there_are_statements() -> None:
    assert len(STATEMENTS) > 240


@pytest.mark.parametrize("name", STATEMENTS)
def test_every_statement_compiles_on_both_engines(name: str) -> None:
    for dialect in (sqlite_dialect(), postgres_dialect()):
        compiled = STATEMENTS[name].on(dialect)
        assert compiled.sql


@pytest.mark.parametrize("name", [name for name, stmt in STATEMENTS.items() if stmt.row])
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
