"""The open connections of a server by address: how many there may be, and which idle one goes.

Idle connections are closed for new ones, the oldest of the largest address first. An address in
``Limits.trusted`` counts for all connections only: proxies carry those of many clients.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Protocol

from hubstead.admission import address_key
from hubstead.http.limits import Limits


class Closable(Protocol):
    """A connection, as the table needs it."""

    def close_idle(self) -> None:
        """Close the connection, which has no request."""
        ...


class _OfAddress:
    """The connections of one address; idle ones in the order in which they became idle."""

    __slots__ = ("count", "idle")

    def __init__(self) -> None:
        self.count = 0
        self.idle: OrderedDict[Closable, None] = OrderedDict()


class ConnectionTable:
    """Counts connections; used on the event loop only."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_address: dict[str, _OfAddress] = {}
        self.count = 0
        #: Idle connections that were closed for new ones, since the start.
        self.closed_idle = 0
        #: Connections without a place, since the start.
        self.refused = 0
        #: Whether the server ends soon, so that each response is the last of its connection.
        self.is_draining = False

    def add(self, connection: Closable, address: str) -> bool:
        """Count a new connection, which is idle until its first byte.

        Returns:
            False if it has no place: too many are open, and none of them is idle.
        """
        key = address_key(address)
        here = self._by_address.setdefault(key, _OfAddress())
        fits = (
            here.count < self._limits.connections_per_address
            or self._is_trusted(address)
            or self._close_one(here)
        )
        if fits and self.count >= self._limits.max_connections:
            fits = self._close_one(self._largest())
        here.count += 1
        self.count += 1
        here.idle[connection] = None
        self.refused += not fits
        return fits

    def remove(self, connection: Closable, address: str) -> None:
        """Uncount a connection that was closed."""
        key = address_key(address)
        here = self._by_address[key]
        here.idle.pop(connection, None)
        here.count -= 1
        self.count -= 1
        if not here.count:
            del self._by_address[key]

    def note_busy(self, connection: Closable, address: str) -> None:
        """Note that a request begins on a connection."""
        self._by_address[address_key(address)].idle.pop(connection, None)

    def note_idle(self, connection: Closable, address: str) -> None:
        """Note that a connection waits for its next request."""
        idle = self._by_address[address_key(address)].idle
        idle[connection] = None
        idle.move_to_end(connection)

    def _largest(self) -> _OfAddress | None:
        with_idle = (here for here in self._by_address.values() if here.idle)
        return max(with_idle, key=lambda here: here.count, default=None)

    def _close_one(self, here: _OfAddress | None) -> bool:
        if here is None or not here.idle:
            return False
        connection, _ = here.idle.popitem(last=False)
        self.closed_idle += 1
        connection.close_idle()
        return True

    def _is_trusted(self, address: str) -> bool:
        if not self._limits.trusted:
            return False
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return True  # a socket of this machine
        return any(parsed in network for network in self._limits.trusted)
