"""The segment router: routes as a table, matched on the undecoded path.

The Hub's grammar needs undecoded segments (``refs%2Fpr%2F1`` is one), ids of one and two
segments, and paths of any depth at the end: see docs/decisions/0002-http-server.md. A pattern
consists of literal segments and

``{name}``      one segment, percent-decoded
``{name+}``     the rest, one segment or more, as a list of decoded segments
``{name*}``     the rest, maybe empty
``{kinds}``     ``models``, ``datasets``, ``spaces``, ``kernels``
``{any_kind}``  the same and their singulars
``{spaces}``    ``spaces`` alone
``{buckets}``   ``buckets`` alone
``{prefix}``    the same before web addresses, where models have none
``{repo}``      ``namespace/name``, or a legacy one-segment name

One segment that decodes to exactly ``namespace/name`` is both, wherever a pattern has them
(protocol/hub-api.md 2.1).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias
from urllib.parse import quote, unquote, unquote_to_bytes

from starlette.types import ASGIApp

from hubstead.errors import InvalidInput
from hubstead.ids import GIT_KINDS, RESERVED_NAMES, Kind
from hubstead.repos import Right

KINDS = {kind.plural: kind for kind in GIT_KINDS}
PREFIXES: dict[str, Kind] = {
    plural: kind for plural, kind in KINDS.items() if kind is not Kind.MODEL
}
ANY_KIND = {**KINDS, **{kind.value: kind for kind in GIT_KINDS}}
_KIND_CAPTURES: dict[str, dict[str, Kind]] = {
    "kinds": KINDS,
    "prefix": PREFIXES,
    "any_kind": ANY_KIND,
    "spaces": {"spaces": Kind.SPACE},
    "buckets": {"buckets": Kind.BUCKET},
}


class Access(Enum):
    """Who may call a route that is not about one repository."""

    OPEN = "open"  # credentials are ignored: the URL itself authorises
    ANYONE = "anyone"  # but credentials that are sent must be valid
    SIGNED_IN = "signed in"


@dataclass(frozen=True)
class Doc:
    """A route's part of the OpenAPI document."""

    query: str = ""  # names of parameters, with blanks between
    body: type | None = None
    answer: Any = None
    media_type: str = "application/json"


@dataclass(frozen=True)
class Route:
    """One route of the server.

    ``access`` is the right to the repository of the path, or the callers allowed if the path
    names no repository. No handler repeats this check.
    """

    method: str
    pattern: str
    handler: Callable[[Any], Awaitable[ASGIApp]]
    access: Access | Right
    wire: str = "hub_api"  # which wire's error responses apply
    doc: Doc = Doc()
    #: The address ends with the path of a file, which a slash at its end makes another.
    names_file: bool = False
    #: Changes something of the caller's own beside the repository, as a like does: whoever has the
    #: right may, with a token that may write.
    own_change: bool = False
    signs_in: bool = False  # a foreign page must not sign its visitor in
    only_reads: bool = False  # whatever its method: a read-only hub serves it

    @property
    def name(self) -> str:
        """A short name for logs and metrics."""
        return f"{self.method} {self.pattern}"

    @property
    def writes(self) -> bool:
        """Whether a read-only hub refuses it; some handlers refuse some requests themselves."""
        return self.method not in ("GET", "HEAD") and not self.only_reads

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (self.handler.__doc__ or "").strip().partition("\n")[0]


Captured: TypeAlias = dict[str, Any]


@dataclass
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    kinds: dict[str, tuple[dict[str, Kind], _Node]] = field(default_factory=dict)
    segments: dict[str, _Node] = field(default_factory=dict)
    rests: dict[str, dict[str, Route]] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """The routes of a path, by method, and the values captured from the path."""

    routes: dict[str, Route]
    captured: Captured


