"""Lists of repositories, and the tags there are."""

from __future__ import annotations

from typing import Any

import msgspec

from hubstead.discovery import RepoQuery, ResultItem, search_repos, tags_by_type
from hubstead.errors import InvalidInput
from hubstead.http import Response, json_response
from hubstead.ids import Kind
from hubstead.wire import Request
from hubstead.wire.hub_api.info import (
    NO_SIBLINGS,
    RepoFacts,
    expanded,
    needs_siblings,
    siblings,
)
from hubstead.wire.hub_api.shapes import iso
from hubstead.wire.hub_api.tree import next_page

PAGE = 1000
#: Parameters whose values are tags with this before them (clients up to 0.10 and spaces).
_TAG_PARAMETERS = {"dataset": "dataset:", "language": "", "task": "", "tags": ""}


async def models(request: Request) -> Response:
    """List models."""
    return await _list(request, Kind.MODEL)


async def datasets(request: Request) -> Response:
    """List datasets."""
    return await _list(request, Kind.DATASET)


async def spaces(request: Request) -> Response:
    """List spaces."""
    return await _list(request, Kind.SPACE)


async def kernels(request: Request) -> Response:
    """List kernels."""
    return await _list(request, Kind.KERNEL)


async def _list(request: Request, kind: Kind) -> Response:
    query = _query(request, kind)
    page = await search_repos(request.hub.db, request.actor, query)
    items = await _items(request, page.items)
    headers = {}
    if page.next_cursor is not None:
        headers["link"] = next_page(request, cursor=page.next_cursor, limit=query.limit)
    return json_response(items, headers=headers)


def _query(request: Request, kind: Kind) -> RepoQuery:
    asked = request.query
    filters = list(asked.all("filter"))
    for name, before in _TAG_PARAMETERS.items():
        filters += [f"{before}{value}" for value in asked.all(name)]
    full = asked.flag("full")
    return RepoQuery(
        kind=kind,
        filters=tuple(part for value in filters for part in value.split(",") if part),
        author=asked.one("author"),
        search=tuple(asked.all("search")),
        ids=tuple(asked.all("id")),
        sort=asked.one("sort") or "trendingScore",
        direction=_direction(asked.one("direction")),
        limit=asked.number("limit", PAGE, least=1, most=request.hub.settings.max_page),
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


async def _items(request: Request, items: tuple[ResultItem, ...]) -> list[dict[str, Any]]:
    expand = request.query.all("expand")
    full = request.query.flag("full")
    wants_files = full or needs_siblings(expand)
    listed = []
    for item in items:
        files = NO_SIBLINGS
        if wants_files and item.repo.head:
            git = await request.hub.stores.open_git(item.repo)
            files = await siblings(git, item.repo.head)
        if expand:
            listed.append(expanded(_known(item, files), expand))
        else:
            listed.append(_item(request, item, full, files))
    return listed


def _known(item: ResultItem, files: msgspec.Raw) -> RepoFacts:
    return RepoFacts(item.repo, item.details, item.repo.head, files)


def _item(request: Request, item: ResultItem, full: bool, files: msgspec.Raw) -> dict[str, Any]:
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
    wants_card = request.query.flag("cardData") or (full and repo.kind is not Kind.MODEL)
    if wants_card and kept.card:
        shown["cardData"] = msgspec.Raw(kept.card.encode())
    if request.query.flag("config") and kept.config:
        shown["config"] = msgspec.Raw(kept.config.encode())
    return {name: value for name, value in shown.items() if value is not None}


async def model_tags(request: Request) -> Response:
    """List the tags of models by type."""
    return json_response(await tags_by_type(request.hub.db, Kind.MODEL))


async def dataset_tags(request: Request) -> Response:
    """List the tags of datasets by type."""
    return json_response(await tags_by_type(request.hub.db, Kind.DATASET))


async def metrics(request: Request) -> Response:
    """List evaluation metrics: this hub keeps none (releases 0.1 to 0.26 ask)."""
    return json_response([])
