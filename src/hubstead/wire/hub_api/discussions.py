"""Discussions over HTTP: lists, comments, titles, status, pins and locks."""

from __future__ import annotations

from hubstead import discussions
from hubstead.discussions import CommentPlace, DiscussionNotFound, DiscussionQuery, EventRow
from hubstead.http import Response, json_response
from hubstead.wire import Request
from hubstead.wire.hub_api import shapes
from hubstead.wire.hub_api.discussion_json import (
    discussion_json,
    event_json,
    thread_json,
)
from hubstead.wire.hub_api.pull_requests import pull_request_json

#: No list has more pages than a repository can have discussions.
_MAX_PAGE = 1 << 26


async def list_discussions(request: Request) -> Response:
    """List a page of the repository's discussions and pull requests, newest first."""
    await discussions.require_enabled(request.hub.db, request.repo)
    query = request.query
    page = await discussions.list_discussions(
        request.hub.db,
        request.repo.pk,
        DiscussionQuery(
            type=query.one("type") or "all",
            status=query.one("status") or "all",
            author=query.one("author"),
            search=query.one("search"),
            sort=query.one("sort") or "recently-created",
            page=query.number("p", 0, most=_MAX_PAGE),
        ),
    )
    items = [discussion_json(request, row) for row in page.items]
    return json_response(
        {
            "discussions": items,
            "count": page.count,
            "start": page.start,
            "numClosedDiscussions": page.closed,
        }
    )


async def open_discussion(request: Request) -> Response:
    """Open a discussion, or a draft of a pull request."""
    body = await request.json(shapes.OpenDiscussion)
    texts = (body.title, body.description)
    if body.pullRequest:
        row = await discussions.open_pull_request(
            request.hub.stores, request.actor, request.repo, *texts
        )
    else:
        row = await discussions.open_discussion(request.hub.db, request.actor, request.repo, *texts)
    url = f"{request.public_url}/{request.repo.repo_id.web_path}/discussions/{row.num}"
    opened = {"num": row.num, "url": url, "pullRequest": bool(row.is_pull)}
    return json_response(opened | ({"references": {"base": row.base}} if row.is_pull else {}))


async def get_discussion(request: Request) -> Response:
    """Return a discussion or pull request with its events."""
    await discussions.require_enabled(request.hub.db, request.repo)
    thread = await discussions.load_thread(
        request.hub.db, request.repo.pk, discussion_number(request)
    )
    shown = thread_json(request, thread)
    if thread.discussion.is_pull:
        shown |= await pull_request_json(request, thread.discussion)
    return json_response(shown)


async def add_comment(request: Request) -> Response:
    """Comment on a discussion."""
    body = await request.json(shapes.NewComment)
    event = await discussions.add_comment(
        request.hub.db, request.actor, request.repo, discussion_number(request), body.comment
    )
    return json_response({"newMessage": event_json(request, event, {})}, status=201)


async def edit_comment(request: Request) -> Response:
    """Replace the text of a comment."""
    body = await request.json(shapes.EditedComment)
    place = CommentPlace(discussion_number(request), request.text("comment"))
    event = await discussions.edit_comment(
        request.hub.db, request.actor, request.repo, place, body.content
    )
    return await _updated_comment(request, place.num, event)


async def hide_comment(request: Request) -> Response:
    """Delete the text of a comment for good."""
    place = CommentPlace(discussion_number(request), request.text("comment"))
    event = await discussions.hide_comment(request.hub.db, request.actor, request.repo, place)
    return await _updated_comment(request, place.num, event)


async def _updated_comment(request: Request, num: int, event: EventRow) -> Response:
    row = await discussions.find_discussion(request.hub.db, request.repo.pk, num)
    versions = await discussions.versions_of(request.hub.db, row)
    return json_response({"updatedComment": event_json(request, event, versions)})


async def change_title(request: Request) -> Response:
    """Rename a discussion."""
    body = await request.json(shapes.DiscussionTitle)
    event = await discussions.change_title(
        request.hub.db, request.actor, request.repo, discussion_number(request), body.title
    )
    return json_response({"newTitle": event_json(request, event, {})})


async def change_status(request: Request) -> Response:
    """Open or close a discussion, or publish a draft."""
    body = await request.json(shapes.DiscussionStatus)
    event = await discussions.change_status(
        request.hub.db,
        request.actor,
        request.repo,
        discussion_number(request),
        body.status,
        comment=body.comment,
    )
    return json_response({"newStatus": event_json(request, event, {})})


async def merge_request(request: Request) -> Response:
    """Merge a pull request into its base."""
    body = await request.json(shapes.MergeRequest)
    commit = await discussions.merge_pull_request(
        request.hub.stores,
        request.actor,
        request.repo,
        discussion_number(request),
        comment=body.comment,
    )
    return json_response({"mergeCommitId": commit})


async def pin_discussion(request: Request) -> Response:
    """Pin a discussion, or release it."""
    body = await request.json(shapes.DiscussionPin)
    row = await discussions.set_pinned(
        request.hub.db, request.actor, request.repo, discussion_number(request), pinned=body.pinned
    )
    return json_response({"pinned": bool(row.pinned)})


async def lock_discussion(request: Request) -> Response:
    """Lock a discussion for those who may not write, or release it."""
    body = await request.json(shapes.DiscussionLock)
    row = await discussions.set_locked(
        request.hub.db, request.actor, request.repo, discussion_number(request), locked=body.locked
    )
    return json_response({"locked": bool(row.locked)})


async def delete_discussion(request: Request) -> Response:
    """Delete a discussion with its texts."""
    num = discussion_number(request)
    await discussions.delete_discussion(request.hub.db, request.actor, request.repo, num)
    return json_response({})


def discussion_number(request: Request) -> int:
    """Return the number of a discussion in the address.

    Raises:
        DiscussionNotFound: it is no number.
    """
    text = request.text("num")
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise DiscussionNotFound(reason=f"#{text[:40]}")
    return int(text)
