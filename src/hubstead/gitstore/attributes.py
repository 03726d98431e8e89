"""``.gitattributes`` and ``.gitignore``: which paths belong to LFS, which are ignored.

Rules of gitattributes(5) and gitignore(5) as git's ``attr.c`` and ``dir.c`` apply them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hubstead.gitstore.patterns import Pattern, compile_pattern

#: Set, unset (``-name``), taken back (``!name``) or a text.
Value = bool | str | None

_MAX_LINE_BYTES = 2048
_NAME = re.compile(rb"[A-Za-z0-9_.][-A-Za-z0-9_.]*")
_QUOTED = re.compile(rb'"((?:[^"\\\n]|\\[abfnrtv"\\]|\\[0-3][0-7]{2})*)"')
_ESCAPE = re.compile(rb"\\([0-3][0-7]{2}|.)", re.DOTALL)
_ESCAPES = dict(zip(b"abfnrtv", b"\a\b\f\n\r\t\v", strict=True))
_BLANK = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: Pattern
    values: tuple[tuple[str, Value], ...]


_Macros = dict[str, tuple[tuple[str, Value], ...]]


class Attributes:
    """What the ``.gitattributes`` files of one tree say.

    Args:
        texts: Content of each file by the folder it is in, ``""`` for the root.
    """

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self._macros: _Macros = {"binary": (("diff", False), ("merge", False), ("text", False))}
        self._rules: list[_Rule] = []
        for folder in sorted(texts, key=lambda folder: (folder.count("/") + bool(folder), folder)):
            self._read(texts[folder], f"{folder}/".encode() if folder else b"")

    def _read(self, text: bytes, folder: bytes) -> None:
        for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
            name, values = _parse_line(line)
            if name.startswith(b"[attr]"):
                if not folder and values is not None:
                    self._macros[name[6:].decode()] = values
            elif values is not None and not name.startswith(b"!"):
                self._rules.append(_Rule(compile_pattern(name, folder), values))

    def of(self, path: str) -> dict[str, Value]:
        """Return the attributes of a file. What no rule speaks of is not in it."""
        name = path.encode("utf-8", "surrogateescape")
        found: dict[str, Value] = {}
        for rule in reversed(self._rules):  # the last one that speaks wins
            if rule.pattern.matches(name):
                self._fill(found, rule.values)
        return {key: value for key, value in found.items() if value is not None}

    def _fill(self, found: dict[str, Value], values: tuple[tuple[str, Value], ...]) -> None:
        waiting = list(values)  # the last one first; a macro's values follow at once
        while waiting:
            name, value = waiting.pop()
            if name not in found:
                found[name] = value
                if value is True:
                    waiting.extend(self._macros.get(name, ()))

    def is_lfs(self, path: str) -> bool:
        """Tell whether the file goes through the LFS filter."""
        return self.of(path).get("filter") == "lfs"


def _parse_line(line: bytes) -> tuple[bytes, tuple[tuple[str, Value], ...] | None]:
    """Return pattern (or ``[attr]name``) and values; None for a line that git skips."""
    line = line.strip(_BLANK) if len(line) < _MAX_LINE_BYTES else b""
    if not line or line.startswith(b"#"):
        return b"", None
    quoted = _QUOTED.match(line)
    if quoted:
        name, rest = _unquote(quoted[1]), line[quoted.end() :]
    else:
        name, *more = re.split(rb"[ \t\r\n]+", line, maxsplit=1)
        rest = more[0] if more else b""
    words = rest.split()
    if name == b"[attr]" or (name.startswith(b"[attr]") and not _NAME.fullmatch(name[6:])):
        return b"", None
    values = [_parse_value(word) for word in words]
    if None in values:
        return b"", None  # one bad name and git drops the line
    return name, tuple([value for value in values if value is not None])


def _parse_value(word: bytes) -> tuple[str, Value] | None:
    name, equals, text = word.partition(b"=")
    value: Value = text.decode("utf-8", "surrogateescape") if equals else True
    if name[:1] in (b"-", b"!"):
        value = False if name[:1] == b"-" else None
        name = name[1:]
    return (name.decode(), value) if _NAME.fullmatch(name) else None


def _unquote(text: bytes) -> bytes:
    def character(found: re.Match[bytes]) -> bytes:
        code = found[1]
        return bytes([int(code, 8)]) if len(code) == 3 else bytes([_ESCAPES.get(code[0], code[0])])

    return _ESCAPE.sub(character, text)


class Ignores:
    """What the ``.gitignore`` files of one tree say.

    Args:
        texts: Content of each file by the folder it is in, ``""`` for the root.
    """

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self._rules: list[tuple[Pattern, bool]] = []
        for folder in sorted(texts, key=lambda folder: (folder.count("/") + bool(folder), folder)):
            place = f"{folder}/".encode() if folder else b""
            self._rules.extend(_ignore_rules(texts[folder], place))

    def ignores(self, path: str) -> bool:
        """Tell whether git would leave this file out: it, or a folder above it, is ignored."""
        parts = path.encode("utf-8", "surrogateescape").split(b"/")
        return any(
            self._excludes(b"/".join(parts[:depth]), is_folder=depth < len(parts))
            for depth in range(1, len(parts) + 1)
        )

    def _excludes(self, path: bytes, *, is_folder: bool) -> bool:
        for pattern, ignored in reversed(self._rules):
            if pattern.matches(path, is_folder=is_folder):
                return ignored
        return False


def _ignore_rules(text: bytes, folder: bytes) -> Iterable[tuple[Pattern, bool]]:
    for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        pattern = _without_trailing_blanks(line.removesuffix(b"\r"))
        if pattern.startswith(b"#"):
            continue
        negated = pattern.startswith(b"!")
        pattern = pattern[negated:]
        if pattern:
            yield compile_pattern(pattern, folder), not negated


def _without_trailing_blanks(line: bytes) -> bytes:
    """Cut spaces at the end, but for one that a backslash protects."""
    end = place = 0
    while place < len(line):
        if line[place : place + 1] == b"\\":
            place += 2
            end = min(place, len(line))
            continue
        place += 1
        if line[place - 1 : place] != b" ":
            end = place
    return line[:end]
