"""The request layer that every wire shares, and one room per protocol on top of it."""

from hubstead.wire.application import Application
from hubstead.wire.request import Hub, QueryParams, Request
from hubstead.wire.routing import Access, Doc, Route, Router
from hubstead.wire.xet_access import XetAccess, open_lfs, reconstruction_url, token_url, xet_access

__all__ = [
    "Access",
    "Application",
    "Doc",
    "Hub",
    "QueryParams",
    "Request",
    "Route",
    "Router",
    "XetAccess",
    "open_lfs",
    "reconstruction_url",
    "token_url",
    "xet_access",
]
