"""Response bodies for range requests: everything, one range, or several (RFC 9110, 14.6)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NamedTuple

from hubstead.http.ranges import Span


class RangeBody(NamedTuple):
    """A body to send: ``pieces`` are part headers and spans of the representation."""

    media_type: str
    size: int
    pieces: Sequence[bytes | Span]
    content_range: str | None = None  # set if the body is one range


def range_body(spans: Sequence[Span], size: int, media_type: str) -> RangeBody:
    """Return the body that sends ``spans`` of a representation of ``size`` bytes.

    Args:
        spans: The ranges; none means everything, several mean ``multipart/byteranges``.
        size: Bytes of the whole representation.
        media_type: The media type of the representation.
    """
    if not spans:
        return RangeBody(media_type, size, [Span(0, size)])
    if len(spans) == 1:
        return RangeBody(media_type, spans[0].count, spans, spans[0].content_range(size))
    return _in_parts(spans, size, media_type)


def _in_parts(spans: Sequence[Span], size: int, media_type: str) -> RangeBody:
    boundary = secrets.token_hex(16)  # random, so the file cannot contain it
    pieces: list[bytes | Span] = []
    for span in spans:
        head = (
            f"--{boundary}\r\nContent-Type: {media_type}\r\n"
            f"Content-Range: {span.content_range(size)}\r\n\r\n"
        )
        pieces += [head.encode("latin-1"), span, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    total = sum(piece.count if isinstance(piece, Span) else len(piece) for piece in pieces)
    return RangeBody(f"multipart/byteranges; boundary={boundary}", total, pieces)
