"""Discussions and pull requests: numbers, comments, status, and who may change which.

Owns the tables of ``discussions/tables.py``. Never moves a ref (``commits`` does), decides no right
to a repository (``repos`` does) and knows no HTTP.
"""

from hubstead.discussions.changes import (
    change_status,
    change_title,
    delete_discussion,
    set_locked,
    set_pinned,
)
from hubstead.discussions.comments import CommentPlace, add_comment, edit_comment, hide_comment
from hubstead.discussions.creation import open_discussion, require_enabled
from hubstead.discussions.discussion import (
    CommentVersion,
    DiscussionRow,
    DiscussionThread,
    EventRow,
    find_discussion,
    load_thread,
    versions_of,
)
from hubstead.discussions.errors import (
    DiscussionLocked,
    DiscussionNotFound,
    DiscussionsDisabled,
    MergeConflict,
    StatusConflict,
)
from hubstead.discussions.events import DiscussionChanged
from hubstead.discussions.lists import DiscussionPage, DiscussionQuery, list_discussions
from hubstead.discussions.merges import find_conflicts, merge_pull_request
from hubstead.discussions.pull_requests import (
    PullRequestRefs,
    commit_to_new_request,
    number_of,
    open_pull_request,
)

__all__ = [
    "CommentPlace",
    "CommentVersion",
    "DiscussionChanged",
    "DiscussionLocked",
    "DiscussionNotFound",
    "DiscussionPage",
    "DiscussionQuery",
    "DiscussionRow",
    "DiscussionThread",
    "DiscussionsDisabled",
    "EventRow",
    "MergeConflict",
    "PullRequestRefs",
    "StatusConflict",
    "add_comment",
    "change_status",
    "change_title",
    "commit_to_new_request",
    "delete_discussion",
    "edit_comment",
    "find_conflicts",
    "find_discussion",
    "hide_comment",
    "list_discussions",
    "load_thread",
    "merge_pull_request",
    "number_of",
    "open_discussion",
    "open_pull_request",
    "require_enabled",
    "set_locked",
    "set_pinned",
    "versions_of",
]
