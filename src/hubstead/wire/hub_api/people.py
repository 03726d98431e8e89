"""Followers, profiles, and the search of users and organizations."""

from __future__ import annotations

from typing import Any

from hubstead.accounts import (
    Account,
    Follow,
    FollowPosition,
    OrgRight,
    change_profile,
    find_account,
    follow,
    followed_among,
    list_followers,
    list_following,
    load_profile,
    open_org,
    search_accounts,
    unfollow,
)
from hubstead.collections import CollectionQuery, list_collections
from hubstead.discovery import RepoQuery, search_repos
from hubstead.errors import Forbidden
from hubstead.http import Response, json_response
from hubstead.ids import GIT_KINDS, Kind
from hubstead.wire import Request
from hubstead.wire.hub_api import shapes
from hubstead.wire.hub_api.cursors import page_limit, page_response, reveal_cursor
from hubstead.wire.hub_api.people_json import account_json, person_json

#: Rows of a kind that a quick search shows, and up to which it counts.
QUICK_ROWS, QUICK_COUNT = 5, 100


async def _account(request: Request) -> Account:
    kind = "user" if "user" in request.captured else "org"
    return await find_account(request.hub.db, request.text(kind), kind)


async def follow_account(request: Request) -> Response:
    """Follow a user or an organization."""
    await follow(request.hub.db, request.actor, await _account(request))
    return json_response({})


async def unfollow_account(request: Request) -> Response:
    """Follow a user or an organization no longer."""
    await unfollow(request.hub.db, request.actor, await _account(request))
    return json_response({})


async def list_account_followers(request: Request) -> Response:
    """List the users who follow a user or an organization, the newest first."""
    account = await _account(request)
    purpose, limit = f"followers of {account.id}", page_limit(request)
    after = _position(reveal_cursor(request, purpose))
    rows = await list_followers(request.hub.db, account.pk, limit, after)
    return await _follows(request, rows, limit, purpose)


async def list_account_following(request: Request) -> Response:
    """List the users whom a user follows, the newest first."""
    account = await _account(request)
    purpose, limit = f"followed by {account.id}", page_limit(request)
    after = _position(reveal_cursor(request, purpose))
    rows = await list_following(request.hub.db, account.pk, limit, after)
    return await _follows(request, rows, limit, purpose)


async def _follows(request: Request, rows: list[Follow], limit: int, purpose: str) -> Response:
    followed = await followed_among(request.hub.db, request.actor, [row.pk for row in rows])
    signed_in = request.actor.signed_in
    items = [
        person_json(request, row) | ({"isFollowing": row.pk in followed} if signed_in else {})
        for row in rows
    ]
    last = (rows[-1].since_ms, rows[-1].pk) if rows else None
    return page_response(request, items, limit=limit, last=last, purpose=purpose)


def _position(cursor: tuple[int, int] | None) -> FollowPosition | None:
    return None if cursor is None else FollowPosition(*cursor)


async def get_socials(request: Request) -> Response:
    """Return the names of a user or an organization at other services."""
    account = await _account(request)
    profile = await load_profile(request.hub.db, account.pk)
    named = "user" if account.kind == "user" else "name"
    answer = {"_id": account.id, named: account.name, "socialHandles": profile.handles}
    return json_response(answer)


async def update_profile(request: Request) -> Response:
    """Change the caller's profile, or that of an organization that the caller administers."""
    account, db = await _account(request), request.hub.db
    if account.kind == "org":
        await open_org(db, request.actor, account.name, OrgRight.ADMIN)
    elif account.pk != request.actor.pk:
        raise Forbidden(reason="You can only change your own profile")
    body = await request.json(shapes.UpdateProfile)
    await change_profile(
        db,
        account.pk,
        fullname=body.fullname,
        details=body.details,
        handles=body.socialHandles,
    )
    return json_response({})


async def quick_search(request: Request) -> Response:
    """Find repositories, users and organizations by parts of their names."""
    fields = await request.fields() if request.method == "POST" else {}
    text = _first(fields.get("q")) or request.query.one("q") or ""
    types = _all(fields.get("type")) or request.query.all("type")
    limit = request.query.number("limit", QUICK_ROWS, least=1, most=QUICK_COUNT)
    answer: dict[str, Any] = {}
    for kind in GIT_KINDS:
        if not types or kind.value in types:
            answer |= await _repos_named(request, kind, text, limit)
    for named, plural in (("user", "users"), ("org", "orgs")):
        if not types or named in types:
            answer |= await _accounts_named(request, named, plural, text, limit)
    if not types or "collection" in types:
        answer |= await _collections_named(request, text, limit)
    return json_response(answer)


async def _collections_named(request: Request, text: str, limit: int) -> dict[str, Any]:
    if not text.strip():
        return {"collections": [], "collectionsCount": 0}
    query = CollectionQuery(text=text, limit=QUICK_COUNT)
    page = await list_collections(request.hub.db, request.actor, query)
    rows = [{"slug": row.slug, "title": row.title} for row in page.collections[:limit]]
    return {"collections": rows, "collectionsCount": len(page.collections)}


async def _repos_named(request: Request, kind: Kind, text: str, limit: int) -> dict[str, Any]:
    """Return the best repositories of a kind, and how many there are, counted to a bound."""
    if not text.strip():
        return {kind.plural: [], f"{kind.plural}Count": 0}
    query = RepoQuery(kind=kind, search=(text,), limit=QUICK_COUNT)
    page = await search_repos(request.hub.db, request.actor, query)
    rows = [
        {
            "_id": item.repo.id,
            "id": item.repo.full_name,
            "private": item.repo.private,
            "trendingWeight": item.details.trending,
        }
        for item in page.items[:limit]
    ]
    return {kind.plural: rows, f"{kind.plural}Count": len(page.items)}


async def _accounts_named(
    request: Request, kind: str, plural: str, text: str, limit: int
) -> dict[str, Any]:
    rows = await search_accounts(request.hub.db, text, kind, QUICK_COUNT)
    field = "user" if kind == "user" else "name"
    shown = [account_json(request, row, kind) | {field: row.name} for row in rows[:limit]]
    return {plural: shown, f"{plural}Count": len(rows)}


def _all(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str) and text]


def _first(value: Any) -> str | None:
    return next(iter(_all(value)), None)
