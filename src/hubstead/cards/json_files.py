"""``config.json`` and its like, written by anybody."""

from __future__ import annotations

import json
import math
from typing import Any

#: Longest file that is read, in bytes.
MAX_CONFIG_BYTES = 1024 * 1024


def read_config(text: str | bytes) -> dict[str, Any] | None:
    """Return the object in ``text``, None when it holds none that we can use.

    Python writes NaN and Infinity into such files, which JSON does not know: they become null.
    """
    if len(text) > MAX_CONFIG_BYTES:
        return None
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    try:
        found = json.loads(text, parse_constant=lambda _name: None, parse_int=_number)
        # A lone surrogate ("\ud800") cannot be written again as UTF-8.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _number(digits: str) -> int | float | None:
    if len(digits) < 19:
        return int(digits)
    value = float(digits)  # what other readers of JSON make of it
    return value if math.isfinite(value) else None
