"""Errors of the room."""

from __future__ import annotations

from hubstead.errors import Forbidden, HubError, NotFound


class DiscussionNotFound(NotFound):
    """There is no discussion or comment {reason} in this repository."""


class DiscussionsDisabled(Forbidden):
    """{reason}"""

    reason: str = "Discussions are disabled for this repository"


class DiscussionLocked(Forbidden):
    """{reason}"""

    reason: str = "This discussion is locked: only those who may write may comment on it"


class StatusConflict(HubError):
    """{reason}"""

    reason: str


class MergeConflict(StatusConflict):
    """{reason}"""

    paths: tuple[str, ...]  # the files in conflict
