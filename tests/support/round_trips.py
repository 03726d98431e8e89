"""Counts calls of a database: on PostgreSQL, each costs at least one round trip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hubstead.db import Database, Tx

_CALLS = ("one", "all", "run", "run_many")


async def record_calls(db: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by one name per call of ``db`` or of its transactions.

    A method that calls another counts twice; ``run_many`` counts once for all of its rows.
    """
    calls: list[str] = []

    def recorded(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: object, *args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return original(self, *args, **kwargs)

        return call

    for owner in (type(db), await db.write(_type_of)):
        for name in _CALLS:
            if hasattr(owner, name):
                monkeypatch.setattr(owner, name, recorded(name, getattr(owner, name)))
    return calls


async def _type_of(tx: Tx) -> type[Tx]:
    return type(tx)
