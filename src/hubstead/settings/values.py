"""Values of settings: from raw input to the declared type, and back to text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args, get_origin
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from hubstead.settings.base_url import parse_base_url
from hubstead.settings.model import HIDDEN, Option

_KIB = 1024
_SIZES = {"": 1, "b": 1} | {
    unit: base**power
    for power, letter in enumerate("kmgt", start=1)
    for unit, base in ((letter, _KIB), (f"{letter}ib", _KIB), (f"{letter}b", 1000))
}
_SPANS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*")


def parse_bytes(text: str) -> int:
    """Read ``10MiB``, ``500 GB``, ``64k`` (1024 each, as ``MiB``) or a plain number of bytes.

    Raises:
        ValueError: with the reason.
    """
    return int(_amount(text, _SIZES, "a size: write a number of bytes, or like 10MiB or 500GB"))


def parse_seconds(text: str) -> float:
    """Read ``90``, ``0.5``, ``90s``, ``15m``, ``12h`` or ``7d``.

    Raises:
        ValueError: with the reason.
    """
    return _amount(text, _SPANS, "a span of time: write seconds, or like 90s, 15m, 12h, 7d")


def format_bytes(count: int) -> str:
    """Write a size as ``parse_bytes`` reads it, exactly: ``10MiB``, ``500GB``, ``1025``."""
    units = {unit: _SIZES[unit.lower()] for unit in ("KiB", "MiB", "GiB", "TiB", "MB", "GB", "TB")}
    forms = [f"{count // size}{unit}" for unit, size in units.items() if count and not count % size]
    return min([str(count), *forms], key=len)


def _amount(text: str, units: Mapping[str, int], expected: str) -> float:
    match = _AMOUNT.fullmatch(text)
    if not match or match[2].lower() not in units:
        raise ValueError(f"{text!r} is not {expected}")
    number = float(match[1]) if "." in match[1] else int(match[1])
    return number * units[match[2].lower()]


def parse_value(raw: object, option: Option, base_dir: Path) -> object:
    """Convert a raw value to the setting's type, strictly: a number never counts as text.

    Args:
        base_dir: The folder that a relative path starts at.

    Raises:
        ValueError: with the reason.
    """
    if option.type is Path:
        return (base_dir / (raw if isinstance(raw, Path) else _text(raw))).resolve()
    if get_origin(option.type) is tuple:
        return _texts(raw)
    if get_origin(option.type) is Literal:
        return _choice(raw, get_args(option.type))
    if option.name == "public_url":
        return parse_base_url(_text(raw))
    parsers = {bool: _boolean, int: _whole_number, float: _seconds, str: _text}
    parse = _size if _is_size(option) else parsers[option.type]
    return _large_enough(parse(raw), option)


def _is_size(option: Option) -> bool:
    """Tell whether the setting counts bytes and may be written as ``10MiB``."""
    return option.type is int and option.name.endswith(("_bytes", "_bytes_per_s"))


def _boolean(raw: object) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True}
    words |= {"false": False, "no": False, "off": False, "0": False}
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.lower() in words:
        return words[raw.lower()]
    raise ValueError(f"{raw!r} is neither true nor false")


def _whole_number(raw: object) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and re.fullmatch(r"\s*-?[0-9_]+\s*", raw):
        return int(raw)
    raise ValueError(f"{raw!r} is not a whole number")


def _size(raw: object) -> int:
    return parse_bytes(raw) if isinstance(raw, str) else _whole_number(raw)


def _seconds(raw: object) -> float:
    if isinstance(raw, str):
        return parse_seconds(raw)
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return raw
    raise ValueError(f"{raw!r} is not a number of seconds")


def _text(raw: object) -> str:
    if isinstance(raw, str):
        return raw
    raise ValueError(f"{raw!r} is not text: put it in quotes")


def _texts(raw: object) -> tuple[str, ...]:
    if isinstance(raw, str):
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    if isinstance(raw, list | tuple):
        return tuple(map(_text, raw))
    raise ValueError(f'{raw!r} is not a list like ["a", "b"]')


def _choice(raw: object, choices: tuple[str, ...]) -> str:
    if raw in choices:
        return _text(raw)
    raise ValueError(f"{raw!r} is none of {', '.join(choices)}")


def _large_enough(value: object, option: Option) -> object:
    if option.least is not None and isinstance(value, int | float) and value < option.least:
        raise ValueError(f"{value} is too small: at least {option.least}")
    return value


def format_value(value: object, option: Option) -> str:
    """Format a value for a settings file or variable; hide its secrets."""
    if option.secret:
        return _without_secrets(str(value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, int) and _is_size(option):
        return format_bytes(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _without_secrets(text: str) -> str:
    """Hide a secret; in a URL, hide the password and the values of its query."""
    parts = urlsplit(text)
    if not parts.scheme or not parts.netloc:
        return HIDDEN if text else ""
    user, at, host = parts.netloc.rpartition("@")
    user = f"{user.partition(':')[0]}:{HIDDEN}" if ":" in user else user
    query = urlencode([(key, HIDDEN) for key, _ in parse_qsl(parts.query)], safe="*")
    return urlunsplit((parts.scheme, f"{user}{at}{host}", parts.path, query, ""))
