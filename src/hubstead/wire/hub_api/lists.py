"""Lists of repositories, and of the tags that they carry."""

from __future__ import annotations

from typing import Any

from hubstead.discovery import RepoQuery, ResultItem, search_repos, tags_by_type
from hubstead.errors import InvalidCredentials, InvalidInput
from hubstead.facts import NO_FACTS
from hubstead.http import Response, json_response
from hubstead.ids import Kind
from hubstead.wire import Request
from hubstead.wire.hub_api.info import list_siblings, read_model_facts
from hubstead.wire.hub_api.repo_json import (
    FULL,
    LIST,
    NO_SIBLINGS,
    RepoFacts,
    expanded_json,
    needs_model_facts,
    needs_siblings,
    repo_json,
)
from hubstead.wire.hub_api.tree import next_page

PAGE = 1000
_CURSOR = "cursor of a list"
#: Parameters that filter by a tag, with the prefix of that tag (clients up to 0.10, and spaces).
_TAG_PARAMETERS = {"dataset": "dataset:", "language": "", "task": "", "tags": ""}


async def list_models(request: Request) -> Response:
    """List models."""
    return await _list(request, Kind.MODEL)


async def list_datasets(request: Request) -> Response:
    """List datasets."""
    return await _list(request, Kind.DATASET)


async def list_spaces(request: Request) -> Response:
    """List spaces."""
    return await _list(request, Kind.SPACE)


async def list_kernels(request: Request) -> Response:
    """List kernels."""
    return await _list(request, Kind.KERNEL)


async def _list(request: Request, kind: Kind) -> Response:
    query = _query(request, kind)
    page = await search_repos(request.hub.db, request.actor, query)
    items = await _items(request, kind, page.items)
    headers = {}
    if page.next_cursor is not None:
        # It names a row by its number, which tells how many repositories there are.
        cursor = request.hub.signer.conceal(page.next_cursor, purpose=_CURSOR)
        headers["link"] = next_page(request, cursor=cursor, limit=query.limit)
    return json_response(items, headers=headers)


def _cursor(request: Request) -> str | None:
    concealed = request.query.one("cursor")
    if concealed is None:
        return None
    try:
        return request.hub.signer.reveal(concealed, purpose=_CURSOR)
    except InvalidCredentials:
        raise InvalidInput(reason='"cursor" is not one that this server gave out') from None


def _query(request: Request, kind: Kind) -> RepoQuery:
    params = request.query
    filters = list(params.all("filter"))
    for name, prefix in _TAG_PARAMETERS.items():
        filters += [f"{prefix}{value}" for value in params.all(name)]
    full = params.flag("full")
    return RepoQuery(
        kind=kind,
        filters=tuple(part for value in filters for part in value.split(",") if part),
        author=params.one("author"),
        search=tuple(params.all("search")),
        ids=tuple(params.all("id")),
        sort=params.one("sort") or "trendingScore",
        direction=_direction(params.one("direction")),
        limit=params.number("limit", PAGE, least=1, most=request.hub.settings.requests.max_page),
        cursor=_cursor(request),
        gated=params.flag("gated") if "gated" in params else None,
        pipeline_tag=params.one("pipeline_tag"),
        library=params.one("library"),
        applications=tuple(params.all("apps")) if kind is Kind.MODEL else (),
        models=tuple(params.all("models")) if kind is Kind.SPACE else (),
        datasets=tuple(params.all("datasets")) if kind is Kind.SPACE else (),
        linked=params.flag("linked"),
        with_card=full or params.flag("cardData") or bool(params.all("expand")),
        with_config=params.flag("config") or bool(params.all("expand")),
    )


def _direction(text: str | None) -> int:
    if text in (None, "-1", "None"):
        return -1
    if text == "1":
        return 1
    raise InvalidInput(reason='"direction" must be -1 or 1')


async def _items(
    request: Request, kind: Kind, items: tuple[ResultItem, ...]
) -> list[dict[str, Any]]:
    expand = request.query.all("expand")
    names = _names(request, kind)
    with_siblings = request.query.flag("full") or needs_siblings(expand)
    with_facts = needs_model_facts(kind, expand)
    answer = []
    for item in items:
        files, model = NO_SIBLINGS, NO_FACTS
        if item.repo.head and with_siblings:
            git = await request.hub.stores.open_git(item.repo)
            files = await list_siblings(git, item.repo.head)
        if item.repo.head and with_facts and _has_model_files(item):
            git = await request.hub.stores.open_git(item.repo)
            model = await read_model_facts(request.hub, item.repo, git, item.repo.head, read=False)
        facts = RepoFacts(item.repo, item.details, item.repo.head, files, model=model)
        answer.append(expanded_json(facts, expand) if expand else repo_json(facts, names))
    return answer


def _has_model_files(item: ResultItem) -> bool:
    """Tell by its tags whether a model has files with facts: lists open no other repository."""
    return '"gguf"' in item.details.tags or '"safetensors"' in item.details.tags


def _names(request: Request, kind: Kind) -> list[str]:
    names = list(LIST[kind])
    if request.query.flag("full"):
        names += FULL[kind]
    names += [name for name in ("cardData", "config") if request.query.flag(name)]
    return names


async def list_model_tags(request: Request) -> Response:
    """List the tags of models by type."""
    return json_response(await tags_by_type(request.hub.db, Kind.MODEL))


async def list_dataset_tags(request: Request) -> Response:
    """List the tags of datasets by type."""
    return json_response(await tags_by_type(request.hub.db, Kind.DATASET))


async def list_evaluation_metrics(request: Request) -> Response:
    """List evaluation metrics: always none, for releases 0.1 to 0.26 that request them."""
    return json_response([])
