"""Reads the patches that ``git diff --full-index`` writes into hunks and lines."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from hubstead.admission import checkpoint

_INDEX = re.compile(rb"index ([0-9a-f]{40})\.\.([0-9a-f]{40})")
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)")
_WORDS = re.compile(r"\d+(?:[.,]\d+)*|\w+|\s+|[^\w\s]")
#: Longer lines have no marks, nor have those after this many comparisons of words in total.
_MARKED_CHARACTERS = 2000
_COMPARISONS = 2_000_000
_NO_OID = "0" * 40
#: The ids of the old and the new blob, None for a file that is not there.
Oids = tuple[str | None, str | None]
Sign = Literal[" ", "+", "-"]
_SIGNS: dict[bytes, Sign] = {b" ": " ", b"+": "+", b"-": "-"}


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a hunk: ``sign`` is a blank, ``+`` or ``-``; numbers count from 1.

    ``marks`` are the (start, end) of the words that differ from the line's counterpart.
    """

    sign: Sign
    old: int | None
    new: int | None
    text: str
    marks: tuple[tuple[int, int], ...] = ()
    no_newline: bool = False  # it is the last line, and no newline follows it


@dataclass(frozen=True, slots=True)
class Hunk:
    """Neighbouring lines of a difference, with git's header without its at-signs."""

    old_start: int
    old_lines: int
    new_start: int
    new_lines: int
    heading: str
    lines: tuple[DiffLine, ...]


@dataclass(slots=True)
class TextDiff:
    """The difference of two texts; ``cut`` if lines are left out."""

    hunks: tuple[Hunk, ...] = ()
    added: int = 0
    removed: int = 0
    binary: bool = False
    cut: bool = False


def read_patches(
    chunks: Iterable[bytes], lines: int, file_lines: int
) -> dict[Oids, list[TextDiff]]:
    """Return the differences of each pair of blobs, one for each file that has the pair.

    Args:
        chunks: The output of ``git diff --full-index --no-renames``, maybe cut at any place.
        lines: How many lines are returned in total.
        file_lines: How many lines are returned of one file.
    """
    reader = _Reader(lines, file_lines)
    for line in _lines(chunks):
        reader.read(line)
    reader.end()
    return reader.texts


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        checkpoint()
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole


@dataclass(slots=True)
class _Open:
    """The hunk that is being read: its header, lines, and the numbers and counts of the next."""

    header: tuple[int, int, int, int, str]
    old: int
    new: int
    old_left: int
    new_left: int
    lines: list[DiffLine] = field(default_factory=list)


class _Reader:
    """Turns lines of a patch into texts, line by line."""

    def __init__(self, lines: int, file_lines: int) -> None:
        self.texts: dict[Oids, list[TextDiff]] = {}
        self._left, self._file_lines, self._file_left = lines, file_lines, 0
        self._comparisons = _COMPARISONS
        self._text = TextDiff()
        self._hunk: _Open | None = None

    def read(self, line: bytes) -> None:
        """Take the next line."""
        hunk = self._hunk
        if line.startswith(b"\\") and hunk is not None:
            if hunk.lines:
                hunk.lines[-1] = replace(hunk.lines[-1], no_newline=True)
        elif hunk is not None and (hunk.old_left or hunk.new_left):
            self._content(hunk, line)
        elif match := _HUNK.match(line):
            self.end()
            self._hunk = _opened(match)
        elif match := _INDEX.match(line):
            self.end()
            old, new = (oid.decode() for oid in match.groups())
            key = (None if old == _NO_OID else old, None if new == _NO_OID else new)
            self._text = TextDiff()
            self.texts.setdefault(key, []).append(self._text)
            self._file_left = self._file_lines
        elif line.startswith(b"Binary files "):
            self._text.binary = True

    def _content(self, hunk: _Open, line: bytes) -> None:
        sign = _SIGNS.get(line[:1], " ")
        old, new = sign != "+", sign != "-"
        self._text.added += sign == "+"
        self._text.removed += sign == "-"
        if self._left and self._file_left:
            text = line[1:].decode("utf-8", "replace").removesuffix("\r")
            numbers = (hunk.old if old else None, hunk.new if new else None)
            hunk.lines.append(DiffLine(sign, *numbers, text))
            self._left -= 1
            self._file_left -= 1
        else:
            self._text.cut = True
        hunk.old, hunk.new = hunk.old + old, hunk.new + new
        hunk.old_left, hunk.new_left = hunk.old_left - old, hunk.new_left - new

    def end(self) -> None:
        """Close the hunk that is open."""
        hunk, self._hunk = self._hunk, None
        if hunk is not None and hunk.lines:
            lines = tuple(self._marked(hunk.lines))
            self._text.hunks += (Hunk(*hunk.header, lines),)

    def _marked(self, lines: list[DiffLine]) -> Iterator[DiffLine]:
        """Yield the lines, with marks where as many added lines follow removed ones."""
        removed: list[DiffLine] = []
        added: list[DiffLine] = []
        for line in [*lines, None]:
            if line is not None and line.sign == "+":
                added.append(line)
                continue
            if added or line is None or line.sign == " ":
                yield from self._pairs(removed, added)
                removed, added = [], []
            if line is not None and line.sign == "-":
                removed.append(line)
            elif line is not None:
                yield line

    def _pairs(self, removed: list[DiffLine], added: list[DiffLine]) -> Iterator[DiffLine]:
        if len(removed) == len(added):
            pairs = [self._pair(*pair) for pair in zip(removed, added, strict=True)]
            removed, added = [one for one, _ in pairs], [other for _, other in pairs]
        yield from removed
        yield from added

    def _pair(self, old: DiffLine, new: DiffLine) -> tuple[DiffLine, DiffLine]:
        if max(len(old.text), len(new.text)) > _MARKED_CHARACTERS:
            return old, new
        checkpoint()
        before, after = _WORDS.findall(old.text), _WORDS.findall(new.text)
        self._comparisons -= len(before) * len(after)
        if self._comparisons < 0:
            return old, new
        matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
        codes = [code for code in matcher.get_opcodes() if code[0] != "equal"]
        if matcher.ratio() < 0.3:
            return old, new  # two lines that have little in common
        return (
            replace(old, marks=_spans(before, [(code[1], code[2]) for code in codes])),
            replace(new, marks=_spans(after, [(code[3], code[4]) for code in codes])),
        )


def _opened(match: re.Match[bytes]) -> _Open:
    old, new = int(match[1]), int(match[3])
    old_count = 1 if match[2] is None else int(match[2])
    new_count = 1 if match[4] is None else int(match[4])
    heading = match[5].decode("utf-8", "replace").strip()
    return _Open((old, old_count, new, new_count, heading), old, new, old_count, new_count)


def _spans(words: list[str], ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return ranges of words as (start, end) of characters."""
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word))
    return tuple((starts[one], starts[other]) for one, other in ranges if one < other)
