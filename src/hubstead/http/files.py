"""Responses that send bytes: files and small texts, whole or in part, for GET and HEAD."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import AsyncIterator, Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

from starlette.types import Receive, Scope, Send

from hubstead.admission import Lane, run_in_lane
from hubstead.errors import BlobDamaged
from hubstead.http.headers import get_header
from hubstead.http.multipart import RangeBody, range_body
from hubstead.http.ranges import Span, http_date, select

CHUNK = 256 * 1024
_ATTR_CHARS = "!#$&+-.^_`|~"  # with letters and digits: attr-char of RFC 8187


class Source(Protocol):
    """Bytes that do not change while they are being sent."""

    @property
    def size(self) -> int:
        """The number of bytes."""
        ...

    @property
    def path(self) -> Path | None:
        """A local file with exactly these bytes, or None."""
        ...

    def chunks(self, start: int, count: int) -> AsyncIterator[bytes]:
        """Yield ``count`` bytes from ``start``, in parts; used when there is no ``path``."""
        ...


class _ConditionalResponse:
    """A response that can be conditional and partial."""

    def __init__(
        self,
        size: int,
        *,
        etag: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        media_type: str = "application/octet-stream",
        modified_s: int | None = None,
    ) -> None:
        self.size = size
        self.etag = etag
        self.headers = headers
        self.media_type = media_type
        self.modified_s = modified_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a GET or HEAD request.

        Raises:
            RangeNotSatisfiable: before anything is sent.
        """
        chosen = select(scope, size=self.size, etag=self.etag, modified_s=self.modified_s)
        body = range_body(chosen.spans, self.size, self.media_type)
        start = {
            "type": "http.response.start",
            "status": chosen.status,
            "headers": self._headers(chosen.status, body) + _size_of_nothing(scope, self.size),
        }
        if chosen.status == 304 or scope["method"] == "HEAD" or not body.size:
            await send(start)
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._send(scope, send, start, body)

    def _headers(self, status: int, body: RangeBody) -> list[tuple[bytes, bytes]]:
        lines = list(self.headers)
        if self.etag is not None:
            lines.append(("etag", f'"{self.etag}"'))
        if self.modified_s is not None:
            lines.append(("last-modified", http_date(self.modified_s)))
        if status != 304:
            lines.append(("content-type", body.media_type))
            lines.append(("accept-ranges", "bytes"))
            lines.append(("content-length", str(body.size)))
            if body.content_range is not None:
                lines.append(("content-range", body.content_range))
        return [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in lines]

    async def _send(
        self, scope: Scope, send: Send, start: dict[str, object], body: RangeBody
    ) -> None:
        raise NotImplementedError


def _size_of_nothing(scope: Scope, size: int) -> list[tuple[bytes, bytes]]:
    # @huggingface/hub requests the first byte of every download and reads the size from this
    # header alone, even for an empty file, which has no satisfiable range.
    ranged = scope["method"] == "GET" and get_header(scope, "range") is not None
    return [(b"content-range", b"bytes */0")] if ranged and not size else []


class BytesResponse(_ConditionalResponse):
    """Bytes that are in memory."""

    def __init__(
        self,
        content: bytes,
        *,
        etag: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        media_type: str = "application/octet-stream",
        modified_s: int | None = None,
    ) -> None:
        super().__init__(
            len(content), etag=etag, headers=headers, media_type=media_type, modified_s=modified_s
        )
        self._content = content

    async def _send(
        self, scope: Scope, send: Send, start: dict[str, object], body: RangeBody
    ) -> None:
        await send(start)
        parts = [piece if isinstance(piece, bytes) else self._part(piece) for piece in body.pieces]
        await send({"type": "http.response.body", "body": b"".join(parts)})

    def _part(self, span: Span) -> bytes:
        return self._content[span.start : span.start + span.count]


