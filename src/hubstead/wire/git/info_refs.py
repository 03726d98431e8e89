"""``GET …/info/refs``: the advertisement of refs and capabilities, for a fetch or a push."""

from __future__ import annotations

from pathlib import Path

from hubstead import __version__
from hubstead.admission import Lane, run_in_lane
from hubstead.errors import Forbidden
from hubstead.http import Response
from hubstead.repos import Right, allows, require_right
from hubstead.wire import Request
from hubstead.wire.git.packets import FLUSH, lines, packet
from hubstead.wire.git.references import References

UPLOAD_PACK, RECEIVE_PACK = "git-upload-pack", "git-receive-pack"
NO_CACHE = {
    "cache-control": "no-cache, max-age=0, must-revalidate",
    "expires": "Fri, 01 Jan 1980 00:00:00 GMT",
    "pragma": "no-cache",
}
#: The capabilities of our ``receive-pack`` (gitprotocol-capabilities).
PUSH_CAPABILITIES = (
    "report-status",
    "report-status-v2",
    "delete-refs",
    "side-band-64k",
    "quiet",
    "atomic",
    "ofs-delta",
    "object-format=sha1",
    f"agent=hubstead/{__version__}",
)


async def info_refs(request: Request) -> Response:
    """Advertise refs and capabilities to git."""
    service = request.query.one("service")
    if service == RECEIVE_PACK:
        require_right(request.repo, request.actor, Right.PROPOSE)
        request.hub.refuse_read_only()
        return _response(service, await _push_advertisement(request))
    if service == UPLOAD_PACK:
        return _response(service, await _fetch_advertisement(request))
    raise Forbidden(reason="This hub speaks git's smart protocol only: use git 1.6.6 or newer")


def protocol(request: Request) -> int:
    """Return the protocol version that the client requests: 0, 1 or 2."""
    requested = request.headers.get("git-protocol", "").split(":")
    return max((n for n in (1, 2) if f"version={n}" in requested), default=0)


async def projection(request: Request, refs: References) -> Path:
    """Return a git directory that shows ``refs`` to git's programs."""
    git = await request.git()
    await request.hub.stores.fetch_missing_packs(request.repo, [row.target for row in refs.rows])
    show = request.hub.stores.git.projection
    return await run_in_lane(Lane.READS, show, git.repo_id, refs.by_name, refs.head)


async def _fetch_advertisement(request: Request) -> bytes:
    version = protocol(request)
    refs = await References.of(request)
    upload_pack = request.hub.stores.git.upload_pack
    capabilities = upload_pack.cached_capabilities(version)
    if not capabilities:
        folder = await projection(request, refs)
        capabilities = await run_in_lane(Lane.READS, upload_pack.capabilities, folder, version)
    if version == 2:
        return lines(["version 2", *capabilities]) + FLUSH
    if not refs.rows:
        return _version_line(version) + FLUSH  # as git does
    symref = [f"symref=HEAD:{refs.head}"] if refs.head_oid else []
    return _version_line(version) + refs.classic([*capabilities, *symref], head=True, peeled=True)


async def _push_advertisement(request: Request) -> bytes:
    refs = await References.of(request)
    # Pushes have no v2: a client that requests it accepts the answer of v0.
    may_write = allows(request.repo, request.actor, Right.WRITE)
    # A pack of somebody who may only propose has to contain the bases of its deltas.
    capabilities = PUSH_CAPABILITIES if may_write else (*PUSH_CAPABILITIES, "no-thin")
    advertisement = refs.classic(capabilities, head=False, peeled=False)
    return _version_line(protocol(request)) + advertisement


def _version_line(version: int) -> bytes:
    return packet("version 1\n") if version == 1 else b""


def _response(service: str, advertisement: bytes) -> Response:
    body = packet(f"# service={service}\n") + FLUSH + advertisement
    media_type = f"application/x-{service}-advertisement"
    return Response(body, media_type=media_type, headers=NO_CACHE)
