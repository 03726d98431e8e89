"""An HTTP/1.1 server for any ASGI application: connections, request bodies, responses, files.

It owns the socket, from the first byte of a request to the last of its response, and all limits in
size and time. It never knows a Hub: no repository, no account, no route, no ``wire``.
"""

from hubstead.http.bodies import inflating, read_body, receive_into, stream_body
from hubstead.http.connection import ON_GONE, HttpConnection
from hubstead.http.files import BytesResponse, FileResponse, Source, content_disposition
from hubstead.http.headers import content_length, get_header
from hubstead.http.limits import Limits
from hubstead.http.ranges import Span, names_a_tag, parse_range
from hubstead.http.responses import Response, ResponseBroken, json_response, redirect, text_response
from hubstead.http.server import HttpServer, serve

__all__ = [
    "ON_GONE",
    "BytesResponse",
    "FileResponse",
    "HttpConnection",
    "HttpServer",
    "Limits",
    "Response",
    "ResponseBroken",
    "Source",
    "Span",
    "content_disposition",
    "content_length",
    "get_header",
    "inflating",
    "json_response",
    "names_a_tag",
    "parse_range",
    "read_body",
    "receive_into",
    "redirect",
    "serve",
    "stream_body",
    "text_response",
]
