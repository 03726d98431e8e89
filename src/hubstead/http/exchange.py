"""One request and its response: uvicorn's cycle, with files, threads and limits added."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from hubstead.admission import Lane, Place, run_in_lane, try_place, wait_to_the_end
from hubstead.errors import ClientGone, SlowClient, TooLarge
from hubstead.http.bodies import receive_by_messages
from hubstead.http.body_receiver import BodyReceiver, Consume
from hubstead.http.limits import Pace
from hubstead.http.responses import ResponseBroken
from hubstead.http.sendfile import FileSender, NotSendable

if TYPE_CHECKING:
    from hubstead.http.connection import HttpConnection

COPY_BYTES = 256 * 1024


class Exchange(RequestResponseCycle):
    """One request and its response for the application: ``receive``, ``send``, two extensions."""

    def __init__(
        self,
        line: HttpConnection,
        scope: Any,
        *,
        length: int | None,
        keep_alive: bool,
        expects: bool,
    ) -> None:
        super().__init__(
            scope=scope,
            transport=cast(asyncio.Transport, line.outlet),
            flow=line.flow,
            logger=line.logger,
            access_logger=line.access_logger,
            access_log=False,
            default_headers=line.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=expects,
            keep_alive=keep_alive,
            on_response=line.on_response_complete,
        )
        self.line = line
        self.length = length  # the request's Content-Length
        self.received = 0  # body bytes read from the socket
        self.late = False
        self.pace = Pace(line.limits)
        self.busy_with: FileSender | BodyReceiver | None = None
        self._tell_gone: Callable[[], None] | None = None

    @property
    def unread(self) -> int:
        """Bytes of the body not yet read from the socket (1 if unknown)."""
        if not self.more_body:
            return 0
        return 1 if self.length is None else self.length - self.received

    def on_gone(self, callback: Callable[[], None]) -> None:
        """The extension ``hubstead.on_gone``: call ``callback`` if the connection is lost."""
        self._tell_gone = callback
        if self.disconnected:
            callback()

    def give_up(self) -> None:
        """Wake every waiter: the connection is lost."""
        if not self.response_complete:
            self.disconnected = True
            if self._tell_gone is not None:
                self._tell_gone()
        self.message_event.set()
        if self.busy_with is not None:
            self.busy_with.stop()

    async def run_asgi(self, app: Callable[..., Awaitable[None]]) -> None:
        """Run the application.

        A client that disconnects and a server that stops are no errors of the application.
        """

        async def guarded(scope: Any, receive: Any, send: Any) -> None:
            try:
                await app(scope, receive, send)
            except ClientGone:
                if not self.disconnected:
                    raise
            except ResponseBroken:  # the end of the connection reports it; the caller logged it
                self.keep_alive = False
                self.disconnected = True
                self.line.transport.close()
            except asyncio.CancelledError:  # the drain timeout has passed
                self._abandon()

        await super().run_asgi(cast(Any, guarded))

    async def send_500_response(self) -> None:
        """Send a 500 response with a JSON body, after an error in the application."""
        body = json.dumps({"error": "Internal Server Error"}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"x-content-type-options", b"nosniff"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    # Request body

    async def receive(self) -> Any:
        """Return the next ASGI event of the request.

        Raises:
            SlowClient: the client sends more slowly than the limits allow, or nothing.
        """
        waiting = self.more_body and not self.body
        if waiting and not (self.disconnected or self.response_complete):
            self._say_continue()
            self.flow.resume_reading()
            await self._await_body()
        return await super().receive()

    async def _await_body(self) -> None:
        loop = self.line.loop
        started = loop.time()
        timer = loop.call_later(self.pace.patience(self.received), self._too_late)
        try:
            await self.message_event.wait()
        finally:
            timer.cancel()
            self.pace.waited_s += loop.time() - started
        if self.late:
            self.keep_alive = False
            raise SlowClient()

    def _too_late(self) -> None:
        self.late = True
        self.message_event.set()

    def _say_continue(self) -> None:
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.waiting_for_100_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def receive_into(self, consume: Consume, limit: int) -> int:
        """The extension ``hubstead.receive_into``: pass the body from the socket to ``consume``.

        ``consume`` runs in a thread; its memory is valid during the call only.

        Returns:
            The number of bytes passed to ``consume``: the whole body.

        Raises:
            TooLarge: Content-Length exceeds ``limit``; nothing was read.
            ClientGone: the client disconnected before the end of the body.
            SlowClient: the client sent too slowly, or stopped.
            Exception: any error that ``consume`` raised. The client still gets a response.
        """
        if self.length is None or self.length > limit:
            raise TooLarge(what="The request body", limit=limit, setting="of this address")
        if self.disconnected:
            raise ClientGone()
        self._say_continue()
        place = try_place(Lane.UPLOADS)
        if place is None:
            return await receive_by_messages(self.receive, consume, limit=limit)
        before = self.received - len(self.body)
        await self._take_over(consume, place)
        return self.received - before

    async def _take_over(self, consume: Consume, place: Place) -> None:
        first, self.body = bytes(self.body), bytearray()
        left = self.unread
        sock = self.line.borrow_socket() if left else None
        intake = BodyReceiver(
            sock, first, left, consume=consume, pace=self.pace, received=self.received
        )
        self.busy_with = intake
        try:
            await self._run(intake, place)
        except ClientGone:
            self.disconnected = True
            raise
        except SlowClient:
            self.keep_alive = False
            raise
        finally:
            self.busy_with = None
            self.received += left - intake.left
            if sock is not None:
                sock.close()
                self.line.take_back(self, intake.left)

    async def _run(self, intake: BodyReceiver, place: Place) -> None:
        # The thread calls the caller's consumer: it must end before this returns.
        try:
            await wait_to_the_end(place.start(intake.run), intake.stop)
        except asyncio.CancelledError:
            self.disconnected = True
            raise

    # Response

    async def send(self, message: Any) -> None:
        """Send one event of the response, ``http.response.zerocopysend`` included.

        Raises:
            ClientGone: the client disconnected before the end of a long response.
        """
        if self.flow.write_paused:
            await self._drained()
        kind = message["type"]
        if kind == "http.response.start":
            await self._send_head(message)
            return
        if self.disconnected and message.get("more_body", False):
            raise ClientGone()
        if kind == "http.response.zerocopysend":
            await self._send_file(message)
        else:
            await super().send(message)

    async def _send_head(self, message: Any) -> None:
        self._decide_keep_alive()
        self.line.outlet.holding = True
        try:
            await super().send(message)
        finally:
            self.line.outlet.holding = False

    def _decide_keep_alive(self) -> None:
        # A client that waits for 100 may never send its body, so the next bytes could be the body
        # or a request; and reading a very large body costs more than a new connection.
        if self.more_body and (
            self.waiting_for_100_continue or self.unread > self.line.limits.drain_bytes
        ):
            self.keep_alive = False

    async def _drained(self) -> None:
        """Wait until the client has read most of the written bytes; abort if it reads none."""
        size = self.line.transport.get_write_buffer_size
        while self.flow.write_paused and not self.disconnected:
            before = size()
            try:
                async with asyncio.timeout(self.line.limits.send_stall_s):
                    await self.flow.drain()
            except TimeoutError:
                if size() >= before:
                    self._abandon()

    def _abandon(self) -> None:
        self.disconnected = True
        self.line.transport.abort()

    async def _send_file(self, message: Any) -> None:
        if self.disconnected:
            raise ClientGone()
        if not self.response_started or self.response_complete:
            raise RuntimeError("Unexpected ASGI message 'http.response.zerocopysend'.")
        fd, offset, count = _file_range(message)
        if self.scope["method"] != "HEAD" and count:
            self._open_frame(count)
            await self._flushed()
            await self._send_range(fd, offset, count)
            if self.chunked_encoding:
                self.transport.write(b"\r\n")
        end = {"type": "http.response.body", "body": b"", "more_body": message.get("more_body")}
        await super().send(cast(Any, end))

    def _open_frame(self, count: int) -> None:
        if self.chunked_encoding:
            self.transport.write(b"%x\r\n" % count)
        elif count > self.expected_content_length:
            raise RuntimeError("Response content longer than Content-Length")
        else:
            self.expected_content_length -= count

    async def _flushed(self) -> None:
        """Wait until the transport has passed all bytes to the kernel."""
        transport = self.line.transport
        self.line.outlet.flush()
        if transport.get_write_buffer_size() == 0:
            return
        await asyncio.sleep(0)  # uvloop writes at the end of an iteration, and a head always fits
        if transport.get_write_buffer_size() == 0:
            return
        transport.set_write_buffer_limits(0)
        try:
            while transport.get_write_buffer_size() and not self.disconnected:
                await (self._drained() if self.flow.write_paused else asyncio.sleep(0.001))
        finally:
            if not transport.is_closing():
                transport.set_write_buffer_limits()

    async def _send_range(self, fd: int, offset: int, count: int) -> None:
        if self.disconnected:
            raise ClientGone()
        self.busy_with = outflow = FileSender(self.line.socket_fd, self.line.limits.send_stall_s)
        try:
            await outflow.send(fd, offset, count)
        except NotSendable as stop:
            await self._copy(fd, stop.offset, offset + count)
        except ClientGone:
            self._abandon()
            raise
        finally:
            self.busy_with = None
            outflow.close()

    async def _copy(self, fd: int, offset: int, end: int) -> None:
        while offset < end:
            size = min(COPY_BYTES, end - offset)
            data = await run_in_lane(Lane.TRANSFERS, os.pread, fd, size, offset)
            if not data:
                raise EOFError(f"the file ends at {offset}, {end - offset} bytes early")
            await self._drained()
            if self.disconnected:
                raise ClientGone()
            self.transport.write(data)
            offset += len(data)


def _file_range(message: Any) -> tuple[int, int, int]:
    """Read file, offset and count of the event; both may be left out, as the extension says."""
    file = message["file"]
    fd: int = file if isinstance(file, int) else file.fileno()
    offset: int | None = message.get("offset")
    if offset is None:
        offset = os.lseek(fd, 0, os.SEEK_CUR)
    count: int | None = message.get("count")
    if count is None:
        count = max(0, os.fstat(fd).st_size - offset)
    return fd, offset, count
