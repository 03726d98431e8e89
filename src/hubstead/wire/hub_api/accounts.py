"""Users, organizations and their members, and the repositories that an owner stores."""

from __future__ import annotations

from typing import Any

from hubstead.accounts import (
    Account,
    Member,
    Membership,
    Organization,
    OrgRight,
    count_members,
    find_account,
    list_members,
    list_orgs_of,
    open_org,
)
from hubstead.discovery import RepoQuery, ResultItem, count_by_owner, search_all_repos
from hubstead.http import Response, json_response
from hubstead.ids import Kind
from hubstead.repos import rename_account
from hubstead.wire import Request
from hubstead.wire.hub_api import shapes
from hubstead.wire.hub_api.shapes import iso
from hubstead.wire.hub_api.tree import next_page


async def user_overview(request: Request) -> Response:
    """Describe a user."""
    user = await find_account(request.hub.db, request.text("user"), "user")
    orgs = await list_orgs_of(request.hub.db, user.pk)
    overview = {
        **_account_json(request, user),
        "user": user.name,
        "isPro": False,
        "createdAt": iso(user.created_ms),
        "orgs": [_account_json(request, org) | {"name": org.name} for org in orgs],
    }
    return json_response(overview | await _counts(request, user.pk))


async def org_overview(request: Request) -> Response:
    """Describe an organization."""
    org = await open_org(request.hub.db, request.actor, request.text("org"))
    overview = {
        **_account_json(request, org, kind="org"),
        "name": org.name,
        "isVerified": False,
        "numUsers": await count_members(request.hub.db, org),
    }
    return json_response(overview | await _counts(request, org.pk))


async def _counts(request: Request, owner_pk: int) -> dict[str, int]:
    counts = await count_by_owner(request.hub.db, request.actor, owner_pk)
    numbers = {f"num{kind.plural.title()}": count for kind, count in counts.items()}
    not_implemented = ("Discussions", "Papers", "Upvotes", "Likes", "Followers", "Following")
    return numbers | {f"num{name}": 0 for name in not_implemented}


def _account_json(
    request: Request, account: Account | Organization | Member | Membership, kind: str = "user"
) -> dict[str, Any]:
    return {
        "_id": account.id,
        "id": account.id,
        "type": kind,
        "fullname": account.fullname or account.name,
        "avatarUrl": f"{request.public_url}/favicon.ico",
    }


async def org_members(request: Request) -> Response:
    """List the members of an organization, with roles for its administrators."""
    org = await open_org(request.hub.db, request.actor, request.text("org"))
    search = (request.query.one("search") or "").casefold()
    members = [
        {
            **_account_json(request, member),
            "user": member.name,
            "isPro": False,
            **({"role": member.role} if member.role else {}),
        }
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
    return json_response({**_account_json(request, account, kind=kind), "name": account.name})


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
    kinds = [Kind.parse(query.one("type") or "")] if query.one("type") else list(Kind)
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
