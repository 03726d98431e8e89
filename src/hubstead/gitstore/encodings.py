"""Decoding of commit text by the ``encoding`` header (git-commit-tree(1), i18n)."""

from __future__ import annotations

import codecs
from functools import lru_cache

#: Text codecs of Python that are no charsets: escapes, host names, machine-dependent code pages.
_NO_CHARSETS = frozenset(
    ("unicode-escape", "raw-unicode-escape", "idna", "punycode", "undefined", "mbcs", "oem")
)
_MAX_NAME_CHARS = 40


def decode(data: bytes, encoding: str | None) -> str:
    """Decode the text of a commit.

    Args:
        data: The bytes of a message or name.
        encoding: The commit's ``encoding`` header; None, for UTF-8, if it has none.

    Returns:
        The text. An unknown encoding counts as UTF-8; invalid bytes become replacement
        characters.
    """
    return data.decode(_codec(encoding) if encoding else "utf-8", "replace")


@lru_cache(maxsize=256)
def _codec(encoding: str) -> str:
    # git uses iconv, which accepts names such as x-sjis.
    for name in (encoding, encoding.lower().removeprefix("x-")):
        codec = _charset(name)
        if codec is not None:
            return codec
    return "utf-8"


def _charset(name: str) -> str | None:
    if len(name) > _MAX_NAME_CHARS or not name.isascii():
        return None
    try:
        info = codecs.lookup(name)
        b"a".decode(name, "replace")  # raises LookupError for bytes-to-bytes codecs
    except (LookupError, ValueError):
        return None
    return None if info.name.replace("_", "-") in _NO_CHARSETS else info.name