class FileResponse(_ConditionalResponse):
    """Bytes of a source; a local file is sent without copying, where possible.

    ``etag`` has no quotes. Responses are never compressed, so that the etag stays strong and
    ranges mean the same bytes for every client.
    """

    def __init__(
        self,
        source: Source,
        *,
        etag: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        media_type: str = "application/octet-stream",
        modified_s: int | None = None,
    ) -> None:
        super().__init__(
            source.size, etag=etag, headers=headers, media_type=media_type, modified_s=modified_s
        )
        self._source = source

    async def _send(
        self, scope: Scope, send: Send, start: dict[str, object], body: RangeBody
    ) -> None:
        path = self._source.path
        if path is None:
            await _send_pieces(send, start, body, self._source.chunks)
            return
        fd = _open(path, self.size)
        try:
            if "http.response.zerocopysend" in scope.get("extensions", {}):
                await send(start)
                await _send_uncopied(send, body, fd)
            else:
                await _send_pieces(send, start, body, partial(_read, fd))
        finally:
            os.close(fd)


def _open(path: Path, size: int) -> int:
    """Open a file to send.

    Raises:
        BlobDamaged: it has another size, or is missing.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise BlobDamaged(blob=path.name, fault="its file is missing") from None
    actual = os.fstat(fd).st_size
    if actual != size:
        os.close(fd)
        raise BlobDamaged(blob=path.name, fault=f"it has {actual} bytes instead of {size}")
    return fd


async def _send_uncopied(send: Send, body: RangeBody, fd: int) -> None:
    left = len(body.pieces)
    for piece in body.pieces:
        left -= 1
        if isinstance(piece, bytes):
            event: dict[str, object] = {"type": "http.response.body", "body": piece}
        else:
            event = {"type": "http.response.zerocopysend", "file": fd}
            event |= {"offset": piece.start, "count": piece.count}
        await send({**event, "more_body": left > 0})


async def _send_pieces(
    send: Send,
    start: dict[str, object],
    body: RangeBody,
    read: Callable[[int, int], AsyncIterator[bytes]],
) -> None:
    """Send a response; its status only once the source has yielded its first bytes.

    So an error of the source before them is a response of its own.
    """
    left, has_begun = body.size, False
    async for part in _parts(body, read):
        if not has_begun:
            await send(start)
            has_begun = True
        left -= len(part)
        await send({"type": "http.response.body", "body": part, "more_body": left > 0})
    if left:
        raise EOFError(f"the source ended {left} bytes early")


async def _parts(
    body: RangeBody, read: Callable[[int, int], AsyncIterator[bytes]]
) -> AsyncIterator[bytes]:
    """Yield the bytes of a body; a boundary goes along with the first bytes behind it."""
    boundary = b""
    for piece in body.pieces:
        if isinstance(piece, bytes):
            boundary += piece
            continue
        async for part in read(piece.start, piece.count):
            yield boundary + part if boundary else part
            boundary = b""
    if boundary:
        yield boundary


async def _read(fd: int, offset: int, count: int) -> AsyncIterator[bytes]:
    end = offset + count
    while offset < end:
        part = await run_in_lane(Lane.TRANSFERS, os.pread, fd, min(CHUNK, end - offset), offset)
        if not part:
            return
        offset += len(part)
        yield part


@lru_cache(maxsize=4096)
def content_disposition(filename: str, *, inline: bool = True) -> str:
    """Return a Content-Disposition that names a file, in the Hub's form.

    Browsers read ``filename*``; ``huggingface_hub`` (``http_get``, HfFileSystem) reads
    ``filename="…";``, final semicolon included, so the plain form is always there: with ``_``
    for what ASCII cannot say, and quotes and backslashes escaped.
    """
    kind = "inline" if inline else "attachment"
    exact = urllib.parse.quote(filename, safe=_ATTR_CHARS, errors="replace")
    plain = "".join(char if " " <= char <= "~" else "_" for char in filename)
    plain = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f"{kind}; filename*=UTF-8''{exact}; filename=\"{plain}\";"
