"""``POST /api/validate-yaml``: clients validate a card before they commit it."""

from __future__ import annotations

import asyncio

from hubstead import cards
from hubstead.http import Response, json_response
from hubstead.ids import Kind
from hubstead.wire import Request
from hubstead.wire.hub_api import shapes


async def validate_yaml(request: Request) -> Response:
    """Validate a card; the status is 400 if it has errors, with the same body."""
    body = await request.json(shapes.ValidateYaml)
    kind = Kind.parse(body.repoType or "model")
    findings = await asyncio.to_thread(cards.validate_card, body.content, kind)
    answer = shapes.Validated(
        errors=[shapes.CardProblem(text) for text in findings.errors],
        warnings=[shapes.CardProblem(text) for text in findings.warnings],
    )
    return json_response(answer, status=400 if findings.errors else 200)
