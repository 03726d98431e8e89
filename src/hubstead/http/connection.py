"""The HTTP/1.1 connection: uvicorn's httptools protocol, with what it lacks.

It adds zero-copy files, bodies received in threads, limits in size and time, and a way of
hanging up that lets the client read the last answer. It leans on uvicorn's internals, which is
why its minor version is pinned (``docs/decisions/0002-http-server.md``).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import socket
import urllib.parse
from collections.abc import Callable
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from hubstead.http.connections import ConnectionTable
from hubstead.http.exchange import Exchange
from hubstead.http.limits import Limits
from hubstead.http.sendfile import CAN_SEND_FILES

ZERO_COPY = "http.response.zerocopysend"
RECEIVE_INTO = "hubstead.receive_into"
#: An extension: a function that takes a callback for the loss of the connection.
ON_GONE = "hubstead.on_gone"

_JOINED_BYTES = 32 * 1024
_END_OF_HEAD = b"\r\n\r\n"
_ASKS_TO_UPGRADE = b"\r\nupgrade:"
_UPGRADE = re.compile(rb"(\r\nupgrad)e:", re.I)
_SOCKET_KINDS = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


class RequestRefused(Exception):
    """The connection rejects this request with ``status``; the application never sees it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def _without_upgrade(data: bytes) -> bytes:
    """Rename the header that requests another protocol in the head of a request.

    A server may ignore it (RFC 9110, 7.8), but the parser would then skip the body:
    Java's client and curl send h2c upgrades with every kind of request.
    """
    head, end, rest = data.partition(_END_OF_HEAD)
    return _UPGRADE.sub(rb"\1_:", head) + end + rest


def _may_become_upgrade(data: bytes) -> int:
    """Return how many bytes at the end of a partial head may begin the ``Upgrade`` header."""
    tail = data[1 - len(_ASKS_TO_UPGRADE) :].lower()
    counts = range(len(tail), 0, -1)
    return next((n for n in counts if _ASKS_TO_UPGRADE.startswith(tail[-n:])), 0)


class Outlet:
    """The transport of an exchange: joins heads to bodies and delays closing."""

    def __init__(self, line: HttpConnection) -> None:
        self.close = line.hang_up
        self.is_closing = line.is_leaving
        self.holding = False  # the bytes being written are a head
        self._transport = line.transport
        self._call_soon = line.loop.call_soon
        self._held = b""

    def write(self, data: bytes) -> None:
        """Write the delayed bytes, then these.

        A head waits for the body that follows it in the same turn of the loop, if one does, so
        that a small answer is one packet and one wake-up of the client.
        """
        if self.holding:
            self._held = data
            self._call_soon(self.flush)
        elif self._held and len(data) <= _JOINED_BYTES:
            data, self._held = self._held + data, b""
            self._transport.write(data)
        else:
            self.flush()
            self._transport.write(data)

    def flush(self) -> None:
        """Write the delayed bytes."""
        if self._held:
            data, self._held = self._held, b""
            if not self._transport.is_closing():
                self._transport.write(data)


