"""Path patterns of ``.gitignore`` and ``.gitattributes``, by the rules of git's ``wildmatch.c``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from hubstead.admission import checkpoint

T = TypeVar("T")

#: ``*`` and a suffix that begins with a dot, without other wildcards.
_SUFFIX = re.compile(rb"\*\.[^*?\[\\]*")
_SPECIAL = re.compile(rb"[*?\[\\]")
_CLASSES = {
    b"alnum": rb"0-9A-Za-z",
    b"alpha": rb"A-Za-z",
    b"blank": rb" \t",
    b"cntrl": rb"\x00-\x1f\x7f",
    b"digit": rb"0-9",
    b"graph": rb"\x21-\x7e",
    b"lower": rb"a-z",
    b"print": rb"\x20-\x7e",
    b"punct": rb"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e",
    b"space": rb" \t\n\v\f\r",
    b"upper": rb"A-Z",
    b"xdigit": rb"0-9A-Fa-f",
}
_NEVER = re.compile(rb"(?!)")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern.

    With ``by_name`` it matches the last part of a path at any depth, otherwise the whole path
    below the folder that contains the pattern's file.
    """

    regex: re.Pattern[bytes]
    by_name: bool
    only_folders: bool
    folder: bytes = b""
    #: What ``PatternIndex`` finds it by: ("name", …), ("path", …), ("suffix", …); None: by trying.
    key: tuple[str, bytes] | None = None

    def matches(self, path: bytes, *, is_folder: bool = False) -> bool:
        """Tell whether a path, relative to the repository's root, matches."""
        if self.only_folders and not is_folder:
            return False
        if not path.startswith(self.folder):
            return False
        text = path.rpartition(b"/")[2] if self.by_name else path[len(self.folder) :]
        return self.regex.fullmatch(text) is not None


def compile_pattern(text: bytes, folder: bytes = b"") -> Pattern:
    """Compile a pattern of a file in ``folder`` (a path with its slash, empty for the root)."""
    only_folders = text.endswith(b"/")
    if only_folders:
        text = text[:-1]
    by_name = b"/" not in text
    text = text.removeprefix(b"/") if not by_name else text
    # Git compares the literal prefix separately, so the first wildcard counts as the start of
    # the pattern: a**/b means a, then any folders, then b.
    special = _SPECIAL.search(text)
    literal = text[: special.start()] if special else text
    rest = _translate(text[len(literal) :], in_path=not by_name)
    regex = _NEVER if rest is None else re.compile(re.escape(literal) + rest, re.DOTALL)
    key: tuple[str, bytes] | None = None
    if special is None:
        key = ("name", text) if by_name else ("path", folder + text)
    elif by_name and _SUFFIX.fullmatch(text):
        key = ("suffix", text[1:])
    return Pattern(regex, by_name, only_folders, folder, key)


class PatternIndex(Generic[T]):
    """Patterns in order, each with a value: finds those that match a path, the last one first.

    Files with a line for each of thousands of paths are common. Names, paths and suffixes such as
    ``*.bin`` are looked up; only other patterns are tried one by one.

    Args:
        patterns: The patterns with their values.
    """

    def __init__(self, patterns: Iterable[tuple[Pattern, T]]) -> None:
        self._all = list(patterns)
        self._by_key: dict[tuple[str, bytes], list[int]] = {}
        self._others: list[int] = []
        for position, (pattern, _) in enumerate(self._all):
            if pattern.key is None:
                self._others.append(position)
            else:
                self._by_key.setdefault(pattern.key, []).append(position)

    @property
    def wildcards(self) -> int:
        """The patterns that every look-up tries one by one."""
        return len(self._others)

    def matches(self, path: bytes, *, is_folder: bool = False) -> Iterator[T]:
        """Yield the values of the patterns that match a path, the last pattern first."""
        name = path.rpartition(b"/")[2]
        positions = [*self._others, *self._by_key.get(("name", name), ())]
        positions += self._by_key.get(("path", path), ())
        dot = name.find(b".")
        while dot >= 0:
            positions += self._by_key.get(("suffix", name[dot:]), ())
            dot = name.find(b".", dot + 1)
        positions.sort(reverse=True)
        for position in positions:
            checkpoint()
            pattern, value = self._all[position]
            if pattern.matches(path, is_folder=is_folder):
                yield value


@dataclass(frozen=True, slots=True)
class _Stars:
    """A wildcard of any length; ``deep`` when it crosses slashes in a pattern with slashes."""

    regex: bytes
    deep: bool = False


