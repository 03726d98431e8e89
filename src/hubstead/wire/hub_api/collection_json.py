"""The JSON of collections and their items (protocol/hub-api.md 4.3)."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hubstead.collections import (
    Collection,
    CollectionItem,
    list_items,
    position_of,
    upvoted_among,
    visible_collections,
)
from hubstead.repos import Repo, RepoDetails, visible_details
from hubstead.wire import Request
from hubstead.wire.hub_api.people_json import author_json
from hubstead.wire.hub_api.repo_json import NO_SIBLINGS, RepoFacts, repo_json
from hubstead.wire.hub_api.shapes import iso

#: What an item shows of its repository.
_REPO_FIELDS = (
    "author private gated likes downloads lastModified trendingScore pipeline_tag library_name "
    "sdk subdomain"
).split()


class _Owner(NamedTuple):
    id: str
    name: str
    fullname: str


class _Targets(NamedTuple):
    """What the items of some collections stand for, by number of row."""

    repos: Mapping[int, tuple[Repo, RepoDetails]]
    collections: Mapping[int, Collection]


async def full_json(request: Request, collection: Collection) -> dict[str, Any]:
    """Return a collection with all items that the caller sees, and its place."""
    (shown,) = await collections_json(request, [collection])
    position = await position_of(request.hub.db, request.actor, collection)
    return shown | {"position": position}


async def collections_json(
    request: Request, collections: Sequence[Collection], *, most: int | None = None
) -> list[dict[str, Any]]:
    """Return collections as a list has them: without a place, with ``most`` items each.

    The Python client numbers those of a list itself, and breaks at a number of the server's.
    """
    db, actor = request.hub.db, request.actor
    pks = [collection.pk for collection in collections]
    bound = {} if most is None else {"most": most}
    items = await list_items(db, actor, pks, **bound)
    upvoted = await upvoted_among(db, actor, pks)
    targets = await _load_targets(request, [item for rows in items.values() for item in rows])
    return [
        {
            **_collection_json(request, collection),
            "isUpvotedByUser": collection.pk in upvoted,
            "items": [
                shown
                for item in items[collection.pk]
                if (shown := _item_json(item, targets)) is not None
            ],
        }
        for collection in collections
    ]


async def _load_targets(request: Request, items: Sequence[CollectionItem]) -> _Targets:
    db, actor = request.hub.db, request.actor
    repo_pks = [item.repo_pk for item in items if item.repo_pk is not None]
    collection_pks = [item.target_pk for item in items if item.target_pk is not None]
    return _Targets(
        await visible_details(db, actor, repo_pks),
        await visible_collections(db, actor, collection_pks) if collection_pks else {},
    )


def _collection_json(request: Request, collection: Collection) -> dict[str, Any]:
    owner = _Owner(collection.owner_id, collection.owner, collection.owner_fullname)
    shown: dict[str, Any] = {
        "slug": collection.slug,
        "title": collection.title,
        "owner": author_json(request, owner, collection.owner_kind),
        "lastUpdated": iso(collection.modified_ms),
        "private": collection.private,
        "theme": collection.theme,
        "upvotes": collection.upvotes,
        "gating": False,
        "shareUrl": f"{request.public_url}/collections/{collection.slug}",
    }
    return shown | ({"description": collection.description} if collection.description else {})


def _item_json(item: CollectionItem, targets: _Targets) -> dict[str, Any] | None:
    """Return an item; None if its target has gone since the item was read."""
    shown: dict[str, Any] = {"type": item.kind, "position": item.position}
    if item.note is not None:
        shown["note"] = {"html": html.escape(item.note), "text": item.note}
    if item.repo_pk is not None:
        target = targets.repos.get(item.repo_pk)
        if target is None:
            return None
        repo, details = target
        facts = RepoFacts(repo, details, repo.head, NO_SIBLINGS)
        return {**repo_json(facts, _REPO_FIELDS), **shown, "_id": item.id, "id": repo.full_name}
    if item.target_pk is not None:
        collection = targets.collections.get(item.target_pk)
        if collection is None:
            return None
        named = {"slug": collection.slug, "title": collection.title, "theme": collection.theme}
        return {**named, **shown, "_id": item.id, "id": collection.id}
    return {**shown, "_id": item.id, "id": item.target}
