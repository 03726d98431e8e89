"""Parses YAML into JSON values, within bounds that hold for any text.

The document is built from libyaml's events in one pass, so that nesting, size and what aliases
expand to are known *before* anything large exists. Scalars have the meaning that
PyYAML's ``SafeLoader`` (YAML 1.1) gives them, without what authors do not intend: a plain ``no``
is Norwegian and no boolean, ``1:30`` is no number in base 60, a date that does not exist is a text.
"""

from __future__ import annotations

import base64
import datetime
import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import yaml
from yaml.constructor import ConstructorError, SafeConstructor
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.nodes import ScalarNode
from yaml.resolver import Resolver

from hubstead.errors import InvalidCard

#: A value that ``json`` can encode.
Json: TypeAlias = Any

MAX_DEPTH = 64
MAX_VALUES = 200_000
#: Most weight of a document with its aliases expanded: 16 per value and 1 per character.
MAX_WEIGHT = 8 * 1024 * 1024
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TAG = "tag:yaml.org,2002:"
_SCALARS = {
    f"{_TAG}{name}": getattr(SafeConstructor, f"construct_yaml_{name}")
    for name in ("null", "bool", "int", "float", "timestamp", "binary")
}
_COLLECTIONS = {None, "!", *(f"{_TAG}{name}" for name in ("map", "seq", "set", "omap", "pairs"))}
_STRING = f"{_TAG}str"
# Numbers in base 60 ("1:2:3…") cost the square of their length: longer than this is a text.
_MAX_NUMBER_CHARS = 64
_INT64 = 2**63


def read_yaml(text: str, *, first_line: int = 1) -> Json:
    """Return the only document of ``text``, None if it has none.

    Dates become ISO 8601 strings, keys become strings, binary becomes base64, NaN and infinity
    become null; an integer beyond 64 bits becomes a float.

    Args:
        text: YAML.
        first_line: The number of its first line in error messages.

    Raises:
        InvalidCard: the text is not YAML, has an unknown tag, or exceeds a bound of this module.
    """
    try:
        return _Builder(text, first_line).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" (line {mark.line + first_line})" if mark else ""
        raise InvalidCard(reason=f"{error.problem or error.context}{line}") from error
    except yaml.YAMLError as error:
        raise InvalidCard(reason=" ".join(str(error).split())) from error


class _Builder:
    def __init__(self, text: str, first_line: int) -> None:
        # A UTF-8 stream may not hold a lone surrogate; PyYAML would raise UnicodeEncodeError.
        self._events: Iterator[Any] = yaml.parse(
            text.encode("utf-8", "replace").decode(), Loader=_LOADER
        )
        self._first_line = first_line
        self._anchors: dict[str, tuple[Json, int]] = {}
        self._values = 0
        self._weight = 0

    def document(self) -> Json:
        next(self._events)  # the stream's start
        if isinstance(next(self._events), StreamEndEvent):
            return None
        value = self._value(next(self._events), 0)
        end = next(self._events)
        assert isinstance(end, DocumentEndEvent)
        after = next(self._events)
        if isinstance(after, DocumentStartEvent):
            raise self._fault("there must be one YAML document only", after)
        return value

    def _fault(self, reason: str, event: Any) -> InvalidCard:
        mark = getattr(event, "start_mark", None)
        line = f" (line {mark.line + self._first_line})" if mark else ""
        return InvalidCard(reason=f"{reason}{line}")

    def _count(self, weight: int, event: Any) -> None:
        self._values += 1
        self._weight += weight
        if self._values > MAX_VALUES or self._weight > MAX_WEIGHT:
            raise self._fault("it holds too many values", event)

    def _value(self, event: Any, depth: int) -> Json:
        if isinstance(event, AliasEvent):
            return self._alias(event)
        if depth > MAX_DEPTH:
            raise self._fault("it is nested too deeply", event)
        before = self._weight
        if isinstance(event, ScalarEvent):
            value = self._scalar(event)
        else:
            value = self._collection(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._weight - before)
        return value

    def _alias(self, event: Any) -> Json:
        try:
            value, weight = self._anchors[event.anchor]
        except KeyError:
            raise self._fault(f"unidentified alias {event.anchor!r}", event) from None
        self._count(weight, event)
        return value

    def _collection(self, event: Any, depth: int) -> Json:
        self._count(16, event)
        if event.tag not in _COLLECTIONS:
            raise self._fault(f"unknown tag !<{event.tag}>", event)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(depth)
        return self._mapping(depth)

    def _sequence(self, depth: int) -> list[Json]:
        items: list[Json] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            items.append(self._value(event, depth + 1))
        return items

    def _mapping(self, depth: int) -> dict[str, Json]:
        mapping: dict[str, Json] = {}
        merged: list[Json] = []
        while not isinstance(event := next(self._events), MappingEndEvent):
            if isinstance(event, ScalarEvent) and event.value == "<<" and event.implicit[0]:
                merged.append(self._value(next(self._events), depth + 1))
                continue
            key = _as_key(self._value(event, depth + 1))
            if key in mapping:
                raise self._fault(f"duplicated mapping key {key!r}", event)
            mapping[key] = self._value(next(self._events), depth + 1)
        for other in merged:
            self._merge(mapping, other, event)
        return mapping

    def _merge(self, mapping: dict[str, Json], other: Json, event: Any) -> None:
        for source in other if isinstance(other, list) else [other]:
            if not isinstance(source, dict):
                raise self._fault("'<<' takes a mapping or a list of mappings", event)
            for key, value in source.items():
                mapping.setdefault(key, value)

    def _scalar(self, event: Any) -> Json:
        text: str = event.value
        self._count(16 + len(text), event)
        tag = event.tag
        if tag is None or tag == "!":
            tag = _RESOLVER.resolve(ScalarNode, text, event.implicit)  # type: ignore[no-untyped-call]
            if _is_of_yaml_1_1_alone(tag, text):
                return text
        if tag == _STRING:
            return text
        if tag in (f"{_TAG}int", f"{_TAG}float") and len(text) > _MAX_NUMBER_CHARS:
            return text
        construct = _SCALARS.get(tag)
        if construct is None:
            # A bare '=' or '<<' resolves to a tag of YAML 1.1 that no author intends.
            if event.tag is None:
                return text
            raise self._fault(f"unknown tag !<{tag}>", event)
        node = ScalarNode(tag, text)
        try:
            return _as_json(construct(_CONSTRUCTOR, node))
        except (ValueError, KeyError, IndexError, OverflowError, AttributeError) as error:
            if event.tag is None:  # 2020-13-45 only looks like a date
                return text
            raise self._fault(f"{text[:80]!r} is not a {tag.removeprefix(_TAG)}", event) from error
        except ConstructorError as error:
            raise self._fault(str(error.problem), event) from error


def _is_of_yaml_1_1_alone(tag: str, text: str) -> bool:
    """Tell whether YAML 1.2, which the public Hub reads, has a plain ``text`` for a string."""
    if tag == f"{_TAG}bool":
        return text.lower() not in ("true", "false")
    return tag in (f"{_TAG}int", f"{_TAG}float") and ":" in text


_RESOLVER = Resolver()
_CONSTRUCTOR = SafeConstructor()


def _as_json(value: object) -> Json:
    if isinstance(value, datetime.date):  # and datetime
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        return float(value)
    return value


def _as_key(value: Json) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    # JSON has no other keys.
    return str(value)[:1000]
