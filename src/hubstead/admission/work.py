"""The work of one request: its caller, whether the client has left, the bytes that it buffers.

A context variable carries it from the request to the threads that work for it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from hubstead.errors import ClientGone, Overloaded, ShareExceeded, WorkTooLong

_work: ContextVar[Work | None] = ContextVar("hubstead_work", default=None)
_call: ContextVar[Call | None] = ContextVar("hubstead_call", default=None)

#: The prefix of an IPv6 network that one customer of a provider gets as a whole.
_IPV6_NETWORK_BITS = 64


class ByteBudget:
    """Bounds the bytes that all requests buffer at once, and those of one caller.

    Args:
        limit: The most bytes of all callers.
        share: The most bytes of one caller.
    """

    def __init__(self, limit: int, share: int) -> None:
        self.limit = limit
        self.share = share
        self.used = 0
        self.refused = 0
        self._by_caller: dict[str, int] = {}

    def take(self, caller: str, count: int) -> None:
        """Count ``count`` more bytes of a caller.

        Raises:
            Overloaded: all requests together buffer too much.
            ShareExceeded: this caller does.
        """
        if self.used + count > self.limit:
            self.refused += 1
            raise Overloaded(lane="buffers")
        of_caller = self._by_caller.get(caller, 0) + count
        if of_caller > self.share:
            self.refused += 1
            raise ShareExceeded(lane="buffers")
        self.used += count
        self._by_caller[caller] = of_caller

    def release(self, caller: str, count: int) -> None:
        """Count bytes as released."""
        self.used -= count
        left = self._by_caller.get(caller, 0) - count
        if left > 0:
            self._by_caller[caller] = left
        else:
            self._by_caller.pop(caller, None)


class Work:
    """What one request does, for admission. Used on the event loop, but for ``gone``."""

    __slots__ = ("_budget", "_held", "_waiters", "caller", "gone")

    def __init__(self, caller: str, budget: ByteBudget | None = None) -> None:
        self.caller = caller
        self.gone = False
        self._budget = budget
        self._held: list[tuple[str, int]] = []  # a request's caller becomes known after its start
        self._waiters: set[asyncio.Future[None]] = set()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make this the work of the running task, and of threads and tasks that it starts."""
        token = _work.set(self)
        try:
            yield
        finally:
            _work.reset(token)
            self.release()

    def leave(self) -> None:
        """Record that the client has left: loops end at their next checkpoint, waiters now."""
        self.gone = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(ClientGone())

    def watch(self, waiter: asyncio.Future[None]) -> None:
        """End ``waiter`` with ``ClientGone`` if the client leaves."""
        self._waiters.add(waiter)
        waiter.add_done_callback(self._waiters.discard)

    def buffer(self, count: int) -> None:
        """Count ``count`` bytes as buffered until the request ends.

        Raises:
            Overloaded, ShareExceeded: see ``ByteBudget.take``.
        """
        if self._budget is not None:
            self._budget.take(self.caller, count)
            self._held.append((self.caller, count))

    def release(self) -> None:
        """Release all buffered bytes."""
        held, self._held = self._held, []
        if self._budget is not None:
            for caller, count in held:
                self._budget.release(caller, count)


class Call:
    """One call in a lane, as its loops see it through ``checkpoint``."""

    __slots__ = ("cancelled", "deadline", "work")

    def __init__(self, work: Work | None, deadline: float) -> None:
        self.work = work  # None: the call goes on without its client
        self.deadline = deadline
        self.cancelled = False

    def check(self) -> None:
        """Raise if the call should end.

        Raises:
            ClientGone: nobody waits for the result any more.
            WorkTooLong: the deadline has passed.
        """
        if self.cancelled or (self.work is not None and self.work.gone):
            raise ClientGone()
        if self.deadline != math.inf and time.monotonic() > self.deadline:
            raise WorkTooLong()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make this the call that ``checkpoint`` checks."""
        token = _call.set(self)
        try:
            yield
        finally:
            _call.reset(token)


def checkpoint() -> None:
    """End the running call if its client has left or its deadline has passed.

    Loops whose length a client decides call this in every round. Outside of lanes it does nothing.

    Raises:
        ClientGone, WorkTooLong: see ``Call.check``.
    """
    call = _call.get()
    if call is not None:
        call.check()


def current_work() -> Work | None:
    """Return the work of the request that runs here; None in the background."""
    return _work.get()


def set_background() -> None:
    """Detach the current context from its request."""
    _work.set(None)
    _call.set(None)


def set_lasting() -> None:
    """Give the current context a work of the same caller, whose client never leaves."""
    work = _work.get()
    if work is not None:
        _work.set(Work(work.caller))
        _call.set(None)


def buffer_bytes(count: int) -> None:
    """Count bytes that the current request buffers until it ends; nothing in the background.

    Raises:
        Overloaded, ShareExceeded: see ``ByteBudget.take``.
    """
    work = _work.get()
    if work is not None:
        work.buffer(count)


def address_key(address: str) -> str:
    """Return the name of the caller at an IP address: of IPv6, its network of 64 bits."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    mapped = parsed.ipv4_mapped
    if mapped is not None:
        return str(mapped)
    return str(ipaddress.ip_network((parsed.packed, _IPV6_NETWORK_BITS), strict=False))
