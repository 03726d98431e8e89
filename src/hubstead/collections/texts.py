"""Limits of the texts that users write in collections (protocol/hub-api.md 4.3)."""

from __future__ import annotations

from hubstead.errors import InvalidInput

MAX_TITLE, MAX_DESCRIPTION, MAX_NOTE = 60, 150, 500
THEMES = ("orange", "blue", "green", "purple", "pink", "indigo")


def check_text(name: str, text: str, most: int, *, least: int = 0) -> str:
    """Return a text without blanks at its ends.

    Raises:
        InvalidInput: it is shorter or longer than allowed, or contains NUL.
    """
    text = text.strip()
    if not least <= len(text) <= most:
        raise InvalidInput(reason=f'"{name}" must have {least} to {most} characters')
    if "\0" in text:
        raise InvalidInput(reason=f'"{name}" must not contain NUL')
    return text


def check_theme(theme: str) -> str:
    """Return a theme.

    Raises:
        InvalidInput: there is no such theme.
    """
    if theme not in THEMES:
        raise InvalidInput(reason=f'"theme" must be one of [{", ".join(THEMES)}]')
    return theme
