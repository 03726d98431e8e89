"""LFS files of a repository: listed, given to another one, and deleted for good."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from msgspec import UNSET, UnsetType

from hubstead.accounts import load_account
from hubstead.blobs import list_lfs_links
from hubstead.commits import HEADS, copy_lfs_files, delete_lfs_files
from hubstead.errors import AccountNotFound, InvalidInput
from hubstead.http import Response, json_response
from hubstead.ids import Kind, RepoId, is_sha256
from hubstead.wire import Request
from hubstead.wire.hub_api import shapes
from hubstead.wire.hub_api.file_facts import readable_xet_hashes
from hubstead.wire.hub_api.tree import next_page
from hubstead.xet import sha256s_of_files

PAGE = 1000
#: Files that one call may copy.
MOST_COPIES = 500


async def listing(request: Request) -> Response:
    """List LFS files that commits name, newest first, page by page."""
    limit = request.query.number(
        "limit", PAGE, least=1, most=request.hub.settings.requests.max_page
    )
    before = _before(request.query.one("cursor"))
    rows = await list_lfs_links(request.hub.db, request.repo.pk, before=before, limit=limit + 1)
    headers = {}
    if len(rows) > limit:
        last = rows[limit - 1]
        cursor = base64.urlsafe_b64encode(f"{last.created_ms}.{last.name}".encode()).decode()
        headers["link"] = next_page(request, cursor=cursor, limit=limit)
    pushers = await _pushers(request, {row.pusher_pk for row in rows})
    hashes = await readable_xet_hashes(request, (row.name for row in rows[:limit]))
    items = [
        shapes.LfsFileItem(
            fileOid=row.name,
            filename=row.path or "",
            oid=row.name,
            pushedAt=shapes.iso(row.created_ms),
            size=row.bytes,
            ref=_shown(row.ref),
            pusher=pushers.get(row.pusher_pk, UNSET),
            xetHash=hashes.get(row.name, UNSET),
        )
        for row in rows[:limit]
    ]
    return json_response(items, headers=headers)


def _shown(ref: str | None) -> str | UnsetType:
    """Return a branch by its short name: users of releases up to 0.36 compare it with ``main``."""
    return ref.removeprefix(HEADS) if ref else UNSET


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


async def _pushers(request: Request, pks: set[int | None]) -> dict[int | None, dict[str, str]]:
    pushers: dict[int | None, dict[str, str]] = {}
    for pk in pks - {None}:
        assert pk is not None
        try:
            account = await load_account(request.hub.db, pk)
        except AccountNotFound:
            continue
        pushers[pk] = {
            "_id": account.id,
            "type": "user",
            "name": account.name,
            "fullname": account.fullname or account.name,
            "avatarUrl": f"{request.public_url}/favicon.ico",
        }
    return pushers


async def delete_batch(request: Request) -> Response:
    """Delete LFS files permanently; ``rewriteHistory`` also removes them from all commits."""
    body = await request.json(shapes.DeleteLfsFiles)
    return await _delete(request, body.deletions.sha, body.deletions.rewriteHistory)


async def delete_one(request: Request) -> Response:
    """Delete one LFS file permanently."""
    return await _delete(request, [request.text("sha")], request.query.flag("rewriteHistory"))


async def _delete(request: Request, names: list[str], rewrite: bool) -> Response:
    wrong = next((name for name in names if not is_sha256(name)), None)
    if wrong is not None:
        raise InvalidInput(reason=f"not a sha256 in lower-case hex: {wrong[:80]!r}")
    await delete_lfs_files(
        request.hub.stores, request.actor, request.repo, frozenset(names), rewrite_history=rewrite
    )
    return json_response({})


async def duplicate(request: Request) -> Response:
    """Copy LFS files of this repository to another one, without transferring their bytes."""
    body = await request.json(shapes.DuplicateLfsFiles)
    if len(body.files) > MOST_COPIES:
        raise InvalidInput(reason=f'"files" must name at most {MOST_COPIES}')
    hashes = list({file.xetHash for file in body.files if file.xetHash})
    known = await sha256s_of_files(request.hub.db, request.repo.pk, hashes)
    named = [_sha256(file, known) for file in body.files]
    given = await copy_lfs_files(
        request.hub.stores,
        request.actor,
        request.repo,
        RepoId.parse(Kind.parse_any(body.target.type), body.target.name),
        [name for name in dict.fromkeys(named) if name],
    )
    failed = [
        shapes.NotDuplicated(file.xetHash, file.sha256, _NOT_HERE)
        for file, name in zip(body.files, named, strict=True)
        if name not in given
    ]
    count = len(body.files)
    answer = shapes.DuplicatedLfsFiles(not failed, count, count - len(failed), failed)
    return json_response(answer, status=207 if failed else 200)


_NOT_HERE = "This file is not in the repository that it is to be copied from"


def _sha256(file: shapes.DuplicateFile, known: Mapping[str, str]) -> str | None:
    """Return the sha256 of a file named by sha256, Xet hash, or both; None if they disagree."""
    if not file.xetHash:
        return file.sha256 if file.sha256 and is_sha256(file.sha256) else None
    sha256 = known.get(file.xetHash)
    return sha256 if file.sha256 in (None, sha256) else None
