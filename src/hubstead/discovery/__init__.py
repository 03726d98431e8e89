"""Search over repositories: lists, filters, words, sort orders, tags, counts.

Owns no table: reads those of ``repos`` and ``accounts``, and never writes. Every list is limited
by ``repos.visible_repos``, and no rights are decided here.
"""

from hubstead.discovery.counts import count_by_owner
from hubstead.discovery.query import MAX_LIMIT, SORTS, RepoQuery
from hubstead.discovery.search import ResultItem, ResultPage, search_all_repos, search_repos
from hubstead.discovery.tags import Tag, tags_by_type

__all__ = [
    "MAX_LIMIT",
    "SORTS",
    "RepoQuery",
    "ResultItem",
    "ResultPage",
    "Tag",
    "count_by_owner",
    "search_all_repos",
    "search_repos",
    "tags_by_type",
]
