"""The server: one process, one event loop, one application."""

from __future__ import annotations

import asyncio
import functools
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import uvicorn
from starlette.types import ASGIApp

from hubstead.http.acceptor import Acceptor
from hubstead.http.connection import HttpConnection
from hubstead.http.connections import ConnectionTable
from hubstead.http.limits import Limits
from hubstead.http.listeners import open_listeners

#: How often a lingering server looks for its end.
_TICK_S = 0.1


class HttpServer(uvicorn.Server):
    """Serves an application until a signal or ``stop`` ends it.

    SIGTERM or SIGINT: call ``on_drain`` and serve on for ``linger_s`` seconds, which a second
    signal ends; accept nothing more, finish the running requests within ``drain_s`` seconds, end
    the application's lifespan, return. A further signal: return now.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: Limits | None = None,
        on_started: Callable[[int], object] | None = None,
        drain_s: int = 30,
        linger_s: float = 0.0,
        on_drain: Callable[[], object] | None = None,
        lifespan: Literal["on", "off"] = "on",
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        """Prepare; nothing is bound yet.

        Args:
            port: 0 takes a free one and passes it to ``on_started``.
            on_started: Called once connections are accepted, with the port.
            drain_s: How long the running requests may take after connections are refused.
            linger_s: How long connections are accepted after the first signal.
            on_drain: Called once a signal or ``stop`` ends the server, before ``linger_s``.
            lifespan: ``on`` if the application speaks ASGI's lifespan; its failure to start
                ends the server.
            tls: Certificate chain and key. Bytes then take the ordinary path.
        """
        limits = limits or Limits()
        self._on_started = on_started
        self._on_drain = on_drain
        self._linger_s = linger_s
        self._lingers = linger_s > 0  # until a second signal
        self.table = ConnectionTable(limits)
        protocol: Any = functools.partial(HttpConnection, limits=limits, table=self.table)
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            http=protocol,
            ws="none",
            interface="asgi3",
            lifespan=lifespan,
            log_config=None,
            access_log=False,
            proxy_headers=False,  # the application knows which proxies to trust
            server_header=False,
            timeout_graceful_shutdown=drain_s,
            ssl_certfile=tls[0] if tls else None,
            ssl_keyfile=tls[1] if tls else None,
        )
        super().__init__(config)

    @property
    def port(self) -> int:
        """The port that is bound; known once the server has started."""
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port

    def stop(self) -> None:
        """Ask the server to drain and end; may be called from any thread."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, start to accept, then call ``on_started``.

        Raises:
            Unavailable: the address cannot be bound.
        """
        if sockets is None:
            sockets = open_listeners(
                self.config.host, self.config.port, backlog=self.config.backlog
            )
        await super().startup([])  # the lifespan; no socket, as uvicorn would accept by itself
        servers: list[Any] = [Acceptor(each, self._connection, self.config.ssl) for each in sockets]
        self.servers = servers
        if self._on_started is not None:
            self._on_started(self.port)

    async def main_loop(self) -> None:
        """Serve until the end of ``linger_s`` after the first signal."""
        await super().main_loop()
        if self._on_drain is not None:
            self._on_drain()
        self.table.is_draining = True
        until = time.monotonic() + self._linger_s
        ticks = 0
        while self._lingers and time.monotonic() < until:
            await asyncio.sleep(_TICK_S)
            ticks += 1
            await self.on_tick(ticks)  # the date of responses goes on
        self._lingers = False

    def _connection(self) -> asyncio.Protocol:
        """Make the protocol of one connection, as ``uvicorn.Server.startup`` does."""
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain and end."""
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal: the first drains, the second ends lingering, the next one everything.

        Unlike uvicorn's, the signal is not raised again afterwards: the caller of ``serve``
        has resources to close, and a drained server ends with success.
        """
        if self.should_exit and not self._lingers:
            self.force_exit = True
        elif self.should_exit:
            self._lingers = False
        self.should_exit = True


def serve(
    app: ASGIApp,
    host: str,
    port: int,
    limits: Limits | None = None,
    on_started: Callable[[int], object] | None = None,
    *,
    drain_s: int = 30,
    lifespan: Literal["on", "off"] = "on",
) -> None:
    """Serve ``app`` until a signal says stop; see ``HttpServer``.

    Raises:
        Unavailable: the address cannot be bound.
        SystemExit: the application did not start; the reason has been logged.
    """
    server = HttpServer(
        app,
        host=host,
        port=port,
        limits=limits,
        on_started=on_started,
        drain_s=drain_s,
        lifespan=lifespan,
    )
    server.run()
