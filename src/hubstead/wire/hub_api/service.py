"""Routes about the server itself: health, metrics, OpenAPI, and empty lists for clients."""

from __future__ import annotations

import hmac

from hubstead.admission import Lane, run_in_lane
from hubstead.cards import TASKS
from hubstead.errors import InvalidCredentials
from hubstead.http import Response, json_response
from hubstead.metrics import MEDIA_TYPE
from hubstead.wire import Request
from hubstead.wire.hub_api.openapi import document


async def check_liveness(request: Request) -> Response:
    """Report that the process is alive."""
    return json_response({"status": "ok"})


async def get_metrics(request: Request) -> Response:
    """Return the metrics in Prometheus' text format, to callers with the token for them."""
    token = request.hub.settings.server.metrics_token
    given = (request.headers.get("authorization") or "").encode("latin-1", "replace")
    if token and not hmac.compare_digest(given, f"Bearer {token}".encode()):
        raise InvalidCredentials()
    body = await run_in_lane(Lane.BACKGROUND, request.hub.metrics.exposition)
    return Response(body, media_type=MEDIA_TYPE)


async def get_openapi(request: Request) -> Response:
    """Return the OpenAPI document of the route table."""
    return json_response(document(request.hub.routes, request.public_url))


async def list_agent_harnesses(request: Request) -> Response:
    """List agent harnesses: always none. Clients cache the answer for a day."""
    return json_response({"standardEnvVars": [], "harnesses": {}})


async def accept_telemetry(request: Request) -> Response:
    """Accept telemetry and discard it."""
    return Response(status=204)


async def list_tasks(request: Request) -> Response:
    """Describe the tasks of models by name; none has recommended models, as none runs here.

    ``InferenceClient`` reads ``widgetModels`` of each (protocol/hub-api.md 3.13).
    """
    lists: dict[str, list[str]] = {
        name: [] for name in ("widgetModels", "models", "datasets", "metrics", "spaces")
    }
    return json_response(
        {
            task: {"id": task, "label": task.replace("-", " ").capitalize(), **lists}
            for task in sorted(TASKS)
        }
    )


async def list_space_hardware(request: Request) -> Response:
    """List the hardware for spaces: always none, as this hub runs no spaces."""
    return json_response([])


async def list_space_templates(request: Request) -> Response:
    """List the templates for spaces: always none."""
    return json_response({"templates": []})
