"""Statements: built once with SQLAlchemy Core, compiled once per dialect, run on its driver.

``indexed(...)`` registers an indexed look-up of a few rows: SQLite runs it inline on the event loop
(10-30 µs). ``scan(...)`` registers any longer one: SQLite runs it in a reader thread.
PostgreSQL treats both alike.

A statement that returns rows is registered with the type of its rows: a ``NamedTuple`` whose
fields are the statement's columns, in their order, or the type of the value itself if there is
one column and it is never null. Readers return rows of that type.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Generic, TypeVar, overload

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Executable,
    Table,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
)
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import asyncpg as _asyncpg
from sqlalchemy.dialects.postgresql import insert as _postgres_insert
from sqlalchemy.dialects.sqlite import pysqlite as _pysqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BindParameter
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import ReturnsRows
from sqlalchemy.types import ARRAY, Boolean, TypeEngine

#: ``INSERT`` that can say ``on_conflict_do_…``. PostgreSQL's own class knows all that SQLite's
#: does, and SQLAlchemy compiles it for both.
insert = _postgres_insert

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Compiled:
    """The SQL of a statement in one dialect."""

    sql: str
    names: tuple[str, ...]
    defaults: Mapping[str, object]

    def arguments(self, values: Mapping[str, object]) -> list[object]:
        """Return the positional arguments; a parameter without a value has its default."""
        if not values.keys() <= self.defaults.keys():
            unknown = ", ".join(sorted(values.keys() - self.defaults.keys()))
            raise TypeError(f"the statement has no parameter {unknown}")
        return [values[name] if name in values else self.defaults[name] for name in self.names]


@dataclass(frozen=True, eq=False)
class Statement(Generic[R_co]):
    """A statement, the type of its rows, and whether it may run long."""

    element: Executable
    #: The type of its rows; None for a statement that returns none.
    row: type[R_co] | None = None
    #: Builds a row from the values of its columns; None for a statement that returns none.
    make_row: Callable[[Sequence[object]], R_co] | None = None
    long: bool = False
    _compiled: dict[str, Compiled] = field(default_factory=dict, repr=False)

    def on(self, dialect: Dialect) -> Compiled:
        """Return the statement compiled for ``dialect``; compile it at first use."""
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _compile(self.element, dialect)
        return compiled


@overload
def indexed(element: Executable) -> Statement[None]: ...
@overload
def indexed(element: Executable, row: type[R]) -> Statement[R]: ...
def indexed(element: Executable, row: type[Any] | None = None) -> Statement[Any]:
    """Register a statement that reads or writes a few rows by an index.

    Raises:
        TypeError: if the fields of ``row`` are not the columns that the statement returns.
    """
    return Statement(element, row, _row_maker(element, row))


@overload
def scan(element: Executable) -> Statement[None]: ...
@overload
def scan(element: Executable, row: type[R]) -> Statement[R]: ...
def scan(element: Executable, row: type[Any] | None = None) -> Statement[Any]:
    """Register a statement that may read many rows.

    Raises:
        TypeError: if the fields of ``row`` are not the columns that the statement returns.
    """
    return Statement(element, row, _row_maker(element, row), long=True)


def _row_maker(element: Executable, row: type[Any] | None) -> Callable[[Any], Any] | None:
    columns = tuple(element.exported_columns.keys()) if isinstance(element, ReturnsRows) else ()
    if row is None:
        if columns:
            raise TypeError(f"give the type of a row of the columns {', '.join(columns)}")
        return None
    if len(columns) == 1 and not hasattr(row, "_fields"):
        return itemgetter(0)
    if getattr(row, "_fields", None) != columns:
        raise TypeError(f"{row.__qualname__} does not have the fields {', '.join(columns)}")
    return row._make  # type: ignore[no-any-return]


def insert_into(table: Table, *columns: str) -> Insert:
    """Return an ``INSERT`` with one parameter per column, of the same name."""
    return insert(table).values({name: bindparam(name) for name in columns})


def total(
    column: ColumnElement[int], where: ColumnElement[bool] | None = None
) -> ColumnElement[int]:
    """Return the sum of an integer column over the rows that meet ``where``.

    The sum is an integer on both engines (PostgreSQL sums to NUMERIC), and 0 without rows.
    """
    added = func.sum(column) if where is None else func.sum(column).filter(where)
    return func.coalesce(cast(added, BigInteger), literal_column("0", BigInteger))


def sqlite_dialect() -> Dialect:
    """Return the dialect whose parameters are ``?``."""
    return _pysqlite.dialect(paramstyle="qmark")


def postgres_dialect() -> Dialect:
    """Return the dialect whose parameters are ``$1``, typed by casts as asyncpg needs them."""
    return _asyncpg.dialect()  # type: ignore[no-untyped-call]


def _compile(element: Executable, dialect: Dialect) -> Compiled:
    compiled = element.compile(dialect=dialect)  # type: ignore[attr-defined]
    assert isinstance(compiled, SQLCompiler)
    names = tuple(compiled.positiontup or ())
    return Compiled(compiled.string, names, dict(compiled.params))


class _AnyOf(ColumnElement[bool]):
    inherit_cache = True
    type = Boolean()

    def __init__(self, column: ColumnElement[Any], values: BindParameter[Any]) -> None:
        self.column = column
        self.values = values

    def self_group(self, against: object = None) -> _AnyOf:
        """Return itself: SQLAlchemy would write ``… = 1``, and SQLite would ignore the index."""
        return self


def any_of(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return ``column IN (…)`` for the list that the parameter ``name`` passes at run time."""
    kind: TypeEngine[Any] = ARRAY(column.type)
    return _AnyOf(column, bindparam(name, type_=kind))


