"""What operators and programs ask of the server itself."""

from __future__ import annotations

import asyncio

from hubstead.db import Database
from hubstead.errors import Unavailable
from hubstead.gitstore import GitStore
from hubstead.wire.http import Answer, Call, json_answer
from hubstead.wire.http.measures import exposition, mappings
from hubstead.wire.hub_api.openapi import document


async def alive(call: Call) -> Answer:
    """Say that the process answers."""
    return json_answer({"status": "ok"})


async def ready(call: Call) -> Answer:
    """Say whether requests can be served: the database and the store answer and take writes."""
    hub = call.hub
    if hub.unavailable:
        raise Unavailable(reason=hub.unavailable)
    db: Database = hub.db
    await db.ready()
    await hub.blobs.ready()
    return json_answer({"status": "ready"})


async def metrics(call: Call) -> Answer:
    """Give the metrics in Prometheus' text form."""
    counts = await asyncio.to_thread(_counts, call.hub.stores.git)
    return Answer(exposition(counts), media_type="text/plain; version=0.0.4; charset=utf-8")


def _counts(git: GitStore) -> dict[str, tuple[str, float]]:
    opened = git.open_counts()
    return {
        "mappings": ("Mappings of memory of this process.", mappings()),
        "git_open_repositories": ("Repositories held open.", opened.repositories),
        "git_open_packs": ("Packs that they may hold open.", opened.packs),
        "git_readers": ("Programs of git that read repositories.", git.reader_count()),
    }


async def openapi(call: Call) -> Answer:
    """Give the OpenAPI document, made from the route table."""
    return json_answer(document(call.hub.routes, call.public_url))


async def harnesses(call: Call) -> Answer:
    """Name the agent harnesses this hub knows: none. Clients cache the answer for a day."""
    return json_answer({"standardEnvVars": [], "harnesses": {}})


async def telemetry(call: Call) -> Answer:
    """Take telemetry and forget it."""
    return Answer(status=204)


async def nothing(call: Call) -> Answer:
    """Give an empty list: this hub has none of these."""
    return json_answer([])


async def templates(call: Call) -> Answer:
    """Name the templates for spaces: there are none."""
    return json_answer({"templates": []})
