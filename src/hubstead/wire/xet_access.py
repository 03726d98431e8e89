"""Access to the Xet store for all wires: tokens, URLs, and LFS objects stored as Xet files."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from hubstead.blobs import open_intact
from hubstead.errors import BlobDamaged
from hubstead.http import Source
from hubstead.repos import Right, allows, cas_url, issue_xet_token
from hubstead.wire.request import Request
from hubstead.xet import LfsObject


@dataclass(frozen=True)
class XetAccess:
    """The response of the token routes and of LFS batches (protocol/xet.md 10.1)."""

    token: str
    until: int  # Unix time in seconds
    url: str  # of the Xet store, without a trailing slash

    @property
    def headers(self) -> dict[str, str]:
        """The same as headers, spelled as ``git-xet`` looks them up."""
        return {
            "X-Xet-Cas-Url": self.url,
            "X-Xet-Access-Token": self.token,
            "X-Xet-Token-Expiration": str(self.until),
        }


async def xet_access(request: Request, *, write: bool) -> XetAccess:
    """Issue a Xet token for the request's repository. The caller of this has checked the right.

    Args:
        request: The request, with its actor and repository.
        write: Whether the token allows uploads, too; for a caller who may only propose, uploads
            for a pull request.
    """
    proposing = write and not allows(request.repo, request.actor, Right.WRITE)
    epoch = await request.hub.stores.xet.epochs.current()
    token, until = issue_xet_token(
        request.hub.signer,
        request.actor,
        request.repo,
        write=write,
        proposing=proposing,
        epoch=epoch,
        seconds=request.hub.settings.xet.token_seconds,
    )
    return XetAccess(token, until, cas_url(request.public_url, epoch))


def token_url(request: Request, verb: Literal["read", "write"], revision: str | None) -> str:
    """Return the absolute URL that issues Xet tokens; that of a bucket has no revision."""
    repo = f"{request.repo.kind.plural}/{request.repo.full_name}"
    address = f"{request.public_url}/api/{repo}/xet-{verb}-token"
    return address if revision is None else f"{address}/{quote(revision, safe='')}"


async def reconstruction_url(request: Request, file: str) -> str:
    """Return the absolute URL of a Xet file's reconstruction."""
    epoch = await request.hub.stores.xet.epochs.current()
    return f"{cas_url(request.public_url, epoch)}/v1/reconstructions/{file}"


async def open_lfs(request: Request, lfs_object: LfsObject) -> Source:
    """Open an LFS object: a plain blob of the store, or a reconstruction from xorbs.

    Raises:
        BlobDamaged: its bytes are missing, have another size, or are marked as damaged.
        Unavailable: the store does not answer.
    """
    lfs_object.require_intact()
    if lfs_object.is_plain:
        with contextlib.suppress(BlobDamaged):
            return await open_intact(
                request.hub.blobs, lfs_object.key, lfs_object.place, lfs_object.bytes
            )
    # Other bytes may have replaced these since the row was read, so it is read again.
    return await request.hub.stores.xet.open_object(lfs_object.sha256)
