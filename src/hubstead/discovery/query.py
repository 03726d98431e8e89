"""Queries for lists of repositories, and cursors between their pages."""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import TypeAlias

import msgspec
from sqlalchemy import Column

from hubstead.discovery.applications import tags_of_application
from hubstead.errors import InvalidInput
from hubstead.ids import Kind
from hubstead.repos.tables import repo_names, repos

MAX_LIMIT = 10_000
MAX_TERMS = 20
DEFAULT_SORT = "trendingScore"

SortValue: TypeAlias = int | float | str

#: The values of ``sort`` and their columns. The hub does not store ``likes30d``,
#: ``num_parameters`` and ``mainSize`` (the JavaScript client): the nearest column stands in.
SORTS: dict[str, Column[int] | Column[float] | Column[str]] = {
    "trendingScore": repos.c.trending,
    "lastModified": repos.c.modified_ms,
    "createdAt": repos.c.created_ms,
    "downloads": repos.c.downloads,
    "likes": repos.c.likes,
    "likes30d": repos.c.likes,
    "mainSize": repos.c.used_bytes,
    "num_parameters": repos.c.used_bytes,
    "id": repo_names.c.name_key,
    "_id": repos.c.id,
}
_OTHER_SPELLINGS = {
    "trending_score": "trendingScore",
    "trending": "trendingScore",
    "last_modified": "lastModified",
    "created_at": "createdAt",
    "likes_30d": "likes30d",
    "main_size": "mainSize",
    "modelId": "id",
    "author": "id",
}


class RepoQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The conditions and the order of a list. All conditions must hold."""

    kind: Kind
    filters: tuple[str, ...] = ()  # tags
    author: str | None = None  # a namespace, in any case
    search: tuple[str, ...] = ()  # words within owner/name, in any case; blanks separate words
    ids: tuple[str, ...] = ()  # any of these owner/name, in any case
    gated: bool | None = None
    pipeline_tag: str | None = None
    library: str | None = None
    applications: tuple[str, ...] = ()  # local ones that run the model, all of them
    models: tuple[str, ...] = ()  # spaces whose card names all of them
    datasets: tuple[str, ...] = ()
    linked: bool = False  # spaces whose card names any model or dataset
    sort: str = DEFAULT_SORT
    direction: int = -1  # 1 or -1
    limit: int = 1000
    cursor: str | None = None  # ``ResultPage.next_cursor`` of the previous page
    with_card: bool = False  # else ``ResultItem.details.card`` is None
    with_config: bool = False


def sort_name(text: str) -> str:
    """Return the name in ``SORTS`` for a sort order in a client's spelling.

    Raises:
        InvalidInput: the order is unknown; the message lists those that are known.
    """
    name = _OTHER_SPELLINGS.get(text, text)
    if name not in SORTS:
        raise InvalidInput(reason=f"sort must be one of {', '.join(SORTS)}: not {text[:80]!r}")
    return name


def tags_of(query: RepoQuery) -> tuple[str, ...]:
    """Return all tags that the query requires, in their current spelling."""
    spellings = [
        *query.filters,
        *filter(None, (query.pipeline_tag, query.library)),
        *(tag for name in query.applications for tag in tags_of_application(name)),
        *(f"model:{name}" for name in query.models),
        *(f"dataset:{name}" for name in query.datasets),
    ]
    tags = dict.fromkeys(
        _current_spelling(query.kind, tag.strip()) for tag in spellings if tag.strip()
    )
    return _limit_terms("filters", tuple(tags))


def _current_spelling(kind: Kind, tag: str) -> str:
    # Python 0.4 to 0.10 send languages:en and licenses:mit.
    for old, new in (("languages:", "language:"), ("licenses:", "license:")):
        if tag.startswith(old):
            tag = new + tag.removeprefix(old)
    return tag.removeprefix("language:") if kind is Kind.MODEL else tag


def words_of(query: RepoQuery) -> tuple[str, ...]:
    """Return the words to search for, case-folded like the names in the database."""
    words = dict.fromkeys(word for text in query.search for word in text.casefold().split())
    return _limit_terms("words to search for", tuple(words))


def _limit_terms(what: str, terms: tuple[str, ...]) -> tuple[str, ...]:
    if len(terms) > MAX_TERMS:
        raise InvalidInput(reason=f"at most {MAX_TERMS} {what} at once")
    return terms


def encode_cursor(sort: str, ascending: bool, value: SortValue, pk: int) -> str:
    """Return an opaque cursor for the page after the row with these values."""
    text = json.dumps([sort, int(ascending), value, pk], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str, sort: str, ascending: bool) -> tuple[SortValue, int]:
    """Return the sort value and the number of the last row of the previous page.

    Raises:
        InvalidInput: the cursor is malformed, or of a list in another order.
    """
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        parts = json.loads(base64.b64decode(padded, b"-_", validate=True))
        order, upwards, value, pk = parts
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise InvalidInput(reason="the cursor is not one of this server's") from None
    value_type = SORTS[sort].type.python_type
    fits = type(value) is value_type and type(pk) is int and _can_be_stored(value)
    if not fits or not _can_be_stored(pk) or order != sort or upwards != int(ascending):
        raise InvalidInput(reason="the cursor does not belong to this list")
    return value, pk


def _can_be_stored(value: SortValue) -> bool:
    if isinstance(value, str):
        return is_storable(value)
    return math.isfinite(value) and abs(value) < 2**63


def is_storable(text: str) -> bool:
    """Return whether a database can store ``text`` (UTF-8, no NUL); others match nothing."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
