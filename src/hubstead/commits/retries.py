"""Retries of writes that lose a race for a ref."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from hubstead.commits.refs import RefMoved
from hubstead.errors import ConcurrentChange

T = TypeVar("T")

#: How often a write is attempted while other nodes move the ref.
ATTEMPTS = 10


async def retrying(attempt: Callable[[], Awaitable[T]], *, attempts: int = ATTEMPTS) -> T:
    """Call ``attempt`` until it does not raise `RefMoved`, and return its result.

    Raises:
        ConcurrentChange: the ref moved during every attempt.
    """
    for _ in range(attempts):
        try:
            return await attempt()
        except RefMoved:
            continue
    raise ConcurrentChange()
