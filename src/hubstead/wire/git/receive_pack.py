"""``POST …/git-receive-pack``: receives a push and reports its outcome.

``commits`` checks the push and moves the refs.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from hubstead.admission import Lane, run_in_lane, run_to_the_end, slot
from hubstead.commits import PushReport, RefCommand, RefResult, accept_push, begin_push
from hubstead.errors import HubError, InvalidInput, StorageFull, TooLarge, Unavailable
from hubstead.gitstore import PackRefused, Staging
from hubstead.http import Response, inflating, receive_into
from hubstead.ids import ZERO_OID
from hubstead.wire import Request
from hubstead.wire.git.info_refs import NO_CACHE
from hubstead.wire.git.packets import FLUSH, Packets, band, packet

MEDIA_TYPE = "application/x-git-receive-pack-result"
#: Longest command in bytes: two ids, a ref, and the capabilities behind the first.
_COMMAND_BYTES = 1200
#: Seconds between packets of progress while a push is checked, so that no proxy hangs up.
KEEP_ALIVE_S = 5.0
_SHALLOW = re.compile(rb"shallow [0-9a-f]{40}\n?")
_COMMAND = re.compile(rb"([0-9a-f]{40}) ([0-9a-f]{40}) ([^\0\n]+)\n?")
_PACK_HEADER_BYTES = 12
_FAILED = "the server failed to examine the push: look whether it arrived, and push again"
_log = structlog.get_logger("hubstead.git")
_UNSHALLOW = ": this clone is shallow, `git fetch --unshallow` completes it"


async def receive_pack(request: Request) -> ASGIApp:
    """Receive a push and report the outcome of every command.

    The push has a place in its lane until its report is complete.
    """
    async with AsyncExitStack() as place:
        await place.enter_async_context(slot(Lane.PUSHES))
        response = await _receive(request)
        if isinstance(response, _ReportResponse):
            response.place = place.pop_all()
        return response


async def _receive(request: Request) -> ASGIApp:
    staging: Staging | None = None
    fault: HubError | None = None
    try:
        staging = await begin_push(request.hub.stores, request.actor, request.repo)
    except (StorageFull, Unavailable) as error:
        fault = error  # goes into the report: of a status git shows the number only
    settings = request.hub.settings
    receiver = _PushReceiver(
        staging, settings.git.max_push_refs, settings.git.max_push_objects, fault
    )
    try:
        scope, receive = inflating(request.scope, request.receive)
        limit = settings.git.max_push_bytes + settings.git.max_push_refs * _COMMAND_BYTES
        await receive_into(
            scope, receive, receiver.feed, limit=limit, what="The push", setting="max_push_bytes"
        )
        commands = receiver.commands()
    except BaseException:
        await _remove(staging)
        raise
    if not commands:  # git probes with an empty push before it sends a large body
        await _remove(staging)
        return Response(b"", media_type=MEDIA_TYPE, headers=NO_CACHE)
    return _ReportResponse(request, staging, receiver, commands)


async def _remove(staging: Staging | None) -> None:
    if staging is None:
        return
    await run_to_the_end(Lane.BACKGROUND, staging.remove)


@dataclass
class _PushReceiver:
    """Parses the commands at the start of the body and feeds the pack to git, in a thread.

    A fault of the pack waits in ``fault`` until the whole body has arrived: a client that is still
    sending would not read the answer.
    """

    staging: Staging | None  # None if ``fault`` is set
    max_refs: int
    max_objects: int
    fault: HubError | None = None
    capabilities: frozenset[str] = frozenset()
    shallow: bool = False  # the clone has only a part of its history
    _packets: Packets = field(init=False)
    _commands: list[RefCommand] = field(default_factory=list)
    _flushed: bool = False  # the commands have ended
    _pack_header: bytes = b""

    def __post_init__(self) -> None:
        self._packets = Packets(self.max_refs * _COMMAND_BYTES)

    def feed(self, data: memoryview) -> None:
        """Process the next bytes of the body."""
        if not self._flushed:
            self._packets.take(bytes(data))
            for line in self._packets.until_flush():
                if line is None:
                    self._flushed = True
                else:
                    self._add_command(line)
            if not self._flushed:
                return
            data, self._packets.rest = memoryview(self._packets.rest), b""
        if self.fault is None and data:
            try:
                self._feed_pack(data)
            except (PackRefused, StorageFull, TooLarge) as error:
                self.fault = error
            except Exception as error:
                self.fault = _as_hub_error(error)

    def _add_command(self, line: bytes) -> None:
        if _SHALLOW.fullmatch(line):  # the check of the pack verifies that we have its parents
            self.shallow = True
            return
        command, _, capabilities = line.partition(b"\0")
        if not self._commands:
            self.capabilities = frozenset(capabilities.decode("utf-8", "replace").split())
        match = _COMMAND.fullmatch(command)
        if match is None:
            raise InvalidInput(reason="the body holds no commands of a push")
        if len(self._commands) >= self.max_refs:
            raise TooLarge(
                what="The push", limit=self.max_refs, unit="refs", setting="max_push_refs"
            )
        old, new = (
            None if oid == ZERO_OID else oid for oid in (match[1].decode(), match[2].decode())
        )
        ref = match[3].decode("utf-8", "surrogateescape")
        self._commands.append(RefCommand(ref, old, new))

    def _feed_pack(self, data: memoryview) -> None:
        if len(self._pack_header) < _PACK_HEADER_BYTES:
            self._pack_header += bytes(data[: _PACK_HEADER_BYTES - len(self._pack_header)])
            count = int.from_bytes(self._pack_header[8:12], "big")
            if len(self._pack_header) == _PACK_HEADER_BYTES and count > self.max_objects:
                raise TooLarge(
                    what="The push",
                    limit=self.max_objects,
                    unit="objects",
                    setting="max_push_objects",
                )
        assert self.staging is not None
        self.staging.feed(data)

    def commands(self) -> list[RefCommand]:
        """Return the commands of the push.

        Raises:
            InvalidInput: the body ended within them, or two of them name one ref.
        """
        if self._commands and not self._flushed:
            raise InvalidInput(reason="the body ends inside of the commands")
        if len({command.ref for command in self._commands}) < len(self._commands):
            raise InvalidInput(reason="a push names each ref once")
        return self._commands


class _ReportResponse:
    """Checks a push after the response has begun, and ends with the report."""

    def __init__(
        self,
        request: Request,
        staging: Staging | None,
        receiver: _PushReceiver,
        commands: Sequence[RefCommand],
    ) -> None:
        self._request = request
        self._staging = staging
        self._receiver = receiver
        self._commands = commands
        #: The push's place in its lane, returned when it has been processed.
        self.place = AsyncExitStack()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        headers = [(name.encode(), value.encode()) for name, value in NO_CACHE.items()]
        headers.append((b"content-type", MEDIA_TYPE.encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for piece in self._pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _pieces(self) -> AsyncIterator[bytes]:
        banded = "side-band-64k" in self._receiver.capabilities
        # Runs to its end even if the client disconnects.
        processing = asyncio.ensure_future(self._process())
        while not (await asyncio.wait([processing], timeout=KEEP_ALIVE_S))[0]:
            if banded:
                yield packet(b"\2")
        unpacked, push = processing.result()
        report = _report(unpacked, push.outcomes)
        if not self._receiver.capabilities & {"report-status", "report-status-v2"}:
            report = b""
        if not banded:
            yield report
            return
        for text in push.messages:
            for piece in band(2, b"%b\n" % _line(text)):
                yield piece
        for piece in band(1, report):
            yield piece
        yield FLUSH

    async def _process(self) -> tuple[str, PushReport]:
        try:
            return await self._check_and_accept()
        except Exception as error:  # the client gets a report whatever fails
            message = _as_hub_error(error).message
            return message, self._reject_all(message)
        finally:
            await _remove(self._staging)
            await self.place.aclose()

    async def _check_and_accept(self) -> tuple[str, PushReport]:
        fault, staging = self._receiver.fault, self._staging
        name = None
        if fault is None and staging is not None:
            try:
                name = await run_in_lane(Lane.WRITES, staging.finish)
            except HubError as error:
                fault = error
        if fault is not None or staging is None:
            assert fault is not None
            if self._receiver.shallow and isinstance(fault, PackRefused):
                return fault.message + _UNSHALLOW, self._reject_all("shallow update not allowed")
            return fault.message, self._reject_all("unpacker error")
        return "ok", await self._accept(staging, name)

    async def _accept(self, staging: Staging, name: str | None) -> PushReport:
        request = self._request
        return await accept_push(
            request.hub.stores,
            request.actor,
            request.repo,
            staging,
            self._commands,
            name=name,
            atomic="atomic" in self._receiver.capabilities,
        )

    def _reject_all(self, reason: str) -> PushReport:
        return PushReport([RefResult(command.ref, reason) for command in self._commands])


def _as_hub_error(error: Exception) -> HubError:
    """Return the error to report; log any but a ``HubError``, and report it as ``Unavailable``."""
    if isinstance(error, HubError):
        return error
    _log.error("push failed", exc_info=error)
    return Unavailable(reason=_FAILED)


def _report(unpacked: str, outcomes: Sequence[RefResult]) -> bytes:
    packets = [packet(b"unpack %b\n" % _line(unpacked))]
    for outcome in outcomes:
        ref = outcome.ref.encode("utf-8", "surrogateescape")
        if outcome.fault is None:
            packets.append(packet(b"ok %b\n" % ref))
        else:
            packets.append(packet(b"ng %b %b\n" % (ref, _line(outcome.fault))))
    return b"".join(packets) + FLUSH


def _line(text: str) -> bytes:
    """Return ``text`` as one line, short enough for a packet of the report."""
    return " ".join(text.split())[:2000].encode("utf-8", "backslashreplace")
