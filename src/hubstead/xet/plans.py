"""Reconstruction plans: the stored byte ranges that make up a part of a file.

Responses to ``/reconstructions`` have this form: for each term a client looks for the one listed
range that contains it, and fetches each range once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hubstead.errors import RangeNotSatisfiable
from hubstead.xet.terms import Term, Terms
from hubstead.xet.xorbs import XorbIndex


class XorbRange(NamedTuple):
    """Consecutive chunks of a xorb, and their stored bytes."""

    start: int
    end: int  # exclusive
    first_byte: int
    last_byte: int  # inclusive, as in a Range header


@dataclass(frozen=True, slots=True)
class ReconstructionPlan:
    """The plan for a part of a file.

    A reader decodes the chunks of ``terms`` in order, drops the first ``offset`` bytes and
    truncates the rest to the length of the part. Each term lies in one of the ``ranges`` of its
    xorb, which neither overlap nor touch.
    """

    offset: int
    terms: list[Term]
    ranges: dict[bytes, list[XorbRange]]


def make_plan(
    terms: Terms, indexes: Mapping[bytes, XorbIndex], start: int, end: int
) -> ReconstructionPlan:
    """Plan the bytes from ``start`` up to ``end`` (exclusive) of a file.

    An ``end`` beyond the file means its end; an empty file has an empty plan.

    Args:
        terms: The terms of the file.
        indexes: The index of each xorb of ``terms.xorbs(terms.between(start, end))``.
        start: The first byte.
        end: The byte after the last one.

    Raises:
        RangeNotSatisfiable: the file has no such bytes.
    """
    size = terms.size
    if start == size == 0:
        return ReconstructionPlan(0, [], {})
    end = min(end, size)
    if not 0 <= start < end:
        raise RangeNotSatisfiable(size=size)
    needed = terms.between(start, end)
    part = terms[needed.start : needed.stop]
    part[-1] = _without_tail(part[-1], indexes, end - terms.offset(needed[-1]))
    part[0], offset = _without_head(part[0], indexes, start - terms.offset(needed[0]))
    return ReconstructionPlan(offset, part, _ranges(part, indexes))


def _without_tail(term: Term, indexes: Mapping[bytes, XorbIndex], length: int) -> Term:
    """Drop the chunks of ``term`` that its first ``length`` bytes do not need."""
    if length == term.bytes:
        return term
    index = indexes[term.xorb]
    end = index.chunk_at(index.offset(term.start) + length - 1) + 1
    return Term(term.xorb, term.start, end, index.length(term.start, end))


def _without_head(term: Term, indexes: Mapping[bytes, XorbIndex], skipped: int) -> tuple[Term, int]:
    """Drop the chunks in the first ``skipped`` bytes; return also the rest of ``skipped``."""
    if not skipped:
        return term, 0
    index = indexes[term.xorb]
    at = index.offset(term.start) + skipped
    start = index.chunk_at(at)
    rest = Term(term.xorb, start, term.end, index.length(start, term.end))
    return rest, at - index.offset(start)


def _ranges(
    terms: Iterable[Term], indexes: Mapping[bytes, XorbIndex]
) -> dict[bytes, list[XorbRange]]:
    chunks: dict[bytes, set[tuple[int, int]]] = {}
    for xorb, start, end, _ in terms:
        chunks.setdefault(xorb, set()).add((start, end))
    return {
        xorb: [_xorb_range(indexes[xorb], start, end) for start, end in _merged(sorted(spans))]
        for xorb, spans in chunks.items()
    }


def _xorb_range(index: XorbIndex, start: int, end: int) -> XorbRange:
    first, stop = index.span(start, end)
    return XorbRange(start, end, first, stop - 1)


def _merged(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join sorted ranges that overlap or touch."""
    start, end = ranges[0]
    for next_start, next_end in ranges[1:]:
        if next_start > end:
            yield start, end
            start, end = next_start, next_end
        else:
            end = max(end, next_end)
    yield start, end
