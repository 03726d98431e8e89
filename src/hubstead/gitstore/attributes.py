"""``.gitattributes`` and ``.gitignore``: the attributes of paths, and the ignored paths.

The rules are those of gitattributes(5) and gitignore(5), as git's ``attr.c`` and ``dir.c`` apply
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from hubstead.admission import checkpoint
from hubstead.gitstore.patterns import Pattern, PatternIndex, compile_pattern

#: True when set, False when unset (``-name``), None when unspecified (``!name``), or a string.
Value = bool | str | None

_MAX_LINE_BYTES = 2048
_NAME = re.compile(rb"[A-Za-z0-9_.][-A-Za-z0-9_.]*")
_QUOTED = re.compile(rb'"((?:[^"\\\n]|\\[abfnrtv"\\]|\\[0-3][0-7]{2})*)"')
_ESCAPE = re.compile(rb"\\([0-3][0-7]{2}|.)", re.DOTALL)
_ESCAPES = dict(zip(b"abfnrtv", b"\a\b\f\n\r\t\v", strict=True))
_BLANK = b" \t\r\n"


_Values = tuple[tuple[str, Value], ...]
_Macros = dict[str, _Values]


class Attributes:
    """The rules of all ``.gitattributes`` files of one tree.

    Args:
        texts: The content of the files by folder path, ``""`` for the root.
    """

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self._macros: _Macros = {"binary": (("diff", False), ("merge", False), ("text", False))}
        rules: list[tuple[Pattern, _Values]] = []
        for folder in sorted(texts, key=lambda folder: (folder.count("/") + bool(folder), folder)):
            self._read(texts[folder], f"{folder}/".encode() if folder else b"", rules)
        self._rules = PatternIndex(rules)

    def _read(self, text: bytes, folder: bytes, rules: list[tuple[Pattern, _Values]]) -> None:
        for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
            checkpoint()
            name, values = _parse_line(line)
            if name.startswith(b"[attr]"):
                if not folder and values is not None:
                    self._macros[name[6:].decode()] = values
            elif values is not None and not name.startswith(b"!"):
                rules.append((compile_pattern(name, folder), values))

    @property
    def wildcards(self) -> int:
        """The lines that every look-up tries one by one."""
        return self._rules.wildcards

    def of(self, path: str) -> dict[str, Value]:
        """Return the specified attributes of a file, by name."""
        name = path.encode("utf-8", "surrogateescape")
        attributes: dict[str, Value] = {}
        for values in self._rules.matches(name):  # the last matching rule wins
            self._fill(attributes, values)
        return {key: value for key, value in attributes.items() if value is not None}

    def _fill(self, attributes: dict[str, Value], values: tuple[tuple[str, Value], ...]) -> None:
        pending = list(values)  # the last value first; a macro expands at once
        while pending:
            name, value = pending.pop()
            if name not in attributes:
                attributes[name] = value
                if value is True:
                    pending.extend(self._macros.get(name, ()))

    def is_lfs(self, path: str) -> bool:
        """Tell whether the file goes through the LFS filter."""
        return self.of(path).get("filter") == "lfs"


def _parse_line(line: bytes) -> tuple[bytes, tuple[tuple[str, Value], ...] | None]:
    """Return the pattern (or ``[attr]name``) and its values; None if git skips the line."""
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
        return b"", None  # git drops a line with one invalid name
    return name, tuple([value for value in values if value is not None])


def _parse_value(word: bytes) -> tuple[str, Value] | None:
    name, equals, text = word.partition(b"=")
    value: Value = text.decode("utf-8", "surrogateescape") if equals else True
    if name[:1] in (b"-", b"!"):
        value = False if name[:1] == b"-" else None
        name = name[1:]
    return (name.decode(), value) if _NAME.fullmatch(name) else None


def _unquote(text: bytes) -> bytes:
    def character(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return bytes([int(code, 8)]) if len(code) == 3 else bytes([_ESCAPES.get(code[0], code[0])])

    return _ESCAPE.sub(character, text)


class Ignores:
    """The rules of all ``.gitignore`` files of one tree.

    Args:
        texts: The content of the files by folder path, ``""`` for the root.
    """

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        rules: list[tuple[Pattern, bool]] = []
        for folder in sorted(texts, key=lambda folder: (folder.count("/") + bool(folder), folder)):
            prefix = f"{folder}/".encode() if folder else b""
            rules.extend(_ignore_rules(texts[folder], prefix))
        self._rules = PatternIndex(rules)

    @property
    def wildcards(self) -> int:
        """The lines that the look-up of every part of a path tries one by one."""
        return self._rules.wildcards

    def ignores(self, path: str) -> bool:
        """Tell whether the file or a folder above it is ignored."""
        parts = path.encode("utf-8", "surrogateescape").split(b"/")
        return any(
            self._excludes(b"/".join(parts[:depth]), is_folder=depth < len(parts))
            for depth in range(1, len(parts) + 1)
        )

    def _excludes(self, path: bytes, *, is_folder: bool) -> bool:
        return next(self._rules.matches(path, is_folder=is_folder), False)


def _ignore_rules(text: bytes, folder: bytes) -> Iterable[tuple[Pattern, bool]]:
    for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        checkpoint()
        pattern = _without_trailing_blanks(line.removesuffix(b"\r"))
        if pattern.startswith(b"#"):
            continue
        negated = pattern.startswith(b"!")
        pattern = pattern[negated:]
        if pattern:
            yield compile_pattern(pattern, folder), not negated


def _without_trailing_blanks(line: bytes) -> bytes:
    """Strip trailing spaces, except one that a backslash escapes."""
    end = position = 0
    while position < len(line):
        if line[position : position + 1] == b"\\":
            position += 2
            end = min(position, len(line))
            continue
        position += 1
        if line[position - 1 : position] != b" ":
            end = position
    return line[:end]
