"""Signed URLs: grants to one object; every use checks the user's rights again."""

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
    """The content of a signature: one object, one user, one repository."""

    repo: str  # its immutable id
    oid: str
    size: int
    user: int = 0  # 0: anonymous, for a public repository
    token: int = 0  # 0: signed in by password
    upload: str = ""  # in parts
    part_bytes: int = 0


def grant_for(
    request: Request, oid: str, size: int, *, upload: str = "", part_bytes: int = 0
) -> UrlGrant:
    """Return the caller's grant to an object of the request's repository."""
    actor = request.actor
    return UrlGrant(request.repo.id, oid, size, actor.pk, actor.token_pk, upload, part_bytes)


def sign_url(request: Request, path: str, grant: UrlGrant, *, purpose: str, seconds: float) -> str:
    """Return the absolute URL of ``path`` with a signature that expires after ``seconds``."""
    signature = request.hub.signer.sign(grant, purpose=purpose, seconds=seconds)
    return f"{request.public_url}{path}?sig={signature}"


def read_grant(request: Request, purpose: str) -> UrlGrant:
    """Return the grant in the signature of the request's URL.

    Raises:
        SignatureRefused: the signature is forged, expired, or for another purpose.
    """
    try:
        return request.hub.signer.read(request.query.one("sig") or "", UrlGrant, purpose=purpose)
    except InvalidCredentials:
        raise SignatureRefused() from None


async def authorize_grant(request: Request, grant: UrlGrant, right: Right) -> Repo:
    """Open the grant's repository if its user still has ``right``; set the actor and repo.

    Raises:
        SignatureRefused: the user is disabled, or the token revoked or expired.
        HubError: the errors of ``open_repo_by_id``.
    """
    try:
        request.actor = await reload_actor(request.hub.db, grant.user, grant.token)
    except InvalidCredentials:
        raise SignatureRefused() from None
    request.repo = await open_repo_by_id(request.hub.db, request.actor, grant.repo, right)
    return request.repo
