"""The rules of object names."""

from __future__ import annotations

import unicodedata

#: Bytes of the longest name, as with other object stores.
MAX_NAME_BYTES = 1024


def name_fault(name: str) -> str | None:
    """Return the rule that the name of an object breaks, or None.

    A name is a path whose parts are files and folders after a download: no part is empty, ``.`` or
    ``..``. A backslash is a character.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "the path must be valid UTF-8"
    if size > MAX_NAME_BYTES:
        return f"the path must not be longer than {MAX_NAME_BYTES} bytes"
    if any(unicodedata.category(char) == "Cc" for char in name):
        return "the path must not hold control characters"
    if any(part in ("", ".", "..") for part in name.split("/")) or name.startswith("..\\"):
        return "no part of the path may be empty, '.' or '..'"
    return None


def folders_of(name: str) -> list[str]:
    """Return the folders above an object: of ``a/b/c`` ``a`` and ``a/b``."""
    parts = name.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]
