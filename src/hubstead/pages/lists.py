"""The lists of models, datasets and spaces, with filters, search and sort in the address."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode
from weakref import WeakKeyDictionary

from hubstead.db import Database
from hubstead.discovery import RepoQuery, Tag, search_repos, tags_by_type
from hubstead.errors import InvalidCredentials, InvalidInput
from hubstead.http import Response
from hubstead.ids import Kind
from hubstead.pages.render import page
from hubstead.wire import Request

PAGE = 30
_CURSOR = "cursor of a page of repositories"
#: The orders of lists, with their names for people.
SORTS = {
    "trending": "Trending",
    "modified": "Recently updated",
    "created": "Newest",
    "downloads": "Most downloads",
    "likes": "Most likes",
}
_SORT_COLUMNS = {"modified": "lastModified", "created": "createdAt", "trending": "trendingScore"}
#: The facets by kind: the parameter of the address, its heading, and the type of its tags.
_FACETS = {
    Kind.MODEL: (
        ("pipeline_tag", "Task", "pipeline_tag"),
        ("library", "Library", "library"),
        ("language", "Language", "language"),
        ("license", "Licence", "license"),
    ),
    Kind.DATASET: (
        ("task_categories", "Task", "task_categories"),
        ("language", "Language", "language"),
        ("size_categories", "Size", "size_categories"),
        ("license", "Licence", "license"),
    ),
    Kind.SPACE: (("filter", "Tag", "other"),),
}
FACET_ROWS = 8
#: How long a node shows the same facets: reading them takes longer than a page may.
_FACETS_LAST_S = 60.0

_facets: WeakKeyDictionary[Database, dict[Kind, tuple[float, dict[str, list[Tag]]]]] = (
    WeakKeyDictionary()
)


@dataclass(frozen=True)
class Choice:
    """A value of a facet: a link that adds it, or removes it where it is on."""

    label: str
    href: str
    on: bool


@dataclass(frozen=True)
class Facet:
    """A heading and the values below it, the ones in use first."""

    title: str
    choices: list[Choice]
    more: str  # the address that shows all values; empty if all are shown


async def models(request: Request) -> Response:
    """Show the models that match the address."""
    return await _list(request, Kind.MODEL)


async def datasets(request: Request) -> Response:
    """Show the datasets that match the address."""
    return await _list(request, Kind.DATASET)


async def spaces(request: Request) -> Response:
    """Show the spaces that match the address."""
    return await _list(request, Kind.SPACE)


async def _list(request: Request, kind: Kind) -> Response:
    chosen = list(_chosen(request, kind))
    sort = request.query.one("sort") or "trending"
    query = RepoQuery(
        kind=kind,
        filters=tuple(_tag(kind, name, value) for name, value in chosen),
        author=request.query.one("author"),
        search=tuple(request.query.all("search")),
        sort=_SORT_COLUMNS.get(sort, sort),
        limit=PAGE,
        cursor=_cursor(request),
    )
    matches = await search_repos(request.hub.db, request.actor, query)
    following = None
    if matches.next_cursor is not None:
        # It names a row by its number, which tells how many repositories there are.
        following = request.hub.signer.conceal(matches.next_cursor, purpose=_CURSOR)
    address = _Address(request, kind, chosen)
    return page(
        request,
        "list.html",
        kind=kind,
        items=matches.items,
        facets=await _shown_facets(request, kind, address),
        active=[(_label(name, value), address.without(name, value)) for name, value in chosen],
        address=address,
        search=request.query.one("search") or "",
        sort=sort if sort in SORTS else "",
        sorts=SORTS,
        following=address.at(following) if following else None,
        is_first=query.cursor is None,
    )


class _Address:
    """Builds the addresses of the same list with one thing changed."""

    def __init__(self, request: Request, kind: Kind, chosen: list[tuple[str, str]]) -> None:
        self.path = f"/{kind.plural}"
        self.fixed = [
            (name, value)
            for name in ("search", "author", "sort")
            if (value := request.query.one(name))
        ]
        self.chosen = chosen

    def _link(self, pairs: list[tuple[str, str]]) -> str:
        return f"{self.path}?{urlencode(pairs)}" if pairs else self.path

    def first(self) -> str:
        """Return the address of the first page."""
        return self._link(self.fixed + self.chosen)

    def cleared(self) -> str:
        """Return the address without filters, author and words."""
        return self._link([pair for pair in self.fixed if pair[0] == "sort"])

    def at(self, cursor: str) -> str:
        """Return the address of the page that a cursor names."""
        return self._link([*self.fixed, *self.chosen, ("cursor", cursor)])

    def toggled(self, name: str, value: str) -> str:
        """Return the address with a filter added, or removed where it is on."""
        if (name, value) in self.chosen:
            return self.without(name, value)
        return self._link([*self.fixed, *self.chosen, (name, value)])

    def without(self, name: str, value: str) -> str:
        """Return the address without a filter."""
        return self._link(self.fixed + [pair for pair in self.chosen if pair != (name, value)])

    def with_all(self, name: str) -> str:
        """Return the address that shows all values of a facet."""
        return self._link([*self.fixed, *self.chosen, ("all", name)])


def _chosen(request: Request, kind: Kind) -> Iterator[tuple[str, str]]:
    names = dict.fromkeys([*(name for name, _, _ in _FACETS[kind]), "filter", "other"])
    for name in names:
        yield from ((name, value) for value in dict.fromkeys(request.query.all(name)))


def _tag(kind: Kind, name: str, value: str) -> str:
    """Return the tag that a parameter of the address filters by."""
    if name in ("filter", "other", "pipeline_tag", "library"):
        return value
    prefix = f"{name}:"
    is_bare = value.startswith(prefix) or (name == "language" and kind is Kind.MODEL)
    return value if is_bare else prefix + value


def _label(name: str, value: str) -> str:
    return value.removeprefix(f"{name}:")


def _cursor(request: Request) -> str | None:
    concealed = request.query.one("cursor")
    if concealed is None:
        return None
    try:
        return request.hub.signer.reveal(concealed, purpose=_CURSOR)
    except InvalidCredentials:
        raise InvalidInput(reason='"cursor" is not one that this server gave out') from None


async def _shown_facets(request: Request, kind: Kind, address: _Address) -> list[Facet]:
    tags = await _tags(request.hub.db, kind)
    every = request.query.one("all")
    facets = []
    for name, title, tag_type in _FACETS[kind]:
        known = [(tag.id.removeprefix(f"{tag_type}:"), tag.label) for tag in tags.get(tag_type, ())]
        on = [value for chosen, value in address.chosen if chosen == name]
        values = [
            *((v, _label(name, v)) for v in on),
            *(pair for pair in known if pair[0] not in on),
        ]
        shown = values if every == name else values[:FACET_ROWS]
        choices = [Choice(label, address.toggled(name, v), v in on) for v, label in shown]
        if choices:
            more = address.with_all(name) if len(shown) < len(values) else ""
            facets.append(Facet(title, choices, more))
    return facets


async def _tags(db: Database, kind: Kind) -> dict[str, list[Tag]]:
    """Return the tags of public repositories by type; read anew after a minute."""
    read = _facets.setdefault(db, {})
    until, tags = read.get(kind, (0.0, {}))
    if until < time.monotonic():
        tags = await tags_by_type(db, kind)
        read[kind] = (time.monotonic() + _FACETS_LAST_S, tags)
    return tags
