"""How a file is shown: decided by its name, size and bytes, never by what a client says it is."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from markupsafe import Markup

from hubstead.pages.markup import (
    CardPlace,
    Deadline,
    TooSlow,
    highlight_lines,
    render_markdown,
)

Show = Literal[
    "text",
    "table",
    "notebook",
    "image",
    "audio",
    "video",
    "pdf",
    "markdown",
    "weights",
    "none",
]
#: Rows, columns and characters of a cell that a table shows.
MAX_ROWS = 500
MAX_COLUMNS = 60
MAX_CELL = 300
#: Cells of a notebook, and characters of one output.
MAX_CELLS = 200
MAX_OUTPUT = 10_000
_MAX_IMAGE = 300_000
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
HIGHLIGHT_SECONDS = 1.0
_ENDINGS: dict[str, Show] = {
    **dict.fromkeys(("png", "jpg", "jpeg", "gif", "webp", "avif", "svg", "ico", "bmp"), "image"),
    **dict.fromkeys(("mp3", "wav", "flac", "ogg", "oga", "opus", "m4a"), "audio"),
    **dict.fromkeys(("mp4", "webm", "mov", "m4v", "ogv"), "video"),
    **dict.fromkeys(("csv", "tsv", "jsonl", "ndjson"), "table"),
    **dict.fromkeys(("md", "markdown", "mdx"), "markdown"),
    "ipynb": "notebook",
    "pdf": "pdf",
    "safetensors": "weights",
    "gguf": "weights",
}
#: Shown by the browser from their address, whatever their size.
MEDIA = frozenset(("image", "audio", "video", "pdf"))
#: Formats that run code when they are loaded.
PICKLES = frozenset(("pkl", "pickle", "pt", "pth", "ckpt", "bin", "joblib", "dill"))


@dataclass(frozen=True)
class Table:
    """The first rows of a table; ``more`` if there are others."""

    columns: list[str]
    rows: list[list[str]]
    more: bool


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook: its source as HTML, and its outputs as text and pictures."""

    kind: str
    html: Markup
    outputs: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)


def ending_of(name: str) -> str:
    """Return the end of a file's name behind its last dot, in lower case."""
    return name.rpartition(".")[2].lower() if "." in name else name.lower()


def show_of(name: str) -> Show:
    """Return how a file of this name is shown if its bytes allow it."""
    return _ENDINGS.get(ending_of(name), "text")


def code_lines(text: str, name: str) -> list[Markup]:
    """Return the lines of a file as HTML; without colours if those take too long."""
    try:
        lines = highlight_lines(text, ending_of(name), Deadline(HIGHLIGHT_SECONDS))
    except TooSlow:
        lines = highlight_lines(text, "")
    return [Markup(line) for line in lines]  # noqa: S704 - escaped


def table_of(text: str, name: str) -> Table | None:
    """Return the first rows of CSV, TSV or JSON lines, or None if it is no table."""
    ending = ending_of(name)
    if ending in ("jsonl", "ndjson"):
        return _table_of_json(text)
    try:
        rows = list(
            islice(
                csv.reader(io.StringIO(text), delimiter="\t" if ending == "tsv" else ","),
                MAX_ROWS + 2,
            )
        )
    except csv.Error:
        return None
    if not rows or (len(rows[0]) < 2 and ending == "tsv"):
        return None
    shown = [[_cut(cell) for cell in row[:MAX_COLUMNS]] for row in rows]
    return Table(shown[0], shown[1 : MAX_ROWS + 1], len(rows) > MAX_ROWS + 1)


def _table_of_json(text: str) -> Table | None:
    objects = []
    for line in islice(text.splitlines(), MAX_ROWS + 1):
        try:
            value = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError):
            return None
        if value is not None:
            objects.append(value if isinstance(value, dict) else {"value": value})
    if not objects:
        return None
    columns = list(dict.fromkeys(str(key) for row in objects for key in row))[:MAX_COLUMNS]
    rows = [[_word(row.get(column)) for column in columns] for row in objects[:MAX_ROWS]]
    return Table([_cut(column) for column in columns], rows, len(objects) > MAX_ROWS)


def _word(value: Any) -> str:
    if value is None:
        return ""
    return _cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CELL else f"{text[:MAX_CELL]}…"


def notebook_of(text: str, place: CardPlace) -> list[Cell] | None:
    """Return the cells of a notebook, or None if it is not one. HTML outputs are left out."""
    try:
        book = json.loads(text)
        cells = book["cells"]
        language = book.get("metadata", {}).get("kernelspec", {}).get("language", "python")
        return [_cell(cell, str(language), place) for cell in islice(cells, MAX_CELLS)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _cell(cell: dict[str, Any], language: str, place: CardPlace) -> Cell:
    source = _joined(cell.get("source"))
    if cell.get("cell_type") == "markdown":
        markup = render_markdown(source, place, seconds=1)
        if markup is not None:
            return Cell("markdown", Markup(markup))  # noqa: S704 - sanitised
    html = Markup("\n").join(code_lines(source, f".{language}"))
    outputs = [output for output in cell.get("outputs") or [] if isinstance(output, dict)]
    texts = [text for output in outputs if (text := _output_text(output))]
    return Cell("code", html, texts, list(_images(outputs)))


def _joined(source: Any) -> str:
    return "".join(map(str, source)) if isinstance(source, list) else str(source or "")


def _output_text(output: dict[str, Any]) -> str:
    data = output.get("data")
    if output.get("output_type") == "error":
        return _joined(f"{output.get('ename')}: {output.get('evalue')}")[:MAX_OUTPUT]
    if isinstance(data, dict):
        return "" if "image/png" in data else _joined(data.get("text/plain"))[:MAX_OUTPUT]
    return _joined(output.get("text"))[:MAX_OUTPUT]


def _images(outputs: list[dict[str, Any]]) -> Iterator[str]:
    """Yield pictures as ``data:`` addresses, of which the policy of pages allows images."""
    for output in outputs:
        data = output.get("data")
        png = _joined(data.get("image/png")) if isinstance(data, dict) else ""
        plain = "".join(png.split())
        if len(plain) <= _MAX_IMAGE and _BASE64.fullmatch(plain):
            yield f"data:image/png;base64,{plain}"
