"""Path patterns of ``.gitignore`` and ``.gitattributes``, as git's ``wildmatch.c`` reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
    """One pattern, compiled.

    ``by_name`` compares with the last part of a path at any depth, otherwise with the whole
    path below the folder the pattern was found in.
    """

    regex: re.Pattern[bytes]
    by_name: bool
    only_folders: bool
    folder: bytes = b""

    def matches(self, path: bytes, *, is_folder: bool = False) -> bool:
        """Tell whether a path, relative to the repository's root, is meant."""
        if self.only_folders and not is_folder:
            return False
        if not path.startswith(self.folder):
            return False
        text = path.rpartition(b"/")[2] if self.by_name else path[len(self.folder) :]
        return self.regex.fullmatch(text) is not None


def compile_pattern(text: bytes, folder: bytes = b"") -> Pattern:
    """Read a pattern found in ``folder`` (a path with its slash, or nothing for the root)."""
    only_folders = text.endswith(b"/")
    if only_folders:
        text = text[:-1]
    by_name = b"/" not in text
    text = text.removeprefix(b"/") if not by_name else text
    # Git compares what precedes the first wildcard by itself, so a wildcard behind it stands
    # "at the start": a**/b means a, then any folders, then b.
    special = _SPECIAL.search(text)
    literal = text[: special.start()] if special else text
    rest = _translate(text[len(literal) :], in_path=not by_name)
    regex = _NEVER if rest is None else re.compile(re.escape(literal) + rest, re.DOTALL)
    return Pattern(regex, by_name, only_folders, folder)


@dataclass(frozen=True, slots=True)
class _Stars:
    """A wildcard of any length; ``deep`` when it crosses slashes in a pattern with slashes."""

    regex: bytes
    deep: bool = False


_Token = bytes | _Stars


def _translate(text: bytes, *, in_path: bool) -> bytes | None:
    """Return the pattern as a regular expression; None when it can match nothing."""
    tokens: list[_Token] = []
    place = 0
    while place < len(text):
        char = text[place : place + 1]
        token: _Token
        if char == b"*":
            token, place = _stars(text, place, in_path=in_path)
        elif char == b"?":
            token, place = (b"[^/]" if in_path else b"."), place + 1
        elif char == b"[":
            found = _bracket(text, place, in_path=in_path)
            if found is None:
                return None
            token, place = found
        elif char == b"\\":
            if place + 1 >= len(text):
                return None
            token, place = re.escape(text[place + 1 : place + 2]), place + 2
        else:
            token, place = re.escape(char), place + 1
        tokens.append(token)
    return _assemble(tokens)


def _assemble(tokens: list[_Token]) -> bytes:
    """Join the tokens so that matching needs no more than quadratic time.

    What follows a wildcard may be taken where it is found first, for good, if a wildcard that
    takes as much comes later: that one can make up for the difference. (Between two deep ones
    the number of slashes is fixed, so first found is first ended.) Hence the atomic groups:
    patterns come from strangers, and plain backtracking over ``*a*a*a…`` would never end.
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
    """Read ``[…]`` at ``start``; return the expression and where it ends, None if it does not."""
    place = start + 1
    negated = text[place : place + 1] in (b"!", b"^")
    place += negated
    members: list[bytes] = []
    previous = b""
    first = True
    while first or text[place : place + 1] != b"]":
        first = False
        if text[place : place + 2] == b"[:" and (end := text.find(b"]", place + 2)) >= 0:
            if text[end - 1 : end] == b":" and end - 1 >= place + 2:
                known = _CLASSES.get(text[place + 2 : end - 1])
                if known is None:
                    return None
                members.append(known)
                previous, place = b"", end + 1
                continue
            # not a class after all: the bracket is a member by itself
            members.append(rb"\[")
            previous, place = b"[", place + 1
            continue
        is_range = (
            text[place : place + 1] == b"-"
            and previous
            and place + 1 < len(text)
            and text[place + 1 : place + 2] != b"]"
        )
        if is_range:
            place += 1
        char, place = _member(text, place)
        if not char:
            return None
        if is_range:
            if previous <= char:
                members.append(re.escape(previous) + b"-" + re.escape(char))
            previous = b""
        else:
            members.append(re.escape(char))
            previous = char
    return _class(members, negated=negated, in_path=in_path), place + 1


def _member(text: bytes, place: int) -> tuple[bytes, int]:
    if text[place : place + 1] == b"\\":
        place += 1
    return text[place : place + 1], place + 1


def _class(members: list[bytes], *, negated: bool, in_path: bool) -> bytes:
    inside = b"".join(members)
    if negated:
        return b"[^" + inside + (b"/]" if in_path else b"]")
    if not inside:
        return b"(?!)"
    return (b"(?!/)" if in_path else b"") + b"[" + inside + b"]"