@compiles(_AnyOf)
def _any_of_sqlite(element: _AnyOf, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.column, **options)
    values: BindParameter[Any] = bindparam(element.values.key)
    return f"{column} IN (SELECT value FROM json_each({compiler.process(values, **options)}))"  # noqa: S608


@compiles(_AnyOf, "postgresql")
def _any_of_postgres(element: _AnyOf, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.column, **options)
    return f"{column} = ANY({compiler.process(element.values, **options)})"


class _EachOf(FunctionElement[str]):
    inherit_cache = True
    name = "each_of"
    type = Text()


def each_of(name: str) -> ColumnElement[str]:
    """Return the column of a table of texts, the list that the parameter ``name`` passes."""
    # PostgreSQL gives the one column of ``unnest`` the name of its alias.
    rows = _EachOf(bindparam(name, type_=ARRAY(Text))).table_valued("value", name="value")
    return rows.c.value


@compiles(_EachOf)
def _each_of_sqlite(element: _EachOf, compiler: SQLCompiler, **options: Any) -> str:
    (values,) = element.clauses
    parameter: BindParameter[Any] = bindparam(values.key)
    return f"json_each({compiler.process(parameter, **options)})"


@compiles(_EachOf, "postgresql")
def _each_of_postgres(element: _EachOf, compiler: SQLCompiler, **options: Any) -> str:
    return f"unnest({compiler.process(element.clauses, **options)})"


class _Bytewise(ColumnElement[str]):
    inherit_cache = True
    type = Text()

    def __init__(self, column: ColumnElement[str]) -> None:
        self.column = column


def bytewise(column: ColumnElement[str]) -> ColumnElement[str]:
    """Return a text that compares by its bytes, whatever the collation of the database is."""
    return _Bytewise(column)


@compiles(_Bytewise)
def _bytewise_sqlite(element: _Bytewise, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.column, **options)


@compiles(_Bytewise, "postgresql")
def _bytewise_postgres(element: _Bytewise, compiler: SQLCompiler, **options: Any) -> str:
    return f'({compiler.process(element.column, **options)} COLLATE "C")'


_LISTS = (list, tuple)  # a constant: ``list | tuple`` would be rebuilt by every call


def sqlite_value(value: object) -> object:
    """Return ``value`` for SQLite's driver: a list becomes the JSON that ``json_each`` reads."""
    return json.dumps(value) if isinstance(value, _LISTS) else value
