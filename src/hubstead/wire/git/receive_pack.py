"""``POST …/git-receive-pack``: our front of a push; the rules and the move are ``commits``'."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from hubstead.commits import PushReport, RefCommand, RefResult, accept_push, begin_push
from hubstead.errors import HubError, InvalidInput, StorageFull, TooLarge, Unavailable
from hubstead.gitstore import PackRefused, Staging
from hubstead.http import Response, inflating, receive_into
from hubstead.ids import ZERO_OID
from hubstead.wire import Request
from hubstead.wire.git.info_refs import NO_CACHE
from hubstead.wire.git.packets import FLUSH, Packets, band, packet

MEDIA_TYPE = "application/x-git-receive-pack-result"
#: What one command may take: two ids, a ref, and the capabilities behind the first.
_COMMAND_BYTES = 1200
#: While a push is looked through, something is said this often, so that nobody hangs up.
KEEP_ALIVE_S = 5.0
_SHALLOW = re.compile(rb"shallow [0-9a-f]{40}\n?")
_COMMAND = re.compile(rb"([0-9a-f]{40}) ([0-9a-f]{40}) ([^\0\n]+)\n?")
_HEAD_BYTES = 12
_FAILED = "the server failed to examine the push: look whether it arrived, and push again"
_log = structlog.get_logger("hubstead.git")
_UNSHALLOW = ": this clone is shallow, `git fetch --unshallow` completes it"


async def receive_pack(request: Request) -> ASGIApp:
    """Take a push."""
    staging, fault = None, None
    try:
        staging = await begin_push(request.hub.stores, request.repo)
    except (
        StorageFull,
        Unavailable,
    ) as error:  # git shows what a report says, and of a status the number only
        fault = error
    settings = request.hub.settings
    intake = _PushReceiver(
        staging, settings.git.max_push_refs, settings.git.max_push_objects, fault
    )
    try:
        scope, receive = inflating(request.scope, request.receive)
        limit = settings.git.max_push_bytes + settings.git.max_push_refs * _COMMAND_BYTES
        await receive_into(
            scope, receive, intake.feed, limit=limit, what="The push", setting="max_push_bytes"
        )
        commands = intake.commands()
    except BaseException:
        await _removed(staging)
        raise
    if not commands:  # git asks so whether it may push before it sends a large body
        await _removed(staging)
        return Response(b"", media_type=MEDIA_TYPE, headers=NO_CACHE)
    return _ReportResponse(request, staging, intake, commands)


async def _removed(staging: Staging | None) -> None:
    if staging is None:
        return
    await asyncio.shield(asyncio.ensure_future(asyncio.to_thread(staging.remove)))


@dataclass
class _PushReceiver:
    """Reads commands from the start of the body and leads the rest to git. Runs in a thread.

    A fault of the pack is kept until all of the body has come: a client that is still sending
    would not read the answer.
    """

    staging: Staging | None  # None: there is a fault
    max_refs: int
    max_objects: int
    fault: HubError | None = None
    capabilities: frozenset[str] = frozenset()
    shallow: bool = False  # the clone holds a part of its history
    _packets: Packets = field(init=False)
    _commands: list[RefCommand] = field(default_factory=list)
    _flushed: bool = False  # the commands have ended
    _head: bytes = b""

    def __post_init__(self) -> None:
        self._packets = Packets(self.max_refs * _COMMAND_BYTES)

    def feed(self, data: memoryview) -> None:
        """Take the next bytes of the body."""
        if not self._flushed:
            self._packets.take(bytes(data))
            for line in self._packets.until_flush():
                if line is None:
                    self._flushed = True
                else:
                    self._add(line)
            if not self._flushed:
                return
            data, self._packets.rest = memoryview(self._packets.rest), b""
        if self.fault is None and data:
            try:
                self._lead_on(data)
            except (PackRefused, StorageFull, TooLarge) as error:
                self.fault = error
            except Exception as error:
                self.fault = _unforeseen(error)

    def _add(self, line: bytes) -> None:
        if _SHALLOW.fullmatch(line):  # what it lacks has to be here already, and is looked for
            self.shallow = True
            return
        command, _, offered = line.partition(b"\0")
        if not self._commands:
            self.capabilities = frozenset(offered.decode("utf-8", "replace").split())
        found = _COMMAND.fullmatch(command)
        if found is None:
            raise InvalidInput(reason="the body holds no commands of a push")
        if len(self._commands) >= self.max_refs:
            raise TooLarge(
                what="The push", limit=self.max_refs, unit="refs", setting="max_push_refs"
            )
        old, new = (
            None if oid == ZERO_OID else oid for oid in (found[1].decode(), found[2].decode())
        )
        ref = found[3].decode("utf-8", "surrogateescape")
        self._commands.append(RefCommand(ref, old, new))

    def _lead_on(self, data: memoryview) -> None:
        if len(self._head) < _HEAD_BYTES:
            self._head += bytes(data[: _HEAD_BYTES - len(self._head)])
            count = int.from_bytes(self._head[8:12], "big")
            if len(self._head) == _HEAD_BYTES and count > self.max_objects:
                raise TooLarge(
                    what="The push",
                    limit=self.max_objects,
                    unit="objects",
                    setting="max_push_objects",
                )
        assert self.staging is not None
        self.staging.feed(data)

    def commands(self) -> list[RefCommand]:
        """Return what is wanted.

        Raises:
            InvalidInput: the body ended before it said so.
        """
        if self._commands and not self._flushed:
            raise InvalidInput(reason="the body ends inside of the commands")
        if len({each.ref for each in self._commands}) < len(self._commands):
            raise InvalidInput(reason="a push names each ref once")
        return self._commands


class _ReportResponse:
    """Looks through a push while its answer has begun, and ends with the report."""

    def __init__(
        self,
        request: Request,
        staging: Staging | None,
        intake: _PushReceiver,
        commands: Sequence[RefCommand],
    ) -> None:
        self._request = request
        self._staging = staging
        self._intake = intake
        self._commands = commands

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        headers = [(name.encode(), value.encode()) for name, value in NO_CACHE.items()]
        headers.append((b"content-type", MEDIA_TYPE.encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for piece in self._pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _pieces(self) -> AsyncIterator[bytes]:
        banded = "side-band-64k" in self._intake.capabilities
        # What was begun is carried to its end, whether or not somebody waits for the answer.
        working = asyncio.ensure_future(self._work())
        while not (await asyncio.wait([working], timeout=KEEP_ALIVE_S))[0]:
            if banded:
                yield packet(b"\2")
        unpacked, verdict = working.result()
        report = _report(unpacked, verdict.outcomes)
        if not self._intake.capabilities & {"report-status", "report-status-v2"}:
            report = b""
        if not banded:
            yield report
            return
        for text in verdict.warnings:
            for piece in band(2, b"warning: %b\n" % _line(text)):
                yield piece
        for piece in band(1, report):
            yield piece
        yield FLUSH

    async def _work(self) -> tuple[str, PushReport]:
        try:
            return await self._judged()
        finally:
            await _removed(self._staging)

    async def _judged(self) -> tuple[str, PushReport]:
        """Return what became of the pack and of each ref; whatever fails, there is a report."""
        try:
            return await self._examined()
        except Exception as error:
            told = _unforeseen(error).message
            return told, self._refused(told)

    async def _examined(self) -> tuple[str, PushReport]:
        fault, staging = self._intake.fault, self._staging
        name = None
        if fault is None and staging is not None:
            try:
                name = await asyncio.to_thread(staging.finish)
            except HubError as error:
                fault = error
        if fault is not None or staging is None:
            assert fault is not None
            if self._intake.shallow and isinstance(fault, PackRefused):
                return fault.message + _UNSHALLOW, self._refused("shallow update not allowed")
            return fault.message, self._refused("unpacker error")
        return "ok", await self._accepted(staging, name)

    async def _accepted(self, staging: Staging, name: str | None) -> PushReport:
        request = self._request
        return await accept_push(
            request.hub.stores,
            request.actor,
            request.repo,
            staging,
            self._commands,
            name=name,
            atomic="atomic" in self._intake.capabilities,
        )

    def _refused(self, why: str) -> PushReport:
        return PushReport([RefResult(each.ref, why) for each in self._commands])


def _unforeseen(error: Exception) -> HubError:
    """Return what the client is told of an error, and log one that should not have happened."""
    if isinstance(error, HubError):
        return error
    _log.error("push failed", exc_info=error)
    return Unavailable(reason=_FAILED)


def _report(unpacked: str, outcomes: Sequence[RefResult]) -> bytes:
    told = [packet(b"unpack %b\n" % _line(unpacked))]
    for each in outcomes:
        ref = each.ref.encode("utf-8", "surrogateescape")
        if each.fault is None:
            told.append(packet(b"ok %b\n" % ref))
        else:
            told.append(packet(b"ng %b %b\n" % (ref, _line(each.fault))))
    return b"".join(told) + FLUSH


def _line(text: str) -> bytes:
    """Return a text as one line of the report, which is one packet."""
    return " ".join(text.split())[:2000].encode("utf-8", "backslashreplace")
