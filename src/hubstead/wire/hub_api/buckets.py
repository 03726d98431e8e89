"""Life of buckets: create, list, show, configure, delete, and their Xet tokens."""

from __future__ import annotations

import msgspec

from hubstead import buckets, commits, repos
from hubstead.accounts import find_account
from hubstead.buckets import BucketQuery
from hubstead.errors import InvalidInput, LoginRequired
from hubstead.http import Response, json_response
from hubstead.repos import Repo
from hubstead.wire import Request, xet_access
from hubstead.wire.hub_api import shapes
from hubstead.wire.hub_api.repos import created_repo, wanted_privacy
from hubstead.wire.hub_api.tree import next_page
from hubstead.wire.hub_api.xet import token_response

PAGE = 100
#: The namespace that stands for the caller's own (protocol/hub-api.md 5.6).
OWN = "me"


async def create_bucket(request: Request) -> Response:
    """Create an empty bucket."""
    body = await request.json(shapes.CreateBucket)
    owner = request.text("namespace")
    bucket = await buckets.create_bucket(
        request.hub.db,
        request.actor,
        None if owner == OWN else owner,
        request.text("name"),
        private=wanted_privacy(body.private, body.visibility) or False,
        most=request.hub.settings.accounts.max_repositories,
    )
    return json_response(created_repo(request, bucket))


async def get_bucket(request: Request) -> Response:
    """Show a bucket with its size."""
    size = await buckets.load_bucket(request.hub.db, request.repo)
    return json_response(_info(request.repo, size.objects, size.bytes))


def _info(bucket: Repo, objects: int, size: int) -> shapes.BucketInfo:
    return shapes.BucketInfo(
        id=bucket.full_name,
        _id=bucket.id,
        author=bucket.owner,
        private=bucket.private,
        createdAt=shapes.iso(bucket.created_ms),
        updatedAt=shapes.iso(bucket.modified_ms),
        size=size,
        totalFiles=objects,
    )


async def list_buckets(request: Request) -> Response:
    """List the buckets of an account, the newest first, page by page."""
    name = request.text("owner")
    if name == OWN and not request.actor.signed_in:
        raise LoginRequired()
    own = name == OWN
    owner_pk = request.actor.pk if own else (await find_account(request.hub.db, name)).pk
    limit = request.query.number(
        "limit", PAGE, least=1, most=request.hub.settings.requests.max_page
    )
    query = BucketQuery(owner_pk, request.query.one("search") or "", limit=limit)
    cursor = request.query.one("cursor")
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
            raise InvalidInput(reason='"cursor" is not one that this server gave out')
        query = query._replace(before_pk=int(cursor))
    page = await buckets.list_buckets(request.hub.db, request.actor, query)
    headers = {}
    if page.next_before is not None:
        headers["link"] = next_page(request, cursor=page.next_before)
    items = [_info(bucket, size.objects, size.bytes) for bucket, size in page.items]
    return json_response(items, headers=headers)


async def delete_bucket(request: Request) -> Response:
    """Delete a bucket with its objects for good."""
    await commits.delete_repository(request.hub.stores, request.actor, request.repo.repo_id)
    return json_response({})


async def update_bucket_settings(request: Request) -> Response:
    """Change the visibility of a bucket; regions are stored without effect."""
    body = await request.json(shapes.BucketSettings)
    private = wanted_privacy(body.private, body.visibility)
    others: dict[str, object] = {}
    if not isinstance(body.cdnRegions, msgspec.UnsetType):
        others["cdnRegions"] = body.cdnRegions
    change = repos.SettingsChange(private=private, others=others)
    changed = await repos.change_settings(
        request.hub.db, request.actor, request.repo.repo_id, change
    )
    return json_response({"private": changed.private, **others})


async def issue_read_token(request: Request) -> Response:
    """Issue a token for downloads of the bucket's objects from the Xet store."""
    return token_response(await xet_access(request, write=False))


async def issue_write_token(request: Request) -> Response:
    """Issue a token for uploads to the Xet store."""
    request.hub.refuse_read_only()
    most = request.hub.settings.accounts.max_bytes
    owner, owner_pk = request.repo.owner, request.repo.owner_pk
    await commits.require_room_for_bytes(
        request.hub.db, owner, owner_pk, most, created=1, uploads=True
    )
    return token_response(await xet_access(request, write=True))
