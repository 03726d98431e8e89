"""Cursors of lists that end in numbers of rows, which clients get concealed.

A number of a row tells how many rows there are, those of others included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from hubstead.errors import InvalidCredentials, InvalidInput
from hubstead.http import Response, json_response
from hubstead.wire import Request
from hubstead.wire.hub_api.tree import next_page

#: Rows per page where the client names no number.
PAGE = 1000


def page_limit(request: Request, default: int = PAGE) -> int:
    """Return the number of rows that a page may have.

    Raises:
        InvalidInput: the parameter ``limit`` is no number, or below 1.
    """
    most = request.hub.settings.requests.max_page
    return request.query.number("limit", min(default, most), least=1, most=most)


def reveal_cursor(request: Request, purpose: str) -> tuple[int, int] | None:
    """Return the two numbers of the parameter ``cursor``; None without one.

    Raises:
        InvalidInput: this server did not give the cursor out for this list.
    """
    concealed = request.query.one("cursor")
    if concealed is None:
        return None
    try:
        text = request.hub.signer.reveal(concealed, purpose=purpose)
        return msgspec.json.decode(text, type=tuple[int, int])
    except (InvalidCredentials, msgspec.DecodeError):
        raise InvalidInput(reason='"cursor" is not one that this server gave out') from None


def page_response(
    request: Request,
    items: Sequence[Any],
    *,
    limit: int,
    last: tuple[int, int] | None,
    purpose: str,
) -> Response:
    """Return a page, with a link to the next one unless this page has fewer rows than ``limit``.

    Args:
        request: The request.
        items: The items of the page.
        limit: The rows that were asked for.
        last: Two numbers that name the last row; None without rows.
        purpose: Names the list that the cursor belongs to.
    """
    headers = {}
    if last is not None and len(items) >= limit:
        cursor = request.hub.signer.conceal(msgspec.json.encode(last).decode(), purpose=purpose)
        headers["link"] = next_page(request, cursor=cursor, limit=limit)
    return json_response(items, headers=headers)
