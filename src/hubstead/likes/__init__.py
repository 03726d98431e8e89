"""Likes: which user likes which repository, and the count that repositories show.

Owns the table of ``likes/tables.py``, and with each of its rows changes the count of the
repository by ``repos.count_like``. Decides no rights (``repos/access.py`` does); knows no HTTP.
"""

from hubstead.likes.likes import (
    LikeCount,
    LikedRepo,
    Liker,
    Position,
    count_liked_repos,
    like_repo,
    list_liked_repos,
    list_likers,
    release_likes,
    unlike_repo,
    wrong_like_counts,
)

__all__ = [
    "LikeCount",
    "LikedRepo",
    "Liker",
    "Position",
    "count_liked_repos",
    "like_repo",
    "list_liked_repos",
    "list_likers",
    "release_likes",
    "unlike_repo",
    "wrong_like_counts",
]
