"""Limits of a connection: sizes, timeouts and minimum rates."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one connection.

    Sizes are bytes, times are seconds, rates are bytes per second.
    """

    header_bytes: int = 64 * KIB  # all header lines of one request together; more is 431
    header_seconds: float = 15  # from the first byte of a request to the end of its headers: 408
    target_bytes: int = 16 * KIB  # the request target; more is 414
    body_min_bytes_per_s: float = 1024  # slower bodies end in SlowClient …
    body_grace_s: float = 20  # … once we have waited this long for them
    body_silence_s: float = 60  # longest pause within a body
    send_stall_s: float = 60  # longest pause in which a client takes no byte of an answer
    drain_bytes: int = 64 * MIB  # how much of a rejected body is read before closing …
    drain_seconds: float = 30  # … and for how long
    linger_seconds: float = 5  # how long a client may take to read a last answer
    keep_alive_seconds: float = 65  # how long an idle connection stays open
    max_connections: int = 4096  # further connections get 503, unless an idle one can go
    connections_per_address: int = 2500  # likewise
    #: Networks of proxies, which no limit per address applies to.
    trusted: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    pipelined_requests: int = 64  # requests that may wait on one connection


class Pace:
    """Whether a body arrives fast enough, judged by the time that we waited for it.

    Time in which the server was busy with the bytes does not count against the client.
    """

    __slots__ = ("_limits", "waited_s")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.waited_s = 0.0

    def patience(self, received: int) -> float:
        """Return for how many seconds the next byte may let us wait; 0 when it is too late.

        Args:
            received: Bytes of the body that have arrived so far.
        """
        limits = self._limits
        due = received / limits.body_min_bytes_per_s if limits.body_min_bytes_per_s else 1e9
        left = max(limits.body_grace_s, due) - self.waited_s
        return max(0.0, min(limits.body_silence_s, left))
