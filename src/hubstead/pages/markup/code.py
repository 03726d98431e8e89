"""Highlights code: each line as HTML, with the few classes of the style sheet."""

from __future__ import annotations

import html
from functools import cache

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Token, _TokenType
from pygments.util import ClassNotFound

from hubstead.pages.markup.limits import Deadline

#: Longer texts, and those with a longer line, are not highlighted.
MAX_CHARACTERS = 256 << 10
MAX_LINE = 5000

#: Lexers by language: those whose expressions are known to be quick.
_LANGUAGES = {
    "bash": "bash sh shell zsh console shell-session",
    "c": "c h",
    "cmake": "cmake",
    "cpp": "cpp c++ cc cxx hpp cu cuda",
    "csharp": "csharp cs c#",
    "css": "css",
    "diff": "diff patch",
    "docker": "docker dockerfile",
    "go": "go golang",
    "html": "html htm",
    "html+jinja": "jinja jinja2",
    "ini": "ini cfg conf",
    "java": "java",
    "javascript": "javascript js mjs jsx",
    "json": "json jsonl jsonc json5",
    "julia": "julia jl",
    "kotlin": "kotlin kt",
    "lua": "lua",
    "make": "make makefile",
    "python": "python py py3 python3 pyi ipython",
    "pycon": "pycon",
    "r": "r",
    "ruby": "ruby rb",
    "rust": "rust rs",
    "scala": "scala",
    "sql": "sql",
    "swift": "swift",
    "toml": "toml",
    "typescript": "typescript ts tsx",
    "xml": "xml svg",
    "yaml": "yaml yml",
}
_LEXERS = {name: lexer for lexer, names in _LANGUAGES.items() for name in names.split()}
#: The class of a type of token, the most special type first.
_CLASSES: tuple[tuple[_TokenType, str], ...] = (
    (Token.Comment, "c"),
    (Token.Keyword, "k"),
    (Token.Operator.Word, "k"),
    (Token.Name.Tag, "k"),
    (Token.Literal.String, "s"),
    (Token.Literal.Number, "d"),
    (Token.Name.Function, "f"),
    (Token.Name.Class, "f"),
    (Token.Name.Decorator, "f"),
    (Token.Name.Attribute, "f"),
    (Token.Name.Builtin, "f"),
    (Token.Generic.Deleted, "d"),
    (Token.Generic.Inserted, "s"),
    (Token.Generic.Heading, "k"),
    (Token.Generic.Prompt, "c"),
)


def highlight_lines(text: str, language: str, deadline: Deadline | None = None) -> list[str]:
    """Return each line of a text as HTML.

    Args:
        text: The code.
        language: The name of a language, or the end of a file's name without its dot. Unknown
            languages, and texts that are too long, come without classes.
        deadline: When to stop.

    Raises:
        TooSlow: the deadline has passed.
    """
    lexer = _lexer(language.lower())
    longest = max(map(len, text.split("\n")))
    if lexer is None or len(text) > MAX_CHARACTERS or longest > MAX_LINE:
        return [html.escape(line) for line in _without_end(text.split("\n"))]
    lines: list[list[str]] = [[]]
    for number, (kind, value) in enumerate(lexer.get_tokens(text)):
        if deadline is not None and number % 64 == 0:
            deadline.check()
        name = _class_of(kind)
        for at, part in enumerate(value.split("\n")):
            if at:
                lines.append([])
            if part:
                escaped = html.escape(part)
                lines[-1].append(f'<span class="{name}">{escaped}</span>' if name else escaped)
    return _without_end(["".join(parts) for parts in lines])


def _without_end(lines: list[str]) -> list[str]:
    return lines[:-1] if len(lines) > 1 and not lines[-1] else lines


@cache
def _lexer(language: str) -> Lexer | None:
    name = _LEXERS.get(language)
    if name is None:
        return None
    try:
        return get_lexer_by_name(name, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


@cache
def _class_of(kind: _TokenType) -> str:
    return next((name for parent, name in _CLASSES if kind in parent), "")
