"""Request and response bodies of the Xet store (protocol/xet.md 7, protocol/xet.md 8)."""

from __future__ import annotations

import msgspec
from starlette.types import Receive, Scope, Send


class XorbResponse(msgspec.Struct, frozen=True):
    """The response to a xorb."""

    was_inserted: bool


class ShardResponse(msgspec.Struct, frozen=True):
    """The response to a shard: 1 if it lists a new file, 0 if all are known."""

    result: int


class ChunkRange(msgspec.Struct, frozen=True):
    """A range: the end of chunks is exclusive, the end of bytes inclusive."""

    start: int
    end: int


class PlannedTerm(msgspec.Struct, frozen=True):
    """A part of a file: chunks of a xorb."""

    hash: str
    unpacked_length: int
    range: ChunkRange


class FetchInfo(msgspec.Struct, frozen=True):
    """Version 1: the address of chunks of a xorb."""

    range: ChunkRange
    url: str
    url_range: ChunkRange


class PlanV1(msgspec.Struct, frozen=True):
    """The response of ``/v1/reconstructions/{file}``."""

    offset_into_first_range: int
    terms: list[PlannedTerm]
    fetch_info: dict[str, list[FetchInfo]]


class FetchRange(msgspec.Struct, frozen=True):
    """Version 2: chunks of a xorb, and their stored bytes."""

    chunks: ChunkRange
    bytes: ChunkRange


class XorbFetch(msgspec.Struct, frozen=True):
    """Version 2: the address of chunks of a xorb.

    Each has one range, so that clients never request several at once, which would need multipart
    responses.
    """

    url: str
    ranges: list[FetchRange]


class PlanV2(msgspec.Struct, frozen=True):
    """The response of ``/v2/reconstructions/{file}``."""

    offset_into_first_range: int
    terms: list[PlannedTerm]
    xorbs: dict[str, list[XorbFetch]]


class BatchPlan(msgspec.Struct, frozen=True):
    """The response of ``/v1/reconstructions?file_id=…``."""

    files: dict[str, list[PlannedTerm]]
    fetch_info: dict[str, list[FetchInfo]]


class Validating(msgspec.Struct, frozen=True, tag="validating", tag_field="type"):
    """A progress line of ``/v2/shards``: bytes verified, and bytes in all."""

    verified: int
    total: int


class Result(msgspec.Struct, frozen=True, tag="result", tag_field="type"):
    """The last line of ``/v2/shards`` after success."""

    result: int


class Failure(msgspec.Struct, frozen=True, tag="error", tag_field="type"):
    """The last line of ``/v2/shards`` after an error; the client shows the message."""

    message: str
    retryable: bool


class SizeResponse:
    """A response to HEAD with a ``Content-Length``."""

    def __init__(self, size: int) -> None:
        self._size = size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers and no body."""
        headers = [(b"content-length", b"%d" % self._size)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


class Checksum(msgspec.Struct, frozen=True):
    """The checksum of the xorb's bytes as sent."""

    algo: str  # crc64nvme
    value: str  # decimal


class GrantRequest(msgspec.Struct, frozen=True):
    """The body of ``POST /v1/xorb-grants/…``, which requests a direct upload."""

    length: int
    checksum: Checksum | None = None


class GrantResponse(msgspec.Struct, frozen=True):
    """The address for the direct upload of a xorb."""

    id: str
    method: str
    url: str
    headers: dict[str, str]
