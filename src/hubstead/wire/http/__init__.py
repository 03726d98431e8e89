"""HTTP/1.1: the server, bodies in and bytes out; what every wire shares."""

from hubstead.wire.http.bodies import inflating, read_body, receive_into, stream_body
from hubstead.wire.http.files import BytesAnswer, FileAnswer, Source, disposition
from hubstead.wire.http.headers import content_length, one_header
from hubstead.wire.http.limits import Limits
from hubstead.wire.http.protocol import HubProtocol
from hubstead.wire.http.ranges import Span, parse_range
from hubstead.wire.http.server import HubServer, serve

__all__ = [
    "BytesAnswer",
    "FileAnswer",
    "HubProtocol",
    "HubServer",
    "Limits",
    "Source",
    "Span",
    "content_length",
    "disposition",
    "inflating",
    "one_header",
    "parse_range",
    "read_body",
    "receive_into",
    "serve",
    "stream_body",
]
