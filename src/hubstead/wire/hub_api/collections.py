"""Collections: create, change, list, and their items and upvotes (protocol/hub-api.md 4.3)."""

from __future__ import annotations

from hubstead import collections as room
from hubstead.collections import (
    Collection,
    CollectionChange,
    CollectionLimits,
    ItemChange,
    NewCollection,
    NewItem,
)
from hubstead.errors import InvalidInput, NotBuilt
from hubstead.http import Response, json_response
from hubstead.wire import Request
from hubstead.wire.hub_api import shapes
from hubstead.wire.hub_api.collection_json import collections_json, full_json
from hubstead.wire.hub_api.cursors import page_limit, page_response, reveal_cursor

PAGE = 10
#: Changes of one request.
MAX_CHANGES = 100
#: Items of each collection in a list.
LISTED_ITEMS = 4
_PURPOSE = "cursor of collections"
_NO_GATES = "gates of collections: gate their repositories"
_NO_GROUPS = "resource groups"


def _slug(request: Request) -> str:
    return f"{request.text('namespace')}/{request.text('name')}"


def _limits(request: Request) -> CollectionLimits:
    limits = request.hub.settings.requests
    return CollectionLimits(limits.max_collections, limits.max_collection_items)


async def list_collections(request: Request) -> Response:
    """List collections, each with its first items."""
    query, limit = request.query, page_limit(request, PAGE)
    sort = query.one("sort") or "lastModified"
    purpose = f"{_PURPOSE} by {sort}"
    page = await room.list_collections(
        request.hub.db,
        request.actor,
        room.CollectionQuery(
            owners=tuple(query.all("owner")),
            items=tuple(query.all("item")),
            text=query.one("q"),
            sort=sort,
            limit=limit,
            after=reveal_cursor(request, purpose),
        ),
    )
    items = await collections_json(request, page.collections, most=LISTED_ITEMS)
    return page_response(request, items, limit=limit, last=page.last, purpose=purpose)


async def create_collection(request: Request) -> Response:
    """Create a collection, with an item if the body names one."""
    body = await request.json(shapes.CreateCollection)
    if body.resourceGroupId is not None:
        raise NotBuilt(what=_NO_GROUPS)
    new = NewCollection(
        title=body.title,
        namespace=body.namespace,
        description=body.description,
        private=bool(body.private),
    )
    item = NewItem(body.item.type, body.item.id) if body.item else None
    created = await room.create_collection(
        request.hub.db, request.actor, new, _limits(request), item
    )
    return await _answer(request, created)


async def get_collection(request: Request) -> Response:
    """Describe a collection with all its items; past slugs name it as well."""
    collection = await room.open_collection(request.hub.db, request.actor, _slug(request))
    return await _answer(request, collection)


async def _answer(request: Request, collection: Collection) -> Response:
    return json_response(await full_json(request, collection))


async def update_collection(request: Request) -> Response:
    """Change the title, description, theme, privacy or place of a collection."""
    body = await request.json(shapes.UpdateCollection)
    if body.gating:
        raise NotBuilt(what=_NO_GATES)
    change = CollectionChange(
        title=body.title,
        description=body.description,
        private=body.private,
        theme=body.theme,
        position=body.position,
    )
    changed = await room.change_collection(request.hub.db, request.actor, _slug(request), change)
    return json_response({"data": await full_json(request, changed)})


async def delete_collection(request: Request) -> Response:
    """Delete a collection for good."""
    await room.delete_collection(request.hub.db, request.actor, _slug(request))
    return json_response({})


async def add_item(request: Request) -> Response:
    """Add an item at the end of a collection."""
    body = await request.json(shapes.AddCollectionItem)
    new = NewItem(body.item.type, body.item.id, body.note)
    await room.add_item(request.hub.db, request.actor, _slug(request), new, _limits(request))
    return await get_collection(request)


async def update_item(request: Request) -> Response:
    """Change the note or the place of an item."""
    body = await request.json(shapes.UpdateCollectionItem)
    return await _change(request, [_change_of(request.text("item"), body)])


async def update_items(request: Request) -> Response:
    """Change several items, one after another: all of them, or none."""
    lines = await request.json(list[shapes.CollectionItemAction])
    return await _change(request, [_change_of(line.id, line.data) for line in lines])


def _change_of(item_id: str, data: shapes.UpdateCollectionItem) -> ItemChange:
    return ItemChange(item_id, data.note, data.position)


async def _change(request: Request, changes: list[ItemChange]) -> Response:
    if len(changes) > MAX_CHANGES:
        raise InvalidInput(reason=f"at most {MAX_CHANGES} changes at once")
    await room.change_items(request.hub.db, request.actor, _slug(request), changes)
    return json_response({})


async def remove_item(request: Request) -> Response:
    """Remove an item from a collection."""
    await room.remove_item(request.hub.db, request.actor, _slug(request), request.text("item"))
    return json_response({})


async def upvote_collection(request: Request) -> Response:
    """Upvote a collection."""
    collection = await room.add_upvote(request.hub.db, request.actor, _slug(request))
    return json_response({"upvotes": collection.upvotes})


async def withdraw_upvote(request: Request) -> Response:
    """Withdraw the caller's upvote of a collection."""
    collection = await room.remove_upvote(request.hub.db, request.actor, _slug(request))
    return json_response({"upvotes": collection.upvotes})
