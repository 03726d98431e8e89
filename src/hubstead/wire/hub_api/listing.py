"""Lists of repositories, and the tags there are."""

from __future__ import annotations

from typing import Any

import msgspec

from hubstead.discovery import Item, Query, find, tags_by_type
from hubstead.errors import InvalidInput
from hubstead.ids import Kind
from hubstead.wire.http import Answer, Call, json_answer
from hubstead.wire.hub_api.info import (
    NO_SIBLINGS,
    Known,
    expanded,
    needs_siblings,
    siblings,
)
from hubstead.wire.hub_api.shapes import iso
from hubstead.wire.hub_api.tree import next_page

PAGE = 1000
#: Parameters whose values are tags with this before them (clients up to 0.10 and spaces).
_TAG_PARAMETERS = {"dataset": "dataset:", "language": "", "task": "", "tags": ""}


async def models(call: Call) -> Answer:
    """List models."""
    return await _list(call, Kind.MODEL)


async def datasets(call: Call) -> Answer:
    """List datasets."""
    return await _list(call, Kind.DATASET)


async def spaces(call: Call) -> Answer:
    """List spaces."""
    return await _list(call, Kind.SPACE)


async def kernels(call: Call) -> Answer:
    """List kernels."""
    return await _list(call, Kind.KERNEL)


async def _list(call: Call, kind: Kind) -> Answer:
    query = _query(call, kind)
    page = await find(call.hub.db, call.actor, query)
    items = await _items(call, page.items)
    headers = {}
    if page.next_cursor is not None:
        headers["link"] = next_page(call, cursor=page.next_cursor, limit=query.limit)
    return json_answer(items, headers=headers)


def _query(call: Call, kind: Kind) -> Query:
    asked = call.query
    filters = list(asked.all("filter"))
    for name, before in _TAG_PARAMETERS.items():
        filters += [f"{before}{value}" for value in asked.all(name)]
    full = asked.flag("full")
    return Query(
        kind=kind,
        filters=tuple(part for value in filters for part in value.split(",") if part),
        author=asked.one("author"),
        search=tuple(asked.all("search")),
        ids=tuple(asked.all("id")),
        sort=asked.one("sort") or "trendingScore",
        direction=_direction(asked.one("direction")),
        limit=asked.number("limit", PAGE, least=1, most=call.hub.settings.max_page),
        cursor=asked.one("cursor"),
        gated=asked.flag("gated") if "gated" in asked else None,
        pipeline_tag=asked.one("pipeline_tag"),
        library=asked.one("library"),
        models=tuple(asked.all("models")) if kind is Kind.SPACE else (),
        datasets=tuple(asked.all("datasets")) if kind is Kind.SPACE else (),
        linked=asked.flag("linked"),
        with_card=full or asked.flag("cardData") or bool(asked.all("expand")),
        with_config=asked.flag("config") or bool(asked.all("expand")),
    )


def _direction(text: str | None) -> int:
    if text in (None, "-1", "None"):
        return -1
    if text == "1":
        return 1
    raise InvalidInput(reason='"direction" must be -1 or 1')


async def _items(call: Call, items: tuple[Item, ...]) -> list[dict[str, Any]]:
    expand = call.query.all("expand")
    full = call.query.flag("full")
    wants_files = full or needs_siblings(expand)
    listed = []
    for item in items:
        files = NO_SIBLINGS
        if wants_files and item.repo.head:
            git = await call.hub.stores.open_git(item.repo)
            files = await siblings(git, item.repo.head)
        if expand:
            listed.append(expanded(_known(item, files), expand))
        else:
            listed.append(_item(call, item, full, files))
    return listed


def _known(item: Item, files: msgspec.Raw) -> Known:
    return Known(item.repo, item.details, item.repo.head, files)


def _item(call: Call, item: Item, full: bool, files: msgspec.Raw) -> dict[str, Any]:
    repo, kept = item.repo, item.details
    shown: dict[str, Any] = {
        "_id": repo.id,
        "id": repo.full_name,
        "author": repo.owner,
        "private": repo.private,
        "gated": repo.gated or False,
        "likes": kept.likes,
        "trendingScore": kept.trending,
        "tags": msgspec.Raw(kept.tags.encode()),
        "createdAt": iso(repo.created_ms),
        "lastModified": iso(repo.modified_ms),
        "sha": repo.head,
        "disabled": repo.disabled,
    }
    if repo.kind is Kind.SPACE:
        shown["sdk"] = repo.sdk
    else:
        shown["downloads"] = kept.downloads
    if repo.kind is Kind.MODEL:
        shown["modelId"] = repo.full_name
        shown["pipeline_tag"] = kept.pipeline_tag
        shown["library_name"] = kept.library_name
    if full:
        shown["siblings"] = files
    wants_card = call.query.flag("cardData") or (full and repo.kind is not Kind.MODEL)
    if wants_card and kept.card:
        shown["cardData"] = msgspec.Raw(kept.card.encode())
    if call.query.flag("config") and kept.config:
        shown["config"] = msgspec.Raw(kept.config.encode())
    return {name: value for name, value in shown.items() if value is not None}


async def model_tags(call: Call) -> Answer:
    """List the tags of models by type."""
    return json_answer(await tags_by_type(call.hub.db, Kind.MODEL))


async def dataset_tags(call: Call) -> Answer:
    """List the tags of datasets by type."""
    return json_answer(await tags_by_type(call.hub.db, Kind.DATASET))


async def metrics(call: Call) -> Answer:
    """List evaluation metrics: this hub keeps none (releases 0.1 to 0.26 ask)."""
    return json_answer([])
