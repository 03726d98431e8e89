"""Errors of the room."""

from __future__ import annotations

from hubstead.errors import HubError, NotFound


class CollectionNotFound(NotFound):
    """{reason}"""

    reason: str = "Collection not found"


class CollectionExists(HubError):
    """You already have a collection with this title: {slug}"""

    slug: str


class ItemExists(HubError):
    """The item is already in the collection {slug}"""

    slug: str
