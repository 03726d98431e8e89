"""Accepts the connections of one listening socket, many of them per turn of the event loop.

uvloop's own server accepts one connection per turn. A turn beside hundreds of busy connections
takes tens of milliseconds, so new clients would wait for seconds.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable

import structlog

#: Connections that one turn of the event loop accepts at most: more would delay the busy ones.
PER_TURN = 64
#: How long an acceptor waits when the machine has no descriptor or memory for a connection.
_PAUSE_S = 0.5
#: Errors of ``accept`` that pass once other connections close (accept(2)).
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_log = structlog.get_logger("hubstead.http")


class Acceptor:
    """Accepts connections until ``close``; has the interface of ``asyncio.Server``."""

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Start to accept; called on the event loop.

        Args:
            listener: A listening socket, which the acceptor owns from now on.
            protocol: Makes the protocol of one connection.
        """
        listener.setblocking(False)
        self._listener = listener
        self._protocol = protocol
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._closed = False
        self._resume()

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening socket; none once closed."""
        return () if self._closed else (self._listener,)

    def close(self) -> None:
        """Accept nothing more; connections stay open."""
        if self._closed:
            return
        self._closed = True
        if self._pause is None:
            self._loop.remove_reader(self._listener.fileno())
        else:
            self._pause.cancel()
        self._listener.close()

    async def wait_closed(self) -> None:
        """Wait until every accepted connection has its protocol."""
        await asyncio.gather(*self._opening, return_exceptions=True)

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(PER_TURN):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue  # the client left before its turn
            except OSError as error:
                self._suspend(error)
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._open(connection))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _suspend(self, error: OSError) -> None:
        """Let running requests give back what the machine is short of."""
        if error.errno not in _EXHAUSTED:
            raise error
        _log.error("accept failed", reason=error.strerror)
        self._loop.remove_reader(self._listener.fileno())
        self._pause = self._loop.call_later(_PAUSE_S, self._resume)

    async def _open(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection, ssl=self._tls)
        except (OSError, ssl.SSLError) as error:  # the client left, or does not speak TLS
            _log.debug("connection failed", reason=str(error))
            connection.close()
