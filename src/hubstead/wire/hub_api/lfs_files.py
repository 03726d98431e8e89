"""LFS files of a repository: listed, and deleted for good."""

from __future__ import annotations

import base64

from msgspec import UNSET

from hubstead.accounts import account_by_pk
from hubstead.blobs import list_lfs
from hubstead.commits import delete_lfs_files
from hubstead.errors import AccountNotFound, InvalidInput
from hubstead.ids import is_sha256
from hubstead.wire.http import Answer, Call, json_answer
from hubstead.wire.hub_api import shapes
from hubstead.wire.hub_api.tree import next_page

PAGE = 1000


async def listing(call: Call) -> Answer:
    """List LFS files that commits name, newest first, page by page."""
    limit = call.query.number("limit", PAGE, least=1, most=call.hub.settings.max_page)
    before = _before(call.query.one("cursor"))
    rows = await list_lfs(call.hub.db, call.repo.pk, before=before, limit=limit + 1)
    headers = {}
    if len(rows) > limit:
        last = rows[limit - 1]
        cursor = base64.urlsafe_b64encode(f"{last.created_ms}.{last.name}".encode()).decode()
        headers["link"] = next_page(call, cursor=cursor, limit=limit)
    pushers = await _pushers(call, {row.pusher_pk for row in rows})
    items = [
        shapes.LfsFileItem(
            fileOid=row.name,
            filename=row.path or "",
            oid=row.name,
            pushedAt=shapes.iso(row.created_ms),
            size=row.bytes,
            ref=row.ref or UNSET,
            pusher=pushers.get(row.pusher_pk, UNSET),
        )
        for row in rows[:limit]
    ]
    return json_answer(items, headers=headers)


def _before(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    try:
        at, _, name = base64.urlsafe_b64decode(cursor).decode().partition(".")
        before = int(at), name
    except ValueError:
        before = -1, ""
    if not (0 <= before[0] < 2**62 and is_sha256(before[1])):
        raise InvalidInput(reason='"cursor" is not one that this server gave out')
    return before


async def _pushers(call: Call, pks: set[int | None]) -> dict[int | None, dict[str, str]]:
    found: dict[int | None, dict[str, str]] = {}
    for pk in pks - {None}:
        assert pk is not None
        try:
            account = await account_by_pk(call.hub.db, pk)
        except AccountNotFound:
            continue
        found[pk] = {
            "_id": account.id,
            "type": "user",
            "name": account.name,
            "fullname": account.fullname or account.name,
            "avatarUrl": f"{call.public_url}/favicon.ico",
        }
    return found


async def delete_batch(call: Call) -> Answer:
    """Delete LFS files for good, and with ``rewriteHistory`` from every commit that has them."""
    body = await call.json(shapes.DeleteLfsFiles)
    return await _delete(call, body.deletions.sha, body.deletions.rewriteHistory)


async def delete_one(call: Call) -> Answer:
    """Delete one LFS file for good."""
    return await _delete(call, [call.text("sha")], call.query.flag("rewriteHistory"))


async def _delete(call: Call, names: list[str], rewrite: bool) -> Answer:
    wrong = next((name for name in names if not is_sha256(name)), None)
    if wrong is not None:
        raise InvalidInput(reason=f"not a sha256 in lower-case hex: {wrong[:80]!r}")
    await delete_lfs_files(
        call.hub.stores, call.actor, call.repo, frozenset(names), rewrite_history=rewrite
    )
    return json_answer({})
