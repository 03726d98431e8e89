"""Signed addresses: who may do what with which object, asked again when they are used."""

from __future__ import annotations

import msgspec

from hubstead.accounts import reload_actor
from hubstead.errors import InvalidCredentials
from hubstead.repos import Repo, Right, open_repo_by_id
from hubstead.wire import Request

UPLOAD = "lfs upload"
PARTS = "lfs parts"
DOWNLOAD = "lfs download"


class SignatureRefused(InvalidCredentials):
    """This signed address is not valid, or no longer: ask for a new one."""


class UrlGrant(msgspec.Struct, frozen=True, array_like=True):
    """What an address was signed for."""

    repo: str  # its immutable id
    oid: str
    size: int
    user: int = 0  # 0: nobody, of a public repository
    token: int = 0  # 0: signed in by password
    upload: str = ""  # in parts
    part_bytes: int = 0


def grant_for(
    request: Request, oid: str, size: int, *, upload: str = "", part_bytes: int = 0
) -> UrlGrant:
    """Return a grant to the caller for an object of the repository."""
    actor = request.actor
    return UrlGrant(request.repo.id, oid, size, actor.pk, actor.token_pk, upload, part_bytes)


def sign_url(request: Request, path: str, grant: UrlGrant, *, purpose: str, seconds: float) -> str:
    """Return the absolute address of ``path`` with a signature."""
    signature = request.hub.seal.sign(grant, purpose=purpose, seconds=seconds)
    return f"{request.public_url}{path}?sig={signature}"


def read_grant(request: Request, purpose: str) -> UrlGrant:
    """Return what the address of this call was signed for.

    Raises:
        SignatureRefused: forged, for another purpose, or over.
    """
    try:
        return request.hub.seal.read(request.query.one("sig") or "", UrlGrant, purpose=purpose)
    except InvalidCredentials:
        raise SignatureRefused() from None


async def authorize_grant(request: Request, grant: UrlGrant, right: Right) -> Repo:
    """Return the repository if whom the address was signed for has the right to it today.

    Raises:
        SignatureRefused: they are disabled, or their token is no longer good.
        HubError: what opening a repository raises.
    """
    try:
        request.actor = await reload_actor(request.hub.db, grant.user, grant.token)
    except InvalidCredentials:
        raise SignatureRefused() from None
    request.repo = await open_repo_by_id(request.hub.db, request.actor, grant.repo, right)
    return request.repo
