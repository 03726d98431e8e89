"""README.md: its front matter and its body."""

from __future__ import annotations

from typing import Any

import msgspec

from hubstead.cards.yaml_values import read_yaml
from hubstead.errors import InvalidCard

#: Longest front matter that is read, in characters.
MAX_FRONT_MATTER_CHARS = 1024 * 1024


class Card(msgspec.Struct, frozen=True):
    """A README.md that was read."""

    data: dict[str, Any] | None = None  # the front matter; None when there is none, or it is empty
    body: str = ""


class _Split(msgspec.Struct, frozen=True):
    front_matter: str | None
    body: str
    first_line: int = 1  # where the front matter begins in the file


def split_card(text: str | bytes) -> tuple[str | None, str]:
    """Return the text between the two ``---`` lines at the top (None without them) and the rest.

    As ``REGEX_YAML_BLOCK`` of ``huggingface_hub`` ``repocard.py``, and besides: a byte order
    mark, blanks after the dashes and nothing between them are fine. Bytes that are not UTF-8
    are replaced.
    """
    found = _split(text)
    return found.front_matter, found.body


def _split(text: str | bytes) -> _Split:
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    text = text.removeprefix("\ufeff")
    top = text.lstrip()
    if not top.startswith("---"):
        return _Split(None, text)
    blank = text[: len(text) - len(top)]
    lines = top.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if lines[0].rstrip() != "---":
        return _Split(None, text)
    for number, line in enumerate(lines[1:], 1):
        if line.startswith("---") and line.rstrip() == "---":
            body = "\n".join(lines[number + 1 :])
            first_line = len(blank.splitlines()) + 2 if blank else 2
            return _Split("\n".join(lines[1:number]), body, first_line)
    return _Split(None, text)


def parse_card(text: str | bytes) -> Card:
    """Read a README.md.

    Raises:
        InvalidCard: its front matter is not YAML, not a mapping or too large; never anything
            else, whatever the bytes.
    """
    found = _split(text)
    if found.front_matter is None:
        return Card(None, found.body)
    if len(found.front_matter) > MAX_FRONT_MATTER_CHARS:
        raise InvalidCard(reason=f"it is longer than {MAX_FRONT_MATTER_CHARS} characters")
    data = read_yaml(found.front_matter, first_line=found.first_line)
    if data is not None and not isinstance(data, dict):
        raise InvalidCard(reason="the front matter must be a mapping (key: value)")
    return Card(data or None, found.body)
