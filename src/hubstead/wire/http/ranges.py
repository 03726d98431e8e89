"""Which bytes of a representation to send, and whether to send any (RFC 9110, 13 and 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime

from starlette.types import Scope

from hubstead.errors import RangeNotSatisfiable
from hubstead.wire.http.headers import one_header

_BYTES = re.compile(r"bytes=(.*)", re.IGNORECASE | re.DOTALL)
_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_ENTITY_TAG = re.compile(r'(?:W/)?"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Span:
    """``count`` bytes from ``start``; ``count`` is never 0."""

    start: int
    count: int

    def content_range(self, size: int) -> str:
        """The value of Content-Range for this part of ``size`` bytes."""
        return f"bytes {self.start}-{self.start + self.count - 1}/{size}"


def parse_range(header: str | None, size: int) -> Span | None:
    """Read a Range header for a representation of ``size`` bytes.

    Returns:
        The one range that was asked for; ``None`` to send everything: there is no header, its
        unit is unknown or its syntax is wrong (RFC 9110, 14.2).

    Raises:
        RangeNotSatisfiable: it lies behind the end, or there are several: no client of a Hub
            needs multipart answers, and silence would send the whole file.
    """
    match = _BYTES.fullmatch(header.strip()) if header else None
    if match is None:
        return None
    specs = [spec for part in match[1].split(",") if (spec := part.strip(" \t"))]
    parsed = [_SPEC.fullmatch(spec) for spec in specs]
    pairs = [(_number(one[1]), _number(one[2])) for one in parsed if one is not None]
    if not specs or len(pairs) < len(specs) or any(_invalid(*pair) for pair in pairs):
        return None
    if len(pairs) > 1:
        raise RangeNotSatisfiable(size=size)
    return _span(*pairs[0], size)


def _number(digits: str) -> int | None:
    if not digits:
        return None
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= 18 else 10**18


def _invalid(first: int | None, last: int | None) -> bool:
    if first is None:
        return last is None
    return last is not None and last < first


def _span(first: int | None, last: int | None, size: int) -> Span | None:
    if first is None:
        if not last:
            raise RangeNotSatisfiable(size=size)
        # The last n bytes of nothing are satisfiable, and cannot be written as a Content-Range.
        return Span(max(0, size - last), min(size, last)) if size else None
    if first >= size:
        raise RangeNotSatisfiable(size=size)
    stop = size if last is None else min(size, last + 1)
    return Span(first, stop - first)


def entity_tag_matches(header: str, etag: str) -> bool:
    """Tell whether an If-None-Match header names ``etag`` (given without quotes); weakly."""
    if header.strip() == "*":
        return True
    tags = _ENTITY_TAG.findall(header)
    if not tags and '"' not in header:  # some clients forget the quotes
        tags = [part.strip() for part in header.split(",")]
    return etag in tags


@dataclass(frozen=True, slots=True)
class Selection:
    """What to answer: 200, 206 with ``span``, or 304."""

    status: int
    span: Span | None = None


def select(scope: Scope, *, size: int, etag: str | None, modified_s: int | None) -> Selection:
    """Weigh the conditions of a GET or HEAD request, in the order of RFC 9110, 13.2.2.

    Args:
        size: Bytes of the whole representation.
        etag: Its strong entity tag, without quotes.
        modified_s: When it last changed, in seconds since the epoch.

    Raises:
        RangeNotSatisfiable: see ``parse_range``.
    """
    if _is_fresh(scope, etag, modified_s):
        return Selection(304)
    if scope["method"] != "GET":
        return Selection(200)
    if_range = one_header(scope, "if-range")
    if if_range is not None and not _is_same(if_range.strip(), etag, modified_s):
        return Selection(200)
    # No range of nothing can be satisfied, and none has to be.
    span = parse_range(one_header(scope, "range"), size) if size else None
    return Selection(200) if span is None else Selection(206, span)


def _is_fresh(scope: Scope, etag: str | None, modified_s: int | None) -> bool:
    if_none_match = one_header(scope, "if-none-match")
    if if_none_match is not None:
        return etag is not None and entity_tag_matches(if_none_match, etag)
    since = _seconds(one_header(scope, "if-modified-since"))
    return since is not None and modified_s is not None and modified_s <= since


def _is_same(if_range: str, etag: str | None, modified_s: int | None) -> bool:
    if if_range.startswith(('"', "W/")):
        return etag is not None and if_range == f'"{etag}"'
    return modified_s is not None and _seconds(if_range) == modified_s


def _seconds(http_date: str | None) -> int | None:
    if http_date is None:
        return None
    try:
        moment = parsedate_to_datetime(http_date)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp())
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


def http_date(seconds: int) -> str:
    """Write a time in seconds since the epoch as HTTP does."""
    return formatdate(datetime.fromtimestamp(seconds, UTC).timestamp(), usegmt=True)
