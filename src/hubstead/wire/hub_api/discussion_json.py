"""Discussions, their events and authors as clients read them (protocol/hub-api.md 4.1)."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from hubstead.discussions import (
    CommentVersion,
    DiscussionRow,
    DiscussionThread,
    EventRow,
)
from hubstead.wire import Request
from hubstead.wire.hub_api.shapes import iso

HIDDEN = "This comment has been hidden"
_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")


def discussion_json(request: Request, row: DiscussionRow) -> dict[str, Any]:
    """Return an item of a list."""
    repo = request.repo
    item: dict[str, Any] = {
        "_id": row.id,
        "num": row.num,
        "title": row.title,
        "status": row.status,
        "createdAt": iso(row.created_ms),
        "isPullRequest": bool(row.is_pull),
        "repo": {"name": repo.full_name, "type": repo.kind.value},
        "repoOwner": {"name": repo.owner, "type": repo.owner_kind},
        "numComments": row.comments,
        "pinned": bool(row.pinned),
        "locked": bool(row.locked),
        "topReactions": [],
        "numReactionUsers": 0,
    }
    return item | _author(request, row.author_id, row.author_name, row.author_fullname)


def thread_json(request: Request, thread: DiscussionThread) -> dict[str, Any]:
    """Return a discussion with its events."""
    events = [event_json(request, event, thread.versions) for event in thread.events]
    return discussion_json(request, thread.discussion) | {"events": events}


def pull_facts(row: DiscussionRow) -> dict[str, Any]:
    """Return the base of a pull request and, after its merge, the tip that the merge made."""
    merged = {"mergeCommitId": row.merge_commit} if row.merge_commit else {}
    return {"base": row.base, **merged}


def event_json(
    request: Request, event: EventRow, versions: Mapping[int, list[CommentVersion]]
) -> dict[str, Any]:
    """Return an event; ``versions`` has the past versions of comments."""
    if event.type == "comment":
        data = _comment(request, event, versions.get(event.pk, []))
    else:
        data = event.facts
    shown: dict[str, Any] = {
        "id": event.id,
        "type": event.type,
        "createdAt": iso(event.created_ms),
        "data": data,
    }
    return shown | _author(request, event.author_id, event.author_name, event.author_fullname)


def _comment(request: Request, event: EventRow, versions: list[CommentVersion]) -> dict[str, Any]:
    raw = HIDDEN if event.hidden or event.body is None else event.body
    writer = (event.author_id, event.author_name, event.author_fullname)
    editor = (event.editor_id, event.editor_name, event.editor_fullname)
    latest = {
        "raw": raw,
        "html": comment_html(raw),
        "updatedAt": iso(event.edited_ms or event.created_ms),
        **_author(request, *(editor if event.edited_ms else writer)),
    }
    editors = [name for name in dict.fromkeys((event.author_name, event.editor_name)) if name]
    comment: dict[str, Any] = {
        "edited": bool(event.edits) and not event.hidden,
        "hidden": bool(event.hidden),
        "latest": latest,
        "history": [_version(version) for version in versions],
        "numEdits": event.edits,
        "editors": editors,
        "editorAvatarUrls": [f"{request.public_url}/favicon.ico" for _ in editors],
        "reactions": [],
    }
    return comment | ({"hiddenBy": event.editor_name} if event.hidden else {})


def _version(version: CommentVersion) -> dict[str, Any]:
    author = {"author": {"name": version.author_name}} if version.author_name else {}
    return {
        "raw": version.body,
        "html": comment_html(version.body),
        "updatedAt": iso(version.written_ms),
        **author,
    }


def _author(
    request: Request, account_id: str | None, name: str | None, fullname: str | None
) -> dict[str, Any]:
    """Return the field ``author``, which is absent if the account is gone: null breaks clients."""
    if name is None:
        return {}
    return {
        "author": {
            "_id": account_id,
            "type": "user",
            "name": name,
            "fullname": fullname or name,
            "avatarUrl": f"{request.public_url}/favicon.ico",
            "isPro": False,
            "isHf": False,
        }
    }


def comment_html(raw: str) -> str:
    """Return a comment as HTML: its text, escaped, in paragraphs. Nothing in it is markup."""
    paragraphs = _BLANK_LINES.split(raw.replace("\r\n", "\n").strip())
    return "".join(f"<p>{html.escape(text).replace(chr(10), '<br>')}</p>" for text in paragraphs)