class HttpConnection(HttpToolsProtocol):
    """One connection. All its methods run on the event loop."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits,
        table: ConnectionTable,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.access_log = False
        self.timeout_keep_alive = limits.keep_alive_seconds  # type: ignore[assignment]
        self.limits = limits
        self.table = table
        self._address = ""
        self._counted = False  # the table counts this connection
        self.outlet: Outlet = None  # type: ignore[assignment]
        self.socket_fd = -1
        self.plain = False  # the socket carries HTTP itself: no TLS
        self._surplus = False  # the server has too many connections
        self._active: Exchange | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._abort_timer: asyncio.TimerHandle | None = None
        self._begun = 0  # requests that began within the current data
        self._in_request = False  # from a request's first byte to the last of its body
        self._in_head = False  # from a request's first byte to the end of its headers
        self._fed_head = 0  # bytes of an unfinished head, at least
        self._head_bytes = 0  # bytes of header lines, exactly
        self._head_rest = b""  # end of a partial head: it may begin an Upgrade header
        self._length: int | None = None
        self._chunked = False
        self._refusal: RequestRefused | None = None  # sent once the running requests end
        self._raw_left = 0  # body bytes that must bypass the parser
        self._drain_left = limits.drain_bytes
        self._draining = False
        self._deaf = False  # the connection ignores all further bytes
        self._cut_off = False  # the client may have sent requests that were dropped
        self._leaving = False
        self._lost = False

    # Connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer that ends a connection without a request."""
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and self.scheme == "http" and sock.family in _SOCKET_KINDS:
            self.plain = True
            self.socket_fd = sock.fileno()
        self.outlet = Outlet(self)
        self._address = self.client[0] if self.client else ""
        self._surplus = not self.table.add(self, self._address)
        self._counted = True
        self._arm(self.limits.header_seconds, self._head_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up every request on this connection."""
        self._lost = True
        if self._counted:
            self._counted = False
            self.table.remove(self, self._address)
        self._disarm()
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        self._unset_keepalive_if_required()
        for cycle in [self._active, *(cast(Exchange, queued) for queued, _ in self.pipeline)]:
            if cycle is not None:
                cycle.give_up()
        super().connection_lost(exc)

    def is_leaving(self) -> bool:
        """Whether this connection accepts no more responses."""
        return self._leaving or self.transport.is_closing()

    def shutdown(self) -> None:
        """Close after the running requests: the server stops."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            self.hang_up()

    def close_idle(self) -> None:
        """Close a connection without a request: another one needs its place."""
        self._close()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection."""
        self._close()

    # Received bytes

    def data_received(self, data: bytes) -> None:
        """Feed bytes from the socket to the parser."""
        self._unset_keepalive_if_required()
        if self._raw_left:
            data = self._skip_raw(data)
        if self._deaf:
            self._count_drained(len(data))
        elif data:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        clean, self._begun = not self._in_request, 0
        was_in_head = self._in_head
        if clean or was_in_head:
            data = self._past_upgrade(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # no other protocol is supported: respond as HTTP, then close
        except httptools.HttpParserError as error:
            if not self._deaf:
                self._refuse(_cause(error))
        else:
            if self._in_head:
                self._watch_head(data, was_in_head or (clean and self._begun == 1))
            elif not self._in_request and self._active is None and self._timer is None:
                self._await_next()  # blank lines between requests do not reset the idle timer

    def _past_upgrade(self, data: bytes) -> bytes:
        """Return the part of a head to parse; delay an end that may begin an Upgrade header."""
        data, self._head_rest = self._head_rest + data, b""
        if _END_OF_HEAD not in data and (count := _may_become_upgrade(data)):
            data, self._head_rest = data[:-count], data[-count:]
        asks = b"pgrade" in data or b"PGRADE" in data
        return _without_upgrade(data) if asks else data

    def _watch_head(self, data: bytes, counts: bool) -> None:
        if counts:
            self._fed_head += len(data)
        if self._fed_head > self.limits.header_bytes + self.limits.target_bytes:
            self._refuse(RequestRefused(431, self._header_rule()))
        elif self._timer is None:
            self._arm(self.limits.header_seconds, self._head_late)

    def _header_rule(self) -> str:
        return f"The request's headers are larger than {self.limits.header_bytes} bytes."

    def _head_late(self) -> None:
        self._timer = None
        if self._in_head:
            seconds = f"{self.limits.header_seconds:g}"
            self._refuse(
                RequestRefused(408, f"The request's headers took longer than {seconds} s.")
            )
        elif self._active is None:
            self._close()

    # Parser callbacks

    def on_message_begin(self) -> None:
        """A request begins."""
        self._begun += 1
        if self._counted:
            self.table.note_busy(self, self._address)
        self._unset_keepalive_if_required()
        self._in_request = self._in_head = True
        self._fed_head = self._head_bytes = 0
        self._length, self._chunked = None, False
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the request target."""
        self.url += url
        if len(self.url) > self.limits.target_bytes:
            limit = self.limits.target_bytes
            raise RequestRefused(414, f"The request's address is longer than {limit} bytes.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line."""
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > self.limits.header_bytes:
            raise RequestRefused(431, self._header_rule())
        if not self._in_head:
            return  # a trailer is not a header
        name = name.lower()
        if name == b"content-length":
            self._length = int(value)
        elif name == b"transfer-encoding":
            self._chunked = True
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is complete: start the request, or queue it behind earlier ones."""
        if self._deaf:
            return
        self._check_host()
        if self._surplus:
            raise RequestRefused(503, "The server has too many connections: try again in a moment.")
        before, self.cycle = self.cycle, self._new_cycle()
        self._in_head = False
        self._disarm()
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
            return
        self.flow.pause_reading()
        self.pipeline.appendleft((self.cycle, self.app))
        if len(self.pipeline) >= self.limits.pipelined_requests:
            self.cycle.keep_alive = False  # so the connection reads nothing after it
            self._cut_off = True

    def _check_host(self) -> None:
        """Refuse a request that names no host or several (RFC 9112, 3.2).

        A proxy in front might take another one of them than the application does.
        """
        count = sum(name == b"host" for name, _ in self.headers)
        if count > 1 or (count == 0 and self.parser.get_http_version() == "1.1"):
            raise RequestRefused(400, "The request must name one host (the header Host).")

    def _new_cycle(self) -> Exchange:
        version = self.parser.get_http_version()
        scope = cast(dict[str, Any], self.scope)
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope.update(_split_target(bytes(self.url), self.root_path))
        length = None if self._chunked else (self._length or 0)
        cycle = Exchange(
            self,
            scope,
            length=length,
            # The parser stops at an upgrade request, which gets an HTTP response.
            keep_alive=version != "1.0"
            and not self.table.is_draining
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade(),
            expects=self.expect_100_continue and version != "1.0",
        )
        extensions: dict[str, Any] = {ON_GONE: cycle.on_gone}
        scope["extensions"] = extensions
        if self.plain and CAN_SEND_FILES:
            extensions[ZERO_COPY] = {}
        if self.plain and length and not self.parser.should_upgrade():
            extensions[RECEIVE_INTO] = cycle.receive_into
        return cycle

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._active = cycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        """A part of a request's body."""
        cycle = cast(Exchange, self.cycle)
        if self._deaf or cycle is None:
            return
        cycle.received += len(body)
        if cycle.response_complete:
            self._count_drained(len(body))
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._in_request = False
        if self._deaf or self.cycle is None:
            return
        self.cycle.more_body = False
        self.cycle.message_event.set()
        if not self.cycle.keep_alive:
            self._deaf = True
        elif self._draining:
            self._end_drain()

    # Bodies that a thread receives

    def borrow_socket(self) -> socket.socket:
        """Stop reading and return a duplicate of the socket, to read the body's rest from.

        It is non-blocking like the original, whose mode it shares. The caller closes it and
        calls ``reclaim_stored``.
        """
        self.flow.pause_reading()
        return socket.socket(fileno=os.dup(self.socket_fd))

    def take_back(self, cycle: Exchange, left: int) -> None:
        """Resume reading; discard the ``left`` remaining bytes of the body first."""
        if self._lost:
            return
        # The old parser still expects the body, which bypassed it.
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._raw_left = left
        if cycle.disconnected:
            self._close()
        elif not left:
            self._in_request = False
            cycle.more_body = False
            if not cycle.keep_alive:
                self._deaf = True
            self.flow.resume_reading()

    def _skip_raw(self, data: bytes) -> bytes:
        skipped = min(self._raw_left, len(data))
        self._raw_left -= skipped
        self._count_drained(skipped)
        if not self._raw_left and not self._leaving:
            self.cycle.more_body = self._in_request = False
            self.cycle.message_event.set()
            self._end_drain()
        return data[skipped:]

    # After a response

    def on_response_complete(self) -> None:
        """Start the next request, or wait for one."""
        self.server_state.total_requests += 1
        self._active = None
        if self.is_leaving():
            return
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._refusal is not None:
            self._refuse(self._refusal)
        elif self.cycle.more_body:
            self._draining = True
            self._drain_left = self.limits.drain_bytes
            self._arm(self.limits.drain_seconds, self._linger)
        elif not self._in_head:
            self._await_next()

    def _await_next(self) -> None:
        self._unset_keepalive_if_required()
        if self._counted:
            self.table.note_idle(self, self._address)
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _end_drain(self) -> None:
        if self._draining:
            self._draining = False
            self._disarm()
            self._await_next()

    def _count_drained(self, count: int) -> None:
        self._drain_left -= count
        if self._drain_left < 0:
            if self._leaving:
                self._close()
            elif self._draining:
                self._linger()

    # Closing

    def hang_up(self) -> None:
        """Close the connection once the client had the chance to read the response."""
        if self.is_leaving():
            return
        if self.cycle is not None and self.cycle.more_body:
            self._drain_left = self.limits.drain_bytes
            self._linger(self.limits.drain_seconds)
        elif self._cut_off:
            self._linger()
        else:
            self._close()

    def _linger(self, seconds: float | None = None) -> None:
        # Closing a socket with unread bytes sends a reset, and many clients then discard the
        # response that they have not read yet. So close only the sending side, and read.
        self._leaving = self._deaf = True
        self._draining = False
        self.outlet.flush()
        self._arm(self.limits.linger_seconds if seconds is None else seconds, self._close)
        if self._drain_left < 0:
            self._drain_left = self.limits.drain_bytes
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()

    def _close(self) -> None:
        self._leaving = self._deaf = True
        self._disarm()
        self.outlet.flush()
        self.transport.close()
        if self._abort_timer is None and self.transport.get_write_buffer_size():
            self._abort_timer = self.loop.call_later(self.limits.send_stall_s, self.transport.abort)

    def _refuse(self, refused: RequestRefused) -> None:
        """Respond instead of the application and close, after the requests before this one."""
        self._deaf = True
        self._disarm()
        broken = cast(Exchange | None, self.cycle if self._in_request else None)
        if broken is not None and not self._in_head and not broken.response_complete:
            broken.give_up()  # its body is invalid
            if broken.response_started:
                self._close()
                return
            self.pipeline = type(self.pipeline)(q for q in self.pipeline if q[0] is not broken)
            self._active = None if self._active is broken else self._active
        if self._active is not None or self.pipeline:
            self._refusal = refused
        elif not self.is_leaving():
            self.transport.write(_refusal(refused, self.server_state.default_headers))
            self._linger()

    # The timer: a connection waits for one event at a time

    def _arm(self, seconds: float, then: Callable[[], None]) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, then)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _cause(error: BaseException) -> RequestRefused:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, RequestRefused):
            return cause
        cause = cause.__context__
    return RequestRefused(400, "This is not a valid HTTP/1.1 request.")


