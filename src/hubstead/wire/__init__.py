"""The request layer that every protocol shares: routes, credentials, errors, request metrics.

It owns the way from a request to a handler and from an error to a response. Each protocol is a room
on top (``hub_api``, ``lfs``, ``git``, ``xet``) and never imports another. It never touches SQL.
"""

from hubstead.wire.application import Application
from hubstead.wire.cookies import cookies_of, session_cookie, set_cookie
from hubstead.wire.error_page import FailedRequest
from hubstead.wire.error_responses import ErrorResponse, one_line
from hubstead.wire.request import Hub, QueryParams, Request
from hubstead.wire.routing import Access, Doc, Route, Router, encoded_path
from hubstead.wire.xet_access import XetAccess, open_lfs, reconstruction_url, token_url, xet_access

__all__ = [
    "Access",
    "Application",
    "Doc",
    "ErrorResponse",
    "FailedRequest",
    "Hub",
    "QueryParams",
    "Request",
    "Route",
    "Router",
    "XetAccess",
    "cookies_of",
    "encoded_path",
    "one_line",
    "open_lfs",
    "reconstruction_url",
    "session_cookie",
    "set_cookie",
    "token_url",
    "xet_access",
]
