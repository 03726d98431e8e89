"""``POST /api/validate-yaml``: what clients ask before they commit a card."""

from __future__ import annotations

import asyncio

from hubstead import cards
from hubstead.http import Response, json_response
from hubstead.ids import Kind
from hubstead.wire import Request
from hubstead.wire.hub_api import shapes


async def validate_yaml(request: Request) -> Response:
    """Check a card; 400 with the same shape if it has errors."""
    body = await request.json(shapes.ValidateYaml)
    kind = Kind.parse(body.repoType or "model")
    found = await asyncio.to_thread(cards.validate_card, body.content, kind)
    answer = shapes.Validated(
        errors=[shapes.CardProblem(text) for text in found.errors],
        warnings=[shapes.CardProblem(text) for text in found.warnings],
    )
    return json_response(answer, status=400 if found.errors else 200)
