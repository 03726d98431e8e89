"""The routes of the Xet store.

Client releases differ in whether they write ``/v1`` and the plural (protocol/xet.md 7), so nearly
every address exists with and without either. The repository is in the token, not in the address, so
handlers call `authorize`; the address of ``bytes`` is signed instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from starlette.types import ASGIApp

from hubstead.wire import Access, Doc, Request, Route
from hubstead.wire.xet.chunks import find_chunk
from hubstead.wire.xet.direct_uploads import commit_direct_upload, offer_direct_upload
from hubstead.wire.xet.ranges import fetch_range
from hubstead.wire.xet.reconstructions import (
    file_size,
    no_chunk_hashes,
    plan_several,
    plan_v1,
    plan_v2,
)
from hubstead.wire.xet.shapes import (
    BatchPlan,
    GrantRequest,
    PlanV1,
    PlanV2,
    ShardResponse,
    XorbResponse,
)
from hubstead.wire.xet.shards import register_shard, register_with_progress
from hubstead.wire.xet.telemetry import telemetry
from hubstead.wire.xet.xorbs import upload_xorb, xorb_size

CAS = "/xet/{epoch}/{scope}"
OLD, V1, V2 = "", "/v1", "/v2"
_NOTHING = Doc()
_BYTES = Doc(media_type="application/octet-stream")
_LINES = Doc(media_type="application/x-ndjson")

_Handler = Callable[[Request], Awaitable[ASGIApp]]


def _route(
    method: str, path: str, handler: _Handler, doc: Doc = _NOTHING, *, only_reads: bool = False
) -> Route:
    return Route(method, path, handler, Access.OPEN, "xet", doc, only_reads=only_reads)


def _spelled(method: str, path: str, handler: _Handler, doc: Doc = _NOTHING) -> Iterator[Route]:
    """Yield a route in all spellings; ``(s)`` marks the plural."""
    for version in (OLD, V1):
        for plural in ("s", ""):
            yield _route(method, f"{CAS}{version}/{path.replace('(s)', plural)}", handler, doc)


ROUTES: list[Route] = [
    *_spelled("POST", "xorb(s)/default/{hash}", upload_xorb, Doc(answer=XorbResponse)),
    *_spelled("HEAD", "xorb(s)/default/{hash}", xorb_size),
    *_spelled("POST", "shard(s)", register_shard, Doc(answer=ShardResponse)),
    # Releases up to 1.1.9 put the shard's hash into the address.
    *_spelled("POST", "shard(s)/default/{hash}", register_shard, Doc(answer=ShardResponse)),
    *_spelled("PUT", "shard(s)/default/{hash}", register_shard, Doc(answer=ShardResponse)),
    _route("POST", f"{CAS}{V2}/shards", register_with_progress, _LINES),
    # Every client says `default`, the protocol's text `default-merkledb`.
    *_spelled("GET", "chunk(s)/default/{hash}", find_chunk, _BYTES),
    *_spelled("GET", "chunk(s)/default-merkledb/{hash}", find_chunk, _BYTES),
    *_spelled("GET", "reconstruction(s)/{file}", plan_v1, Doc(answer=PlanV1)),
    *_spelled("GET", "reconstruction(s)", plan_several, Doc("file_id", answer=BatchPlan)),
    _route("GET", f"{CAS}{V2}/reconstructions/{{file}}", plan_v2, Doc(answer=PlanV2)),
    *_spelled("HEAD", "file(s)/{file}", file_size),
    _route("GET", f"{CAS}{V2}/file-chunk-hashes/{{file}}", no_chunk_hashes),
    _route(
        "POST",
        f"{CAS}{V1}/xorb-grants/default/{{hash}}",
        offer_direct_upload,
        Doc(body=GrantRequest),
    ),
    _route("POST", f"{CAS}{V1}/xorb-commits/default/{{hash}}/grant/{{id}}", commit_direct_upload),
    # Signed: the address alone authorizes.
    _route("GET", f"{CAS}/bytes/{{blob}}", fetch_range, _BYTES),
    # Clients use the origin of casUrl here, without its path.
    _route("POST", f"{V1}/telemetry", telemetry, only_reads=True),
    _route("POST", f"{CAS}{V1}/telemetry", telemetry, only_reads=True),
]
