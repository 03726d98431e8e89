"""What operators and programs ask of the server itself."""

from __future__ import annotations

import asyncio

from hubstead.db import Database
from hubstead.errors import Unavailable
from hubstead.gitstore import GitStore
from hubstead.http import Response, json_response
from hubstead.wire import Request
from hubstead.wire.hub_api.openapi import document
from hubstead.wire.metrics import exposition, mappings


async def alive(request: Request) -> Response:
    """Say that the process answers."""
    return json_response({"status": "ok"})


async def ready(request: Request) -> Response:
    """Say whether requests can be served: the database and the store answer and take writes."""
    hub = request.hub
    if hub.unavailable:
        raise Unavailable(reason=hub.unavailable)
    db: Database = hub.db
    await db.ready()
    await hub.blobs.ready()
    return json_response({"status": "ready"})


async def metrics(request: Request) -> Response:
    """Give the metrics in Prometheus' text form."""
    counts = await asyncio.to_thread(_counts, request.hub.stores.git)
    return Response(exposition(counts), media_type="text/plain; version=0.0.4; charset=utf-8")


def _counts(git: GitStore) -> dict[str, tuple[str, float]]:
    opened = git.open_counts()
    return {
        "mappings": ("Mappings of memory of this process.", mappings()),
        "git_open_repositories": ("Repositories held open.", opened.repositories),
        "git_open_packs": ("Packs that they may hold open.", opened.packs),
        "git_readers": ("Programs of git that read repositories.", git.reader_count()),
    }


async def openapi(request: Request) -> Response:
    """Give the OpenAPI document, made from the route table."""
    return json_response(document(request.hub.routes, request.public_url))


async def harnesses(request: Request) -> Response:
    """Name the agent harnesses this hub knows: none. Clients cache the answer for a day."""
    return json_response({"standardEnvVars": [], "harnesses": {}})


async def telemetry(request: Request) -> Response:
    """Take telemetry and forget it."""
    return Response(status=204)


async def nothing(request: Request) -> Response:
    """Give an empty list: this hub has none of these."""
    return json_response([])


async def templates(request: Request) -> Response:
    """Name the templates for spaces: there are none."""
    return json_response({"templates": []})
