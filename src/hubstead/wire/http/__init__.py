"""HTTP/1.1: the server, bodies in and bytes out; what every wire shares."""

from hubstead.wire.http.answers import Answer, json_answer, redirect, text_answer
from hubstead.wire.http.application import Application
from hubstead.wire.http.bodies import inflating, read_body, receive_into, stream_body
from hubstead.wire.http.call import Call, Hub, Query
from hubstead.wire.http.files import BytesAnswer, FileAnswer, Source, disposition
from hubstead.wire.http.headers import content_length, one_header
from hubstead.wire.http.limits import Limits
from hubstead.wire.http.protocol import HubProtocol
from hubstead.wire.http.ranges import Span, names_a_tag, parse_range
from hubstead.wire.http.routing import Access, Route, Router, Says
from hubstead.wire.http.server import HubServer, serve
from hubstead.wire.http.xet_access import (
    XetAccess,
    open_lfs,
    reconstruction_url,
    token_url,
    xet_access,
)

__all__ = [
    "Access",
    "Answer",
    "Application",
    "BytesAnswer",
    "Call",
    "FileAnswer",
    "Hub",
    "HubProtocol",
    "HubServer",
    "Limits",
    "Query",
    "Route",
    "Router",
    "Says",
    "Source",
    "Span",
    "XetAccess",
    "content_length",
    "disposition",
    "inflating",
    "json_answer",
    "names_a_tag",
    "one_header",
    "open_lfs",
    "parse_range",
    "read_body",
    "receive_into",
    "reconstruction_url",
    "redirect",
    "serve",
    "stream_body",
    "text_answer",
    "token_url",
    "xet_access",
]
