"""Parses ``config.json`` and similar files, which are untrusted."""

from __future__ import annotations

import json
import math
from typing import Any

#: Longest file that is parsed, in bytes.
MAX_CONFIG_BYTES = 1024 * 1024


def read_config(text: str | bytes) -> dict[str, Any] | None:
    """Return the JSON object in ``text``; None if it is too long or not a JSON object.

    Python writes NaN and Infinity into such files; JSON has neither, so they become null.
    """
    if len(text) > MAX_CONFIG_BYTES:
        return None
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    try:
        value = json.loads(text, parse_constant=lambda _name: None, parse_int=_number)
        # A lone surrogate ("\ud800") cannot be encoded as UTF-8.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _number(digits: str) -> int | float | None:
    if len(digits) < 19:
        return int(digits)
    value = float(digits)  # as other JSON parsers read it
    return value if math.isfinite(value) else None
