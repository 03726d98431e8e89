"""The type of the fixture ``run``, which runs a coroutine to its end on the test's loop."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Run(Protocol):
    """Runs a coroutine and returns its result."""

    def __call__(self, work: Coroutine[Any, Any, T]) -> T: ...
