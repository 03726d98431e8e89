"""Plans: which stored bytes give a part of a file.

The form is that of answers to ``/reconstructions``: clients look for exactly one listed range
that a term lies in, and fetch each range once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hubstead.errors import RangeNotSatisfiable
from hubstead.xet.terms import Term, Terms
from hubstead.xet.xorbs import XorbIndex


class XorbRange(NamedTuple):
    """Chunks of a xorb that are stored side by side, and the bytes that hold them."""

    start: int
    end: int  # exclusive
    first_byte: int
    last_byte: int  # inclusive, as in a Range header


@dataclass(frozen=True, slots=True)
class ReconstructionPlan:
    """How to put a part of a file together.

    Decode the chunks of ``terms`` one after the other, drop ``offset`` bytes in front, and cut
    what is too long at the end. Each term lies in one of the ``ranges`` of its xorb, which do
    not touch each other.
    """

    offset: int
    terms: list[Term]
    ranges: dict[bytes, list[XorbRange]]


def make_plan(
    terms: Terms, indexes: Mapping[bytes, XorbIndex], start: int, end: int
) -> ReconstructionPlan:
    """Plan the bytes from ``start`` up to ``end`` (exclusive; beyond the file is its end).

    ``indexes`` has each xorb of ``terms.xorbs(terms.between(start, end))``. Raise
    ``RangeNotSatisfiable`` if there are no such bytes; an empty file has an empty plan.
    """
    size = terms.size
    if start == size == 0:
        return ReconstructionPlan(0, [], {})
    end = min(end, size)
    if not 0 <= start < end:
        raise RangeNotSatisfiable(size=size)
    needed = terms.between(start, end)
    kept = terms[needed.start : needed.stop]
    kept[-1] = _without_tail(kept[-1], indexes, end - terms.offset(needed[-1]))
    kept[0], offset = _without_head(kept[0], indexes, start - terms.offset(needed[0]))
    return ReconstructionPlan(offset, kept, _ranges(kept, indexes))


def _without_tail(term: Term, indexes: Mapping[bytes, XorbIndex], length: int) -> Term:
    """Drop the chunks of ``term`` that its first ``length`` bytes do not need."""
    if length == term.bytes:
        return term
    index = indexes[term.xorb]
    end = index.chunk_at(index.offset(term.start) + length - 1) + 1
    return Term(term.xorb, term.start, end, index.length(term.start, end))


def _without_head(term: Term, indexes: Mapping[bytes, XorbIndex], skipped: int) -> tuple[Term, int]:
    """Drop the chunks that lie in the first ``skipped`` bytes; return also what is over."""
    if not skipped:
        return term, 0
    index = indexes[term.xorb]
    at = index.offset(term.start) + skipped
    start = index.chunk_at(at)
    kept = Term(term.xorb, start, term.end, index.length(start, term.end))
    return kept, at - index.offset(start)


def _ranges(
    terms: Iterable[Term], indexes: Mapping[bytes, XorbIndex]
) -> dict[bytes, list[XorbRange]]:
    chunks: dict[bytes, set[tuple[int, int]]] = {}
    for xorb, start, end, _ in terms:
        chunks.setdefault(xorb, set()).add((start, end))
    return {
        xorb: [_fetch(indexes[xorb], start, end) for start, end in _merged(sorted(found))]
        for xorb, found in chunks.items()
    }


def _fetch(index: XorbIndex, start: int, end: int) -> XorbRange:
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
