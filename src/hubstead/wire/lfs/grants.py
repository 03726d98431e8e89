"""Signed addresses: who may do what with which object, asked again when they are used."""

from __future__ import annotations

import msgspec

from hubstead.accounts import actor_by_pk
from hubstead.errors import InvalidCredentials
from hubstead.repos import Repo, Right, open_repo_by_id
from hubstead.wire.http import Call

UPLOAD = "lfs upload"
PARTS = "lfs parts"
DOWNLOAD = "lfs download"


class SignatureRefused(InvalidCredentials):
    """This signed address is not valid, or no longer: ask for a new one."""


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """What an address was signed for."""

    repo: str  # its immutable id
    oid: str
    size: int
    user: int = 0  # 0: nobody, of a public repository
    token: int = 0  # 0: signed in by password
    upload: str = ""  # in parts
    part_bytes: int = 0


def grant_for(call: Call, oid: str, size: int, *, upload: str = "", part_bytes: int = 0) -> Grant:
    """Return a grant to the caller for an object of the repository."""
    actor = call.actor
    return Grant(call.repo.id, oid, size, actor.pk, actor.token_pk, upload, part_bytes)


def signed(call: Call, path: str, grant: Grant, *, purpose: str, seconds: float) -> str:
    """Return the absolute address of ``path`` with a signature."""
    return (
        f"{call.public_url}{path}?sig={call.hub.seal.sign(grant, purpose=purpose, seconds=seconds)}"
    )


def grant_of(call: Call, purpose: str) -> Grant:
    """Return what the address of this call was signed for.

    Raises:
        SignatureRefused: forged, for another purpose, or over.
    """
    try:
        return call.hub.seal.read(call.query.one("sig") or "", Grant, purpose=purpose)
    except InvalidCredentials:
        raise SignatureRefused() from None


async def open_again(call: Call, grant: Grant, right: Right) -> Repo:
    """Return the repository if whom the address was signed for has the right to it today.

    Raises:
        SignatureRefused: they are disabled, or their token is no longer good.
        HubError: what opening a repository raises.
    """
    try:
        call.actor = await actor_by_pk(call.hub.db, grant.user, grant.token)
    except InvalidCredentials:
        raise SignatureRefused() from None
    call.repo = await open_repo_by_id(call.hub.db, call.actor, grant.repo, right)
    return call.repo
