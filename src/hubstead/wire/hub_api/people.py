"""Users and organizations as others see them, and what the caller has."""

from __future__ import annotations

from typing import Any

from hubstead.accounts import (
    Account,
    Membership,
    count_members,
    find_account,
    members_of,
    orgs_of,
    role_in,
)
from hubstead.discovery import Item, Query, count_by_owner, find_all
from hubstead.errors import AccountNotFound
from hubstead.ids import Kind
from hubstead.wire.http import Answer, Call, json_answer
from hubstead.wire.hub_api.shapes import iso
from hubstead.wire.hub_api.tree import next_page


async def user_overview(call: Call) -> Answer:
    """Describe a user."""
    user = await find_account(call.hub.db, call.text("user"), "user")
    orgs = await orgs_of(call.hub.db, user.pk)
    described = {
        **_shown(call, user),
        "user": user.name,
        "isPro": False,
        "createdAt": iso(user.created_ms),
        "orgs": [_shown(call, org) | {"name": org.name} for org in orgs],
    }
    return json_answer(described | await _counts(call, user.pk))


async def org_overview(call: Call) -> Answer:
    """Describe an organization."""
    org = await find_account(call.hub.db, call.text("org"), "org")
    described = {
        **_shown(call, org, kind="org"),
        "name": org.name,
        "isVerified": False,
        "numUsers": await count_members(call.hub.db, org.pk),
    }
    return json_answer(described | await _counts(call, org.pk))


async def _counts(call: Call, owner_pk: int) -> dict[str, int]:
    counts = await count_by_owner(call.hub.db, call.actor, owner_pk)
    shown = {f"num{kind.plural.title()}": count for kind, count in counts.items()}
    unbuilt = ("Discussions", "Papers", "Upvotes", "Likes", "Followers", "Following")
    return shown | {f"num{name}": 0 for name in unbuilt}


def _shown(call: Call, account: Account | Membership, kind: str = "user") -> dict[str, Any]:
    return {
        "_id": account.id,
        "id": account.id,
        "type": kind,
        "fullname": account.fullname or account.name,
        "avatarUrl": f"{call.public_url}/favicon.ico",
    }


async def org_members(call: Call) -> Answer:
    """List the members of an organization; roles are shown to its administrators."""
    org = await find_account(call.hub.db, call.text("org"), "org")
    own = await role_in(call.hub.db, org.pk, call.actor.pk)
    rows = await members_of(call.hub.db, org.pk)
    search = (call.query.one("search") or "").casefold()
    members = [
        {
            **_shown(call, row),
            "user": row.name,
            "isPro": False,
            **({"role": row.role} if own == "admin" else {}),
        }
        for row in rows
        if search in row.name.casefold()
    ]
    return json_answer(members)


async def own_repositories(call: Call) -> Answer:
    """List every repository of the caller with its size (``hf repos ls``)."""
    return await _repositories(call, call.actor.name)


async def org_repositories(call: Call) -> Answer:
    """List every repository of an organization for its members."""
    org = await find_account(call.hub.db, call.text("org"), "org")
    if await role_in(call.hub.db, org.pk, call.actor.pk) is None:
        raise AccountNotFound(name=call.text("org"))
    return await _repositories(call, org.name)


async def _repositories(call: Call, owner: str) -> Answer:
    asked = call.query
    limit = asked.number("limit", 1000, least=1, most=call.hub.settings.max_page)
    kinds = [Kind.parse(asked.one("type") or "")] if asked.one("type") else list(Kind)
    words = tuple(asked.all("search"))
    rows = [
        _row(item)
        for kind in kinds
        async for item in find_all(
            call.hub.db, call.actor, Query(kind=kind, author=owner, search=words)
        )
    ]
    column = "storage" if asked.one("sort") == "storage" else "updatedAt"
    rows.sort(key=lambda row: row[column], reverse=asked.one("direction") != "1")
    start = asked.number("skip", 0)
    headers = {}
    if len(rows) > start + limit:
        headers["link"] = next_page(call, skip=start + limit, limit=limit)
    total = sum(row["storage"] for row in rows) or 1
    page_rows = [
        row | {"storagePercent": row["storage"] / total} for row in rows[start : start + limit]
    ]
    return json_answer(page_rows, headers=headers)


def _row(item: Item) -> dict[str, Any]:
    return {
        "id": item.repo.full_name,
        "type": item.repo.kind.value,
        "updatedAt": iso(item.repo.modified_ms),
        "visibility": "private" if item.repo.private else "public",
        "storage": item.details.used_bytes,
    }
