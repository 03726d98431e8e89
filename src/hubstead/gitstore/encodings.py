"""Text of commits in the encoding that their header declares (git-commit-tree, i18n)."""

from __future__ import annotations

import codecs
from functools import lru_cache

#: Codecs of Python that are text, but no charset: escapes, host names, those of one machine.
_NO_CHARSETS = frozenset(
    ("unicode-escape", "raw-unicode-escape", "idna", "punycode", "undefined", "mbcs", "oem")
)
_LONGEST_NAME = 40


def decode(data: bytes, encoding: str | None) -> str:
    """Return text as its encoding has it.

    Args:
        data: The bytes of a message or name.
        encoding: What the commit's ``encoding`` header says, None without one: UTF-8.

    Returns:
        The text. An encoding that nobody knows is taken for UTF-8; bytes that are none of the
        encoding become replacement characters.
    """
    return data.decode(_codec(encoding) if encoding else "utf-8", "replace")


@lru_cache(maxsize=256)
def _codec(encoding: str) -> str:
    # iconv, which git asks, has names such as x-sjis.
    for name in (encoding, encoding.lower().removeprefix("x-")):
        found = _found(name)
        if found is not None:
            return found
    return "utf-8"


def _found(name: str) -> str | None:
    if len(name) > _LONGEST_NAME or not name.isascii():
        return None
    try:
        info = codecs.lookup(name)
        b"a".decode(name, "replace")  # codecs that make bytes of bytes are refused here
    except (LookupError, ValueError):
        return None
    return None if info.name.replace("_", "-") in _NO_CHARSETS else info.name
