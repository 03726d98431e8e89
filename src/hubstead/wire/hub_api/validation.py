"""``POST /api/validate-yaml``: what clients ask before they commit a card."""

from __future__ import annotations

import asyncio

from hubstead import cards
from hubstead.ids import Kind
from hubstead.wire.http import Answer, Call, json_answer
from hubstead.wire.hub_api import shapes


async def validate_yaml(call: Call) -> Answer:
    """Check a card; 400 with the same shape if it has errors."""
    body = await call.json(shapes.ValidateYaml)
    kind = Kind.parse(body.repoType or "model")
    found = await asyncio.to_thread(cards.validate, body.content, kind)
    answer = shapes.Validated(
        errors=[shapes.Finding(text) for text in found.errors],
        warnings=[shapes.Finding(text) for text in found.warnings],
    )
    return json_answer(answer, status=400 if found.errors else 200)
