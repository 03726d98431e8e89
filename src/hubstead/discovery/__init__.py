"""Finding repositories: lists, filters, search, tags."""

from hubstead.discovery.counting import count_by_owner
from hubstead.discovery.finding import Item, Page, find, find_all
from hubstead.discovery.query import MAX_LIMIT, SORTS, Query
from hubstead.discovery.tags import Tag, tags_by_type

__all__ = [
    "MAX_LIMIT",
    "SORTS",
    "Item",
    "Page",
    "Query",
    "Tag",
    "count_by_owner",
    "find",
    "find_all",
    "tags_by_type",
]