class Router:
    """Finds the routes of a path. Literal segments win over captured ones, longer ids first."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._root = _Node()
        for route in self.routes:
            for segments in _variants(route.pattern.strip("/").split("/")):
                self._add(route, segments)

    def _add(self, route: Route, segments: Sequence[str]) -> None:
        node = self._root
        for segment in segments:
            name = segment[1:-1]
            if not segment.startswith("{"):
                node = node.literals.setdefault(segment, _Node())
            elif name[-1] in "+*":
                _put(node.rests.setdefault(name, {}), route)
                if name[-1] == "*":
                    _put(node.routes, route)
                return
            elif name in _KIND_CAPTURES:
                node = node.kinds.setdefault(name, (_KIND_CAPTURES[name], _Node()))[1]
            else:
                node = node.segments.setdefault(name, _Node())
        _put(node.routes, route)

    def match(self, raw_path: str, method: str | None = None) -> Match | None:
        """Return the routes of ``raw_path`` (undecoded, without the query), or None.

        Slashes at its end mean nothing, except behind the path of a file.

        ``/api/models/gpt2/like`` also matches a repository ``gpt2/like``: with ``method``, only
        matches that have a route for it count.

        Raises:
            InvalidInput: a captured segment is not valid percent-encoded UTF-8.
        """
        segments = raw_path.split("/")[1:]
        count = len(segments)
        while segments and not segments[-1]:
            segments.pop()
        ends_with_slash = len(segments) < count
        while segments and not segments[0]:
            del segments[0]  # legacy clients put a second slash after an endpoint ending in /
        wanted = {method, "GET"} if method == "HEAD" else {method} if method else None
        match = _find(self._root, segments, 0, {}, wanted)
        return _with_slash(match) if match and ends_with_slash else match


def _with_slash(match: Match) -> Match:
    """Return ``match`` with the empty segment behind its last slash, if that means something."""
    if not any(route.names_file for route in match.routes.values()):
        return match
    rests = {name: [*rest, ""] for name, rest in match.captured.items() if isinstance(rest, list)}
    return Match(match.routes, match.captured | rests)


def _put(routes: dict[str, Route], route: Route) -> None:
    if route.method in routes and routes[route.method] is not route:
        raise ValueError(f"{route.name} clashes with {routes[route.method].name}")
    routes[route.method] = route


def _variants(segments: list[str]) -> list[list[str]]:
    """Expand ``{prefix}`` and ``{repo}``, which match different numbers of segments."""
    variants: list[list[str]] = [[]]
    for segment in segments:
        choices: list[list[str]] = [[segment]] if segment else [[]]
        if segment == "{prefix}":
            choices = [[], ["{prefix}"]]
        elif segment == "{repo}":
            choices = [["{namespace}", "{name}"], ["{name}"]]
        variants = [before + choice for before in variants for choice in choices]
    return variants


def _find(
    node: _Node, segments: list[str], at: int, captured: Captured, wanted: set[str] | None
) -> Match | None:
    if at == len(segments):
        return Match(node.routes, captured) if _serves(node.routes, wanted) else None
    segment = segments[at]
    below = node.literals.get(segment)
    if below is not None:
        match = _find(below, segments, at + 1, captured, wanted)
        if match is not None:
            return match
    for values, below in node.kinds.values():
        if segment in values:
            match = _find(below, segments, at + 1, captured | {"kind": values[segment]}, wanted)
            if match is not None:
                return match
    # No account has a reserved name, so /api/foo is not the page of a repository.
    may_capture = segment and not (at == 0 and segment.casefold() in RESERVED_NAMES)
    for values, below in _captures(node, segment) if may_capture else ():
        match = _find(below, segments, at + 1, captured | values, wanted)
        if match is not None:
            return match
    for name, routes in node.rests.items():
        if _serves(routes, wanted):
            rest = [_decoded(segment) for segment in segments[at:]]
            return Match(routes, captured | {name[:-1]: rest})
    return None


def _captures(node: _Node, segment: str) -> Iterator[tuple[Captured, _Node]]:
    """Yield the captures that ``segment`` may be, with the node behind each.

    An encoded id is captured as namespace and name, and neither of them holds a whole id.
    """
    text = _decoded(segment)
    namespace, _, name = text.partition("/")
    is_id = bool(namespace and name) and "/" not in name
    owners = node.segments.get("namespace")
    if is_id and owners is not None and "name" in owners.segments:
        yield {"namespace": namespace, "name": name}, owners.segments["name"]
    for capture, below in node.segments.items():
        if not (is_id and capture in ("namespace", "name")):
            yield {capture: text}, below


def _serves(routes: dict[str, Route], wanted: set[str] | None) -> bool:
    return bool(routes) if wanted is None else not wanted.isdisjoint(routes)


def encoded_path(path: str) -> str:
    """Percent-encode all but slashes and the unreserved characters of RFC 3986 2.3.

    ``path`` is as the client sent it, maybe encoded in parts; its segments mean the same after.
    """
    segments = (unquote_to_bytes(segment.encode("latin-1")) for segment in path.split("/"))
    return "/".join(quote(segment, safe="") for segment in segments)


def _decoded(segment: str) -> str:
    """Percent-decode a segment to text that databases accept (valid UTF-8, no NUL)."""
    try:
        text = unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise InvalidInput(reason="the address must be UTF-8 (percent-encoded)") from None
    if "\0" in text:
        raise InvalidInput(reason="the address must not hold a NUL (%00)")
    return text