_Token = bytes | _Stars


def _translate(text: bytes, *, in_path: bool) -> bytes | None:
    """Return the pattern as a regular expression; None if it never matches."""
    tokens: list[_Token] = []
    position = 0
    while position < len(text):
        char = text[position : position + 1]
        token: _Token
        if char == b"*":
            token, position = _stars(text, position, in_path=in_path)
        elif char == b"?":
            token, position = (b"[^/]" if in_path else b"."), position + 1
        elif char == b"[":
            bracket = _bracket(text, position, in_path=in_path)
            if bracket is None:
                return None
            token, position = bracket
        elif char == b"\\":
            if position + 1 >= len(text):
                return None
            token, position = re.escape(text[position + 1 : position + 2]), position + 2
        else:
            token, position = re.escape(char), position + 1
        tokens.append(token)
    return _assemble(tokens)


def _assemble(tokens: list[_Token]) -> bytes:
    """Join the tokens so that matching needs no more than quadratic time.

    The text after a wildcard may match at its first occurrence, without backtracking, if an
    equally permissive wildcard follows: the later wildcard absorbs the difference. (Between two
    deep wildcards the number of slashes is fixed, so the first match also ends first.) Atomic
    groups express this: patterns are untrusted, and plain backtracking over ``*a*a*a…`` would
    take exponential time.
    """
    stars = [i for i, token in enumerate(tokens) if isinstance(token, _Stars)]
    deep = [i for i in stars if isinstance(star := tokens[i], _Stars) and star.deep]
    out: list[bytes] = []
    in_star = in_deep = False
    for i, token in enumerate(tokens):
        if not isinstance(token, _Stars):
            out.append(token)
            continue
        out.append(b")" * (in_star + (in_deep and token.deep)))
        in_star, in_deep = False, in_deep and not token.deep
        if i < (deep if token.deep else stars)[-1]:
            out.append(b"(?>")
            in_deep, in_star = in_deep or token.deep, not token.deep
        out.append(token.regex)
    return b"".join(out)


def _stars(text: bytes, start: int, *, in_path: bool) -> tuple[_Stars, int]:
    end = start
    while text[end : end + 1] == b"*":
        end += 1
    if not in_path:
        return _Stars(b".*?"), end
    at_start = start == 0 or text[start - 1 : start] == b"/"
    rest = text[end:]
    if end - start < 2 or not at_start or not (not rest or rest.startswith((b"/", b"\\/"))):
        return _Stars(b"[^/]*?"), end
    if rest.startswith(b"/"):
        return _Stars(b"(?:.*?/)??", deep=True), end + 1
    return _Stars(b".*?", deep=True), end


def _bracket(text: bytes, start: int, *, in_path: bool) -> tuple[bytes, int] | None:
    """Translate ``[…]`` at ``start``; return (expression, end), None if it is not closed."""
    position = start + 1
    negated = text[position : position + 1] in (b"!", b"^")
    position += negated
    members: list[bytes] = []
    previous = b""
    first = True
    while first or text[position : position + 1] != b"]":
        first = False
        if text[position : position + 2] == b"[:" and (end := text.find(b"]", position + 2)) >= 0:
            if text[end - 1 : end] == b":" and end - 1 >= position + 2:
                ranges = _CLASSES.get(text[position + 2 : end - 1])
                if ranges is None:
                    return None
                members.append(ranges)
                previous, position = b"", end + 1
                continue
            # not a class: the bracket is a literal member
            members.append(rb"\[")
            previous, position = b"[", position + 1
            continue
        is_range = (
            text[position : position + 1] == b"-"
            and previous
            and position + 1 < len(text)
            and text[position + 1 : position + 2] != b"]"
        )
        if is_range:
            position += 1
        char, position = _member(text, position)
        if not char:
            return None
        if is_range:
            if previous <= char:
                members.append(re.escape(previous) + b"-" + re.escape(char))
            previous = b""
        else:
            members.append(re.escape(char))
            previous = char
    return _class(members, negated=negated, in_path=in_path), position + 1


def _member(text: bytes, position: int) -> tuple[bytes, int]:
    if text[position : position + 1] == b"\\":
        position += 1
    return text[position : position + 1], position + 1


def _class(members: list[bytes], *, negated: bool, in_path: bool) -> bytes:
    inside = b"".join(members)
    if negated:
        return b"[^" + inside + (b"/]" if in_path else b"]")
    if not inside:
        return b"(?!)"
    return (b"(?!/)" if in_path else b"") + b"[" + inside + b"]"
