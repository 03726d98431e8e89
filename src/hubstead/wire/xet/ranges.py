"""Signed addresses of ranges of xorbs, which plans contain, and the route that serves them.

An address opens one range of one xorb to one user for one repository. The hub checks the user's
rights again at every use. Every fault is a 403, at which clients request a new plan
(protocol/xet.md 8.3).
"""

from __future__ import annotations

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from hubstead.accounts import reload_actor
from hubstead.blobs import BlobKey, BlobKind, LocalBlob, stored_name_of
from hubstead.errors import BlobDamaged, BlobNotFound, Forbidden, HubError, StorageFull, Unavailable
from hubstead.http import FileResponse, get_header, parse_range
from hubstead.repos import Right, cas_url, open_repo_by_id
from hubstead.wire import Hub, Request

PURPOSE = "xet range"
REFUSED = "This address is not valid, or no longer: ask for a new plan"
_HEADERS = [("Cache-Control", "private, no-transform")]
#: Ranges of one plan that point to S3 itself, at most. Signing for S3 takes half a millisecond,
#: fifty times as long as for the hub, and a file with very many ranges has small ones.
MOST_DIRECT = 500
#: An open range, or one that counts from the end, is never within the signed one.
_ENDLESS = 1 << 62
_CONDITIONS = frozenset(
    (
        b"range",
        b"if-range",
        b"if-match",
        b"if-none-match",
        b"if-modified-since",
        b"if-unmodified-since",
    )
)


class RangeGrant(msgspec.Struct, frozen=True, array_like=True):
    """What an address is signed for."""

    repo: str  # its immutable id
    user: int
    token: int
    blob: str
    first: int
    last: int  # inclusive


class RangeUrls:
    """Signs the addresses of one plan."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._seconds = request.hub.settings.blobs.signed_url_seconds
        self._direct = request.hub.blobs.direct
        self._direct_left = MOST_DIRECT
        self._base = cas_url(request.public_url, request.text("epoch"))

    async def sign(self, blob: str, first: int, last: int) -> str:
        """Return the address of the stored bytes ``first`` to ``last`` (inclusive) of a xorb."""
        if self._direct is not None and self._direct_left > 0:
            self._direct_left -= 1
            key = BlobKey(BlobKind.XORB, blob)
            return await self._direct.url(key, expires_s=int(self._seconds), span=(first, last))
        return self._signed(blob, first, last)

    def _signed(self, blob: str, first: int, last: int) -> str:
        request = self._request
        grant = RangeGrant(
            request.repo.id, request.actor.pk, request.actor.token_pk, blob, first, last
        )
        sig = request.hub.signer.sign(grant, purpose=PURPOSE, seconds=self._seconds)
        return f"{self._base}/bytes/{blob}?sig={sig}"


async def fetch_range(request: Request) -> ASGIApp:
    """Send the range that the address is signed for, or a part of it."""
    try:
        grant = await _open_grant(request)
        first, last = _requested_range(request, grant)
        return _RangeResponse(request.hub, BlobKey(BlobKind.XORB, grant.blob), first, last)
    except (Unavailable, StorageFull):
        raise
    except HubError:
        raise Forbidden(reason=REFUSED) from None


async def _open_grant(request: Request) -> RangeGrant:
    grant = request.hub.signer.read(request.query.one("sig") or "", RangeGrant, purpose=PURPOSE)
    if request.text("blob") != grant.blob:
        raise Forbidden(reason="the address was changed")
    request.actor = await reload_actor(request.hub.db, grant.user, grant.token)
    request.repo = await open_repo_by_id(request.hub.db, request.actor, grant.repo, Right.READ)
    return grant


def _requested_range(request: Request, grant: RangeGrant) -> tuple[int, int]:
    """Return the first and last byte to send: the signed range, or the part in ``Range``."""
    span = parse_range(get_header(request.scope, "range"), _ENDLESS)
    if span is None:
        return grant.first, grant.last
    last = span.start + span.count - 1
    if span.start < grant.first or last > grant.last:
        raise Forbidden(reason="the range was not signed")
    return span.start, last


class _RangeResponse:
    """Sends a range of a xorb from this node's copy."""

    def __init__(self, hub: Hub, key: BlobKey, first: int, last: int) -> None:
        self._hub = hub
        self._key = key
        self._last = last
        self._range = b"bytes=%d-%d" % (first, last)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond 206 with the range, regardless of conditions in the request."""
        headers = [line for line in scope["headers"] if line[0] not in _CONDITIONS]
        unconditional = {**scope, "headers": [*headers, (b"range", self._range)]}
        try:
            await (await self._file())(unconditional, receive, send)
        except BlobDamaged:  # the cache dropped the copy before it was opened
            await (await self._file())(unconditional, receive, send)

    async def _file(self) -> FileResponse:
        try:
            path = await self._hub.stores.xet.cache.path(self._key)
            size = path.stat().st_size
        except (BlobNotFound, FileNotFoundError):
            raise await self._absence() from None
        if size <= self._last:
            raise BlobDamaged(blob=str(self._key), fault=f"it has only {size} bytes")
        return FileResponse(LocalBlob(size, path), headers=_HEADERS)

    async def _absence(self) -> HubError:
        """Return the error of bytes that are missing: deleted with their row, or lost."""
        try:
            await stored_name_of(self._hub.db, self._key)
        except BlobNotFound:
            return Forbidden(reason=REFUSED)
        return BlobDamaged(blob=str(self._key), fault="its bytes are missing")
