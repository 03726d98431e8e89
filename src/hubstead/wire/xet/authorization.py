"""Authorizes requests: the token in ``Authorization``, the epoch and the scope in the address."""

from __future__ import annotations

from hubstead.errors import Forbidden, Gated, InvalidCredentials, NotFound, RepoNotFound
from hubstead.http import get_header
from hubstead.repos import Right, XetToken, cas_url, open_xet_token
from hubstead.wire import Request

NO_STORE = "There is no such Xet store here: ask the hub for a new token"
#: One text for unknown names, names of other repositories, and hidden repositories.
NOTHING_HERE = "There is nothing of this name here"


async def authorize(request: Request, right: Right) -> XetToken:
    """Open the repository of the request's Xet token with ``right``, and return the token.

    Sets ``request.actor`` and ``request.repo``.

    Raises:
        NotFound: the epoch is unknown; or the repository is gone, or hidden from the user.
        InvalidCredentials: the token is missing, forged or expired.
        Forbidden: the token, or its user by now, has less than ``right``.
        HubError: as opening the repository.
    """
    await _check_address(request)
    scheme, _, text = (get_header(request.scope, "authorization") or "").strip().partition(" ")
    if scheme.lower() != "bearer":
        raise InvalidCredentials()
    try:
        grant = await open_xet_token(request.hub.db, request.hub.signer, text.strip(), right)
    except RepoNotFound:
        raise NotFound(reason=NOTHING_HERE) from None
    except Gated as error:
        # The wire answers 401 to invalid tokens; this one is valid.
        raise Forbidden(reason=error.message) from None
    request.actor, request.repo, token = grant
    return token


async def _check_address(request: Request) -> None:
    epoch = request.text("epoch")
    # Compared as a whole, so that an address means the same to clients' caches and to the hub.
    matches = cas_url("", epoch) == f"/xet/{epoch}/{request.text('scope')}"
    if not matches or not await request.hub.stores.xet.epochs.knows(epoch):
        raise NotFound(reason=NO_STORE)


def upload_session(request: Request) -> str:
    """Return what all requests of one upload to ``request.repo`` have in common.

    Newer clients send an id; older ones use one token for the whole upload.
    """
    session = get_header(request.scope, "x-xet-session-id")
    session = session or get_header(request.scope, "authorization")
    return f"{request.repo.pk} {request.actor.pk} {session}"
