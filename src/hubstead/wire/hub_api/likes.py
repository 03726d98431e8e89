"""Likes of repositories, users who like one, repositories that a user likes."""

from __future__ import annotations

from hubstead import likes
from hubstead.accounts import find_account
from hubstead.http import Response, json_response
from hubstead.wire import Request
from hubstead.wire.hub_api.cursors import page_limit, page_response, reveal_cursor
from hubstead.wire.hub_api.people_json import account_json
from hubstead.wire.hub_api.shapes import iso


async def like_repo(request: Request) -> Response:
    """Like a repository."""
    await likes.like_repo(request.hub.db, request.actor, request.repo)
    return json_response({})


async def unlike_repo(request: Request) -> Response:
    """Withdraw the caller's like of a repository."""
    await likes.unlike_repo(request.hub.db, request.actor, request.repo)
    return json_response({})


async def list_likers(request: Request) -> Response:
    """List the users who like a repository, the newest like first."""
    purpose, limit = f"likers of {request.repo.id}", page_limit(request)
    after = _position(reveal_cursor(request, purpose))
    rows = await likes.list_likers(request.hub.db, request.repo, limit, after)
    items = [account_json(request, row) | {"user": row.name} for row in rows]
    last = (rows[-1].created_ms, rows[-1].pk) if rows else None
    return page_response(request, items, limit=limit, last=last, purpose=purpose)


async def list_liked_repos(request: Request) -> Response:
    """List the repositories that a user likes and the caller may see, the newest like first."""
    db = request.hub.db
    user = await find_account(db, request.text("user"), "user")
    purpose, limit = f"likes of {user.id}", page_limit(request)
    after = _position(reveal_cursor(request, purpose))
    rows = await likes.list_liked_repos(db, request.actor, user.pk, limit, after)
    items = [
        {
            "createdAt": iso(row.created_ms),
            "repo": {"name": f"{row.owner}/{row.name}", "type": row.kind},
        }
        for row in rows
    ]
    last = (rows[-1].created_ms, rows[-1].pk) if rows else None
    return page_response(request, items, limit=limit, last=last, purpose=purpose)


def _position(cursor: tuple[int, int] | None) -> likes.Position | None:
    return None if cursor is None else likes.Position(*cursor)
