"""Error responses as pages: what happened, why, and what to do next."""

from __future__ import annotations

from urllib.parse import urlsplit

from hubstead.http import Response
from hubstead.pages.forms import Form, local_path
from hubstead.pages.render import Page, render, theme_of, transport_headers
from hubstead.wire import ErrorResponse, FailedRequest

#: Headings by status.
HEADINGS = {
    400: "This address makes no sense",
    401: "Sign in to see this",
    403: "You may not do this",
    404: "There is nothing here",
    405: "This does not work here",
    408: "The request took too long",
    409: "This conflicts with what is there",
    410: "This is gone",
    412: "This has changed meanwhile",
    413: "This is too large",
    416: "There are no such bytes",
    421: "This hub has another name",
    422: "Something is not right yet",
    429: "Too many requests",
    500: "The hub made a mistake",
    501: "This page does not exist yet",
    503: "The hub cannot answer now",
    507: "There is no space left",
}
#: Reasons for people, where the ones for programs say less.
REASONS = {401: "This page is for people who may see it, or it does not exist."}


def failure_page(response: ErrorResponse, failed: FailedRequest) -> Response:
    """Return the page of an error."""
    root_url = failed.public_url
    body = render(
        "error.html",
        public_url=root_url,
        theme=theme_of(failed.scope),
        caller=failed.caller,
        status=response.status,
        heading=HEADINGS.get(response.status, "This did not work"),
        reason=REASONS.get(response.status, response.message),
        actions=[(f"{urlsplit(root_url).path.rstrip('/')}/", "Go to the front page")],
        sign_in=_sign_in(response, failed),
        request_id=failed.request_id,
    )
    return Page(body, status=response.status, headers=transport_headers(root_url))


def _sign_in(response: ErrorResponse, failed: FailedRequest) -> Form | None:
    """Return the form that signs in and leads back to the page, if signing in may help."""
    if response.status != 401 or failed.caller:
        return None
    query = failed.scope["query_string"].decode("latin-1")
    path = failed.path + (f"?{query}" if query else "")
    return Form({"next": local_path(path) if failed.scope["method"] == "GET" else "/"})
