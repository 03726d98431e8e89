"""Statements return the declared rows, and registration refuses a mismatch."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from sqlalchemy import bindparam, func, select

from hubstead.accounts.tables import accounts
from hubstead.db import Database, indexed, scan
from tests.support.factories import a_user


class Named(NamedTuple):
    pk: int
    name: str


_NAMED = select(accounts.c.pk, accounts.c.name).where(accounts.c.name == bindparam("which"))


async def test_rows_are_those_of_the_statement(db: Database) -> None:
    anna = await a_user(db, "anna")
    row = await db.one(indexed(_NAMED, Named), which="anna")
    assert type(row) is Named
    assert row == (anna.pk, "anna")
    assert await db.all(scan(_NAMED, Named), which="bert") == []


async def test_the_value_of_a_single_column_is_the_row(db: Database) -> None:
    await a_user(db, "anna")
    assert await db.all(indexed(select(accounts.c.name), str)) == ["anna"]


async def test_single_returns_the_only_row(db: Database) -> None:
    count = indexed(select(func.count().label("n")).select_from(accounts), int)
    assert await db.single(count) == 0
    with pytest.raises(ValueError, match="not enough values"):
        await db.single(indexed(_NAMED, Named), which="nobody")


class _Swapped(NamedTuple):
    name: str
    pk: int


class _Misspelt(NamedTuple):
    pk: int
    nmae: str


def test_a_statement_with_columns_declares_its_row() -> None:
    with pytest.raises(TypeError, match="a row of the columns pk, name"):
        indexed(_NAMED)


@pytest.mark.parametrize("row", [_Swapped, _Misspelt, int])
def test_a_row_with_other_columns_is_refused_at_registration(row: type) -> None:
    with pytest.raises(TypeError, match="does not have the fields pk, name"):
        indexed(_NAMED, row)
