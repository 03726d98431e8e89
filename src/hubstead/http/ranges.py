"""Which bytes of a representation to send, and whether to send any (RFC 9110, 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from itertools import pairwise

from starlette.types import Scope

from hubstead.errors import PreconditionFailed, RangeNotSatisfiable
from hubstead.http.headers import get_header

#: The maximum number of ranges in one request.
MOST_RANGES = 64

_BYTES = re.compile(r"bytes=(.*)", re.IGNORECASE | re.DOTALL)
_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_ENTITY_TAG = re.compile(r'(W/)?"([^"]*)"')
#: Headers that make a request conditional on an etag.
_TAGGED = frozenset((b"if-match", b"if-none-match", b"if-range"))


@dataclass(frozen=True, slots=True)
class Span:
    """``count`` bytes from ``start``; ``count`` is never 0."""

    start: int
    count: int

    def content_range(self, size: int) -> str:
        """The value of Content-Range for this part of ``size`` bytes."""
        return f"bytes {self.start}-{self.start + self.count - 1}/{size}"


def parse_ranges(header: str | None, size: int) -> list[Span]:
    """Read a Range header for a representation of ``size`` bytes.

    Returns:
        The requested ranges in their order, without those past the end; an empty list to send
        everything, if there is no header, its unit is unknown or its syntax is wrong
        (RFC 9110, 14.2).

    Raises:
        RangeNotSatisfiable: all ranges lie past the end, or they overlap or exceed
            ``MOST_RANGES``, which may be an attack (RFC 9110, 17.15).
    """
    match = _BYTES.fullmatch(header.strip()) if header else None
    if match is None:
        return []
    specs = [spec for part in match[1].split(",") if (spec := part.strip(" \t"))]
    parsed = [_SPEC.fullmatch(spec) for spec in specs]
    pairs = [(_number(one[1]), _number(one[2])) for one in parsed if one is not None]
    if not specs or len(pairs) < len(specs) or any(_invalid(*pair) for pair in pairs):
        return []
    spans = [span for pair in pairs if (span := _span(*pair, size))]
    if not spans or len(spans) > MOST_RANGES or _overlap(spans):
        raise RangeNotSatisfiable(size=size)
    return spans


def parse_range(header: str | None, size: int) -> Span | None:
    """Read a Range header where only one range can be answered; None to send everything.

    Raises:
        RangeNotSatisfiable: see ``parse_ranges``; or there are several.
    """
    spans = parse_ranges(header, size)
    if len(spans) > 1:
        raise RangeNotSatisfiable(size=size)
    return spans[0] if spans else None


def _overlap(spans: Sequence[Span]) -> bool:
    ordered = sorted(spans, key=lambda span: span.start)
    return any(one.start + one.count > two.start for one, two in pairwise(ordered))


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
    """Return what there is of one range; None if there is nothing of it."""
    if first is None:
        return Span(max(0, size - last), min(size, last)) if last and size else None
    if first >= size:
        return None
    stop = size if last is None else min(size, last + 1)
    return Span(first, stop - first)


def entity_tag_matches(header: str, etag: str, *, strongly: bool = False) -> bool:
    """Return whether an If-None-Match or If-Match header names ``etag`` (given without quotes).

    A weak tag never matches ``strongly`` (RFC 9110, 8.8.3.2).
    """
    if header.strip() == "*":
        return True
    matches = _ENTITY_TAG.findall(header)
    tags = [tag for weak, tag in matches if not (weak and strongly)]
    if not matches and '"' not in header:  # some clients omit the quotes
        tags = [part.strip() for part in header.split(",")]
    return etag in tags


def names_a_tag(scope: Scope) -> bool:
    """Return whether the request depends on an etag, which an object store would not know."""
    return any(name in _TAGGED for name, _ in scope["headers"])


@dataclass(frozen=True, slots=True)
class Selection:
    """What to answer: 200, 206 with ``spans``, or 304."""

    status: int
    spans: Sequence[Span] = ()


def select(scope: Scope, *, size: int, etag: str | None, modified_s: int | None) -> Selection:
    """Weigh the conditions of a GET or HEAD request, in the order of RFC 9110, 13.2.2.

    Args:
        size: Bytes of the whole representation.
        etag: Its strong entity tag, without quotes.
        modified_s: When it last changed, in seconds since the epoch.

    Raises:
        PreconditionFailed: the client means another version of it.
        RangeNotSatisfiable: see ``parse_ranges``.
    """
    if not _is_meant(scope, etag, modified_s):
        raise PreconditionFailed()
    if _is_fresh(scope, etag, modified_s):
        return Selection(304)
    if scope["method"] != "GET":
        return Selection(200)
    if_range = get_header(scope, "if-range")
    if if_range is not None and not _is_same(if_range.strip(), etag, modified_s):
        return Selection(200)
    # No range of nothing can be satisfied, and none has to be.
    spans = parse_ranges(get_header(scope, "range"), size) if size else []
    return Selection(206, spans) if spans else Selection(200)


def _is_meant(scope: Scope, etag: str | None, modified_s: int | None) -> bool:
    if_match = get_header(scope, "if-match")
    if if_match is not None:
        there = etag is not None and entity_tag_matches(if_match, etag, strongly=True)
        return there or if_match.strip() == "*"
    since = _seconds(get_header(scope, "if-unmodified-since"))
    return since is None or modified_s is None or modified_s <= since


def _is_fresh(scope: Scope, etag: str | None, modified_s: int | None) -> bool:
    if_none_match = get_header(scope, "if-none-match")
    if if_none_match is not None:
        return etag is not None and entity_tag_matches(if_none_match, etag)
    since = _seconds(get_header(scope, "if-modified-since"))
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
