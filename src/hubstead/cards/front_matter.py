"""Splits and parses README.md: front matter and body."""

from __future__ import annotations

from typing import Any

import msgspec

from hubstead.cards.yaml_values import read_yaml
from hubstead.errors import InvalidCard

#: Longest front matter that is parsed, in characters.
MAX_FRONT_MATTER_CHARS = 1024 * 1024


class Card(msgspec.Struct, frozen=True):
    """A parsed README.md."""

    data: dict[str, Any] | None = None  # the front matter; None if missing or empty
    body: str = ""


class _Split(msgspec.Struct, frozen=True):
    front_matter: str | None
    body: str
    first_line: int = 1  # of the front matter, in the file


def split_card(text: str | bytes) -> tuple[str | None, str]:
    """Return the text between the two ``---`` lines at the top (None without them) and the rest.

    As ``REGEX_YAML_BLOCK`` of ``huggingface_hub`` ``repocard.py``, and besides: a byte order
    mark, blanks after the dashes and nothing between them are fine. Bytes that are not UTF-8
    are replaced.
    """
    split = _split(text)
    return split.front_matter, split.body


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
    """Parse a README.md.

    Raises:
        InvalidCard: its front matter is not YAML, not a mapping or too large. No bytes raise
            another error.
    """
    split = _split(text)
    if split.front_matter is None:
        return Card(None, split.body)
    if len(split.front_matter) > MAX_FRONT_MATTER_CHARS:
        raise InvalidCard(reason=f"it is longer than {MAX_FRONT_MATTER_CHARS} characters")
    data = read_yaml(split.front_matter, first_line=split.first_line)
    if data is not None and not isinstance(data, dict):
        raise InvalidCard(reason="the front matter must be a mapping (key: value)")
    return Card(data or None, split.body)


def license_card(name: str) -> bytes:
    """Return a card that says nothing but the licence."""
    return f"---\nlicense: {msgspec.json.encode(name).decode()}\n---\n".encode()
