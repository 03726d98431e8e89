"""A request body on its way from the socket to its consumer, in a thread of its own.

A slow client keeps its thread waiting, so these threads are a lane apart (``Lane.UPLOADS``).
Without a free one, a body takes the ordinary path.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable

from hubstead.errors import ClientGone, SlowClient
from hubstead.http.limits import Pace

Consume = Callable[[memoryview], object]
BUFFER = 1 << 20


class BodyReceiver:
    """Receives exactly the rest of one body; ``left`` says how much the socket still holds."""

    def __init__(
        self,
        sock: socket.socket | None,
        first: bytes,
        left: int,
        *,
        consume: Consume,
        pace: Pace,
        received: int,
    ) -> None:
        self.left = left
        self._sock = sock
        self._first = first
        self._consume = consume
        self._pace = pace
        self._received = received
        self._stopped = False

    def stop(self) -> None:
        """Make ``run`` end soon, in ClientGone: the connection is being given up."""
        self._stopped = True
        if self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RD)  # wakes the thread from its poll

    def run(self) -> None:
        """Hand the whole body to ``consume``, in order; runs in a thread.

        Raises:
            ClientGone: the body was cut short.
            SlowClient: it came too slowly.
            Exception: whatever ``consume`` raised.
        """
        if self._first:
            self._consume(memoryview(self._first))
        if not self.left or self._sock is None:
            return
        buffer = memoryview(bytearray(min(BUFFER, self.left)))
        poller = select.poll()
        poller.register(self._sock, select.POLLIN)
        while self.left:
            filled = self._fill(self._sock, poller, buffer[: min(len(buffer), self.left)])
            self._consume(buffer[:filled])

    def _fill(self, sock: socket.socket, poller: select.poll, buffer: memoryview) -> int:
        filled = 0
        while filled < len(buffer):
            if self._stopped:
                raise ClientGone()
            try:
                got = sock.recv_into(buffer[filled:])
            except BlockingIOError:
                self._wait(poller)
                continue
            except OSError as gone:
                raise ClientGone() from gone
            if not got:
                raise ClientGone()
            filled += got
            self.left -= got
            self._received += got
        return filled

    def _wait(self, poller: select.poll) -> None:
        patience = self._pace.patience(self._received)
        started = time.monotonic()
        ready = poller.poll(patience * 1000)
        self._pace.waited_s += time.monotonic() - started
        if not ready:
            raise SlowClient()
