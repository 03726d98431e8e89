"""What the body of an answer is made of: everything, one range, or several (RFC 9110, 14.6)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NamedTuple

from hubstead.http.ranges import Span


class RangeBody(NamedTuple):
    """A body before it is sent: ``pieces`` are texts of ours and spans of the representation."""

    media_type: str
    size: int
    pieces: Sequence[bytes | Span]
    content_range: str | None = None  # of a body that is one range


def range_body(spans: Sequence[Span], size: int, media_type: str) -> RangeBody:
    """Return the body that sends some ranges of a representation of ``size`` bytes.

    Args:
        spans: Which; everything if there are none, several as ``multipart/byteranges``.
        size: Bytes of the whole representation.
        media_type: What the representation is.
    """
    if not spans:
        return RangeBody(media_type, size, [Span(0, size)])
    if len(spans) == 1:
        return RangeBody(media_type, spans[0].count, spans, spans[0].content_range(size))
    return _in_parts(spans, size, media_type)


def _in_parts(spans: Sequence[Span], size: int, media_type: str) -> RangeBody:
    boundary = secrets.token_hex(16)  # nobody can have put it into the file
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
