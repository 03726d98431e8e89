"""What the wires tell of the Xet store: the way in, and LFS objects that are kept in it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from hubstead.blobs import open_stored
from hubstead.errors import BlobNotFound, Unavailable
from hubstead.http import Source
from hubstead.repos import cas_url, issue_xet_token
from hubstead.wire.request import Request
from hubstead.xet import LfsObject


@dataclass(frozen=True)
class XetAccess:
    """What the token routes, and LFS batches of Xet uploads, tell (protocol/xet.md 10.1)."""

    token: str
    until: int  # Unix time in seconds
    url: str  # of the store, without a last slash

    @property
    def headers(self) -> dict[str, str]:
        """The same as headers, spelled as ``git-xet`` looks them up."""
        return {
            "X-Xet-Cas-Url": self.url,
            "X-Xet-Access-Token": self.token,
            "X-Xet-Token-Expiration": str(self.until),
        }


async def xet_access(request: Request, *, write: bool, proposing: bool = False) -> XetAccess:
    """Let the caller into the Xet store for the repository; the right to is asked before.

    Args:
        call: The request.
        write: Whether to upload as well.
        proposing: For a pull request only, which readers may open.
    """
    epoch = await request.hub.stores.xet.epochs.current()
    token, until = issue_xet_token(
        request.hub.seal,
        request.actor,
        request.repo,
        write=write,
        epoch=epoch,
        seconds=request.hub.settings.xet.token_seconds,
        proposing=proposing,
    )
    return XetAccess(token, until, cas_url(request.public_url, epoch))


def token_url(request: Request, verb: Literal["read", "write"], revision: str) -> str:
    """Return the absolute address of the repository's Xet tokens."""
    repo = f"{request.repo.kind.plural}/{request.repo.full_name}"
    return f"{request.public_url}/api/{repo}/xet-{verb}-token/{quote(revision, safe='')}"


async def reconstruction_url(request: Request, file: str) -> str:
    """Return the absolute address of the plan to put a Xet file together."""
    epoch = await request.hub.stores.xet.epochs.current()
    return f"{cas_url(request.public_url, epoch)}/v1/reconstructions/{file}"


async def open_lfs(request: Request, found: LfsObject) -> Source:
    """Return the bytes of an LFS object: as they lie in the store, or put together from xorbs.

    Raises:
        Unavailable: the bytes of what the database knows are not there, not even the second time.
    """
    with contextlib.suppress(BlobNotFound):
        return await _open(request, found)
    try:
        return await _open(request, found)
    except BlobNotFound:
        raise Unavailable(reason="bytes that should be in the store are missing") from None


async def _open(request: Request, found: LfsObject) -> Source:
    if found.is_plain:
        return await open_stored(request.hub.blobs, found.sha256, found.place)
    return await request.hub.stores.xet.open_object(found.sha256)