def _split_target(target: bytes, root_path: str) -> dict[str, Any]:
    """Read the request target (RFC 9112, section 3.2) without normalising any of it."""
    if not target.startswith(b"/"):
        target = _absolute_target(target)
    raw_path, _, query = target.partition(b"#")[0].partition(b"?")
    try:
        path = raw_path.decode("ascii")
    except UnicodeDecodeError:
        raise RequestRefused(400, "The request's address must be percent-encoded ASCII.") from None
    if "%" in path:
        path = urllib.parse.unquote(path)
    return {
        "path": root_path + path,
        "raw_path": root_path.encode("ascii") + raw_path,
        "query_string": query,
    }


def _absolute_target(target: bytes) -> bytes:
    if target == b"*":
        return target
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise RequestRefused(400, "The request's address must begin with '/'.")
    slash = rest.find(b"/")
    return rest[slash:] if slash >= 0 else b"/"


def _refusal(refused: RequestRefused, defaults: list[tuple[bytes, bytes]]) -> bytes:
    body = json.dumps({"error": refused.reason}).encode("ascii")
    lines = [name + b": " + value + b"\r\n" for name, value in defaults]
    head = (
        "content-type: application/json\r\nx-content-type-options: nosniff\r\n"
        f"content-length: {len(body)}\r\n"
        f"x-request-id: {secrets.token_hex(16)}\r\nx-error-message: {refused.reason}\r\n"
        "connection: close\r\n\r\n"
    )
    return b"".join([STATUS_LINE[refused.status], *lines, head.encode("ascii"), body])
