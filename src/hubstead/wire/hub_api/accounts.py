"""Users, organizations and their members, and the repositories that an owner stores."""

from __future__ import annotations

from typing import Any

from hubstead.accounts import (
    Account,
    OrgRight,
    count_follows,
    count_members,
    find_account,
    followed_among,
    list_members,
    list_orgs_of,
    load_profile,
    open_org,
)
from hubstead.collections import count_upvotes_of
from hubstead.discovery import RepoQuery, ResultItem, count_by_owner, search_all_repos
from hubstead.http import Response, json_response
from hubstead.ids import GIT_KINDS, Kind
from hubstead.likes import count_liked_repos
from hubstead.repos import rename_account
from hubstead.wire import Request
from hubstead.wire.hub_api import shapes
from hubstead.wire.hub_api.people_json import account_json, person_json
from hubstead.wire.hub_api.shapes import iso
from hubstead.wire.hub_api.tree import next_page


async def user_overview(request: Request) -> Response:
    """Describe a user."""
    db, user = request.hub.db, await _user(request)
    orgs = await list_orgs_of(db, user.pk)
    overview = {
        **person_json(request, user),
        "createdAt": iso(user.created_ms),
        "orgs": [account_json(request, org, "org") | {"name": org.name} for org in orgs],
        "numLikes": await count_liked_repos(db, request.actor, user.pk),
    }
    return json_response(overview | await _shared_overview(request, user.pk))


async def org_overview(request: Request) -> Response:
    """Describe an organization."""
    org = await open_org(request.hub.db, request.actor, request.text("org"))
    overview = {
        **account_json(request, org, kind="org"),
        "name": org.name,
        "isVerified": False,
        "numUsers": await count_members(request.hub.db, org),
    }
    return json_response(overview | await _shared_overview(request, org.pk))


async def _shared_overview(request: Request, account_pk: int) -> dict[str, Any]:
    db = request.hub.db
    counts = await count_by_owner(db, request.actor, account_pk)
    follows = await count_follows(db, account_pk)
    shared: dict[str, Any] = {f"num{kind.plural.title()}": count for kind, count in counts.items()}
    shared |= {f"num{name}": 0 for name in ("Discussions", "Papers")}
    shared |= {
        "numUpvotes": await count_upvotes_of(db, request.actor, account_pk),
        "numFollowers": follows.followers,
        "numFollowing": follows.users,
        "numFollowingOrgs": follows.orgs,
    }
    if request.actor.signed_in:
        shared["isFollowing"] = bool(await followed_among(db, request.actor, [account_pk]))
    profile = await load_profile(db, account_pk)
    return shared | ({"details": profile.details} if profile.details else {})


async def _user(request: Request) -> Account:
    return await find_account(request.hub.db, request.text("user"), "user")


async def org_members(request: Request) -> Response:
    """List the members of an organization, with roles for its administrators."""
    org = await open_org(request.hub.db, request.actor, request.text("org"))
    search = (request.query.one("search") or "").casefold()
    members = [
        person_json(request, member) | ({"role": member.role} if member.role else {})
        for member in await list_members(request.hub.db, org)
        if search in member.name.casefold()
    ]
    return json_response(members)


async def rename_user(request: Request) -> Response:
    """Rename the caller's own account; the old names redirect."""
    return await _rename(request, request.text("user"), "user")


async def rename_org(request: Request) -> Response:
    """Rename an organization that the caller administers; the old names redirect."""
    return await _rename(request, request.text("org"), "org")


async def _rename(request: Request, name: str, kind: str) -> Response:
    body = await request.json(shapes.RenameAccount)
    account = await rename_account(request.hub.db, request.actor, name, kind, body.name)
    return json_response({**account_json(request, account, kind=kind), "name": account.name})


async def own_repositories(request: Request) -> Response:
    """List the repositories of the caller with their sizes (``hf repos ls``)."""
    return await _repositories(request, request.actor.name)


async def org_repositories(request: Request) -> Response:
    """List the repositories of an organization with their sizes, for its members."""
    org = await open_org(request.hub.db, request.actor, request.text("org"), OrgRight.MEMBER)
    return await _repositories(request, org.name)


async def _repositories(request: Request, owner: str) -> Response:
    query = request.query
    limit = query.number("limit", 1000, least=1, most=request.hub.settings.requests.max_page)
    kinds = [Kind.parse(query.one("type") or "")] if query.one("type") else list(GIT_KINDS)
    words = tuple(query.all("search"))
    rows = [
        _repo_json(item)
        for kind in kinds
        async for item in search_all_repos(
            request.hub.db, request.actor, RepoQuery(kind=kind, author=owner, search=words)
        )
    ]
    column = "storage" if query.one("sort") == "storage" else "updatedAt"
    rows.sort(key=lambda row: row[column], reverse=query.one("direction") != "1")
    start = query.number("skip", 0)
    headers = {}
    if len(rows) > start + limit:
        headers["link"] = next_page(request, skip=start + limit, limit=limit)
    total = sum(row["storage"] for row in rows) or 1
    page_rows = [
        row | {"storagePercent": row["storage"] / total} for row in rows[start : start + limit]
    ]
    return json_response(page_rows, headers=headers)


def _repo_json(item: ResultItem) -> dict[str, Any]:
    return {
        "id": item.repo.full_name,
        "type": item.repo.kind.value,
        "updatedAt": iso(item.repo.modified_ms),
        "visibility": "private" if item.repo.private else "public",
        "storage": item.details.used_bytes,
    }
