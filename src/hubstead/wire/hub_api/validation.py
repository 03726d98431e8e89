"""``POST /api/validate-yaml``: clients validate a card before they commit it."""

from __future__ import annotations

from typing import Any

import msgspec

from hubstead import cards
from hubstead.admission import Lane, run_in_lane
from hubstead.cards import Validation
from hubstead.errors import InvalidInput
from hubstead.http import Response, json_response, text_response
from hubstead.ids import Kind
from hubstead.wire import Request
from hubstead.wire.hub_api import shapes


async def validate_yaml(request: Request) -> Response:
    """Validate a card; the status is 400 if it has errors, with the same body.

    ``RepoCard.validate`` sends a form and shows the text of the answer; commits send and read JSON
    (protocol/hub-api.md 3.11).
    """
    body = _body(await request.fields())
    kind = Kind.parse(body.repoType or "model")
    findings = await run_in_lane(Lane.READS, cards.validate_card, body.content, kind)
    status = 400 if findings.errors else 200
    if _wants_text(request):
        return text_response("".join(f"{line}\n" for line in findings.lines), status=status)
    return json_response(_validated(findings), status=status)


def _body(fields: dict[str, Any]) -> shapes.ValidateYaml:
    single = {
        name: (value[-1] if value else "") if isinstance(value, list) else value
        for name, value in fields.items()
    }
    try:
        return msgspec.convert(single, shapes.ValidateYaml)
    except msgspec.ValidationError as error:
        raise InvalidInput(reason=f"the body is not what it should be: {error}") from None


def _wants_text(request: Request) -> bool:
    accepted = {
        media_range.partition(";")[0].strip().lower()
        for media_range in request.headers.get("accept", "").split(",")
    }
    return "text/plain" in accepted and "application/json" not in accepted


def _validated(findings: Validation) -> shapes.Validated:
    return shapes.Validated(
        errors=[shapes.CardProblem(text) for text in findings.errors],
        warnings=[shapes.CardProblem(text) for text in findings.warnings],
    )
