"""Rules for the texts that people write: titles and comments."""

from __future__ import annotations

from hubstead.errors import InvalidInput

TITLE_CHARS = (3, 200)
MAX_COMMENT_CHARS = 65_536


def check_title(title: str) -> str:
    """Return a title without blanks at its ends, and with single ones inside.

    Raises:
        InvalidInput: it is shorter or longer than the contract allows (protocol/hub-api.md 4.1).
    """
    text = " ".join(_storable(title, "title").split())
    least, most = TITLE_CHARS
    if not least <= len(text) <= most:
        raise InvalidInput(reason=f'"title" must have {least} to {most} characters')
    return text


def check_comment(text: str, name: str, *, may_be_empty: bool = False) -> str:
    """Return the text of a comment.

    Args:
        text: As the caller wrote it.
        name: Of the field, for the message.
        may_be_empty: Whether no text is a valid one.

    Raises:
        InvalidInput: it is empty or too long.
    """
    _storable(text, name)
    if len(text) > MAX_COMMENT_CHARS or not (text.strip() or may_be_empty):
        raise InvalidInput(reason=f'"{name}" must have 1 to {MAX_COMMENT_CHARS} characters')
    return text


def _storable(text: str, name: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(reason=f'"{name}" must be valid Unicode') from None
    if "\0" in text:
        raise InvalidInput(reason=f'"{name}" must hold no zero byte')
    return text
