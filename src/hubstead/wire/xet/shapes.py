"""What travels in the bodies of the Xet store (protocol/xet.md 7, protocol/xet.md 8)."""

from __future__ import annotations

import msgspec
from starlette.types import Receive, Scope, Send


class XorbResponse(msgspec.Struct, frozen=True):
    """The answer to a xorb."""

    was_inserted: bool


class ShardResponse(msgspec.Struct, frozen=True):
    """The answer to a shard: 1 if it told of a new file, 0 if all were known."""

    result: int


class ChunkRange(msgspec.Struct, frozen=True):
    """A range: of chunks with its end exclusive, of bytes with its end inclusive."""

    start: int
    end: int


class PlannedTerm(msgspec.Struct, frozen=True):
    """A part of a file: chunks of a xorb."""

    hash: str
    unpacked_length: int
    range: ChunkRange


class FetchInfo(msgspec.Struct, frozen=True):
    """Version 1: where chunks of a xorb can be had."""

    range: ChunkRange
    url: str
    url_range: ChunkRange


class PlanV1(msgspec.Struct, frozen=True):
    """The answer of ``/v1/reconstructions/{file}``."""

    offset_into_first_range: int
    terms: list[PlannedTerm]
    fetch_info: dict[str, list[FetchInfo]]


class FetchRange(msgspec.Struct, frozen=True):
    """Version 2: chunks of a xorb, and the bytes that hold them."""

    chunks: ChunkRange
    bytes: ChunkRange


class XorbFetch(msgspec.Struct, frozen=True):
    """Version 2: where chunks of a xorb can be had.

    There is one range in each, so that nobody asks for several at once, which would need
    multipart answers.
    """

    url: str
    ranges: list[FetchRange]


class PlanV2(msgspec.Struct, frozen=True):
    """The answer of ``/v2/reconstructions/{file}``."""

    offset_into_first_range: int
    terms: list[PlannedTerm]
    xorbs: dict[str, list[XorbFetch]]


class BatchPlan(msgspec.Struct, frozen=True):
    """The answer of ``/v1/reconstructions?file_id=…``."""

    files: dict[str, list[PlannedTerm]]
    fetch_info: dict[str, list[FetchInfo]]


class Validating(msgspec.Struct, frozen=True, tag="validating", tag_field="type"):
    """A line of ``/v2/shards``: how many bytes of how many have been checked."""

    verified: int
    total: int


class Result(msgspec.Struct, frozen=True, tag="result", tag_field="type"):
    """The last line of ``/v2/shards`` if all went well."""

    result: int


class Failure(msgspec.Struct, frozen=True, tag="error", tag_field="type"):
    """The last line of ``/v2/shards`` if not; the client shows the message."""

    message: str
    retryable: bool


class SizeResponse:
    """An answer to HEAD that says how many bytes there are."""

    def __init__(self, size: int) -> None:
        self._size = size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        headers = [(b"content-length", b"%d" % self._size)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


class Checksum(msgspec.Struct, frozen=True):
    """Of the bytes of a xorb as they would be sent."""

    algo: str  # crc64nvme
    value: str  # decimal


class GrantRequest(msgspec.Struct, frozen=True):
    """``POST /v1/xorb-grants/…``: may this xorb be sent straight to where it is kept?"""

    length: int
    checksum: Checksum | None = None


class GrantResponse(msgspec.Struct, frozen=True):
    """Where to send a xorb instead of to us."""

    id: str
    method: str
    url: str
    headers: dict[str, str]
