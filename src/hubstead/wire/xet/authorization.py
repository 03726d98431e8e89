"""Who calls: the pass in ``Authorization``, the epoch and the scope in the address."""

from __future__ import annotations

from hubstead.errors import Forbidden, Gated, InvalidCredentials, NotFound, RepoNotFound
from hubstead.http import get_header
from hubstead.repos import Right, XetToken, cas_url, open_xet_token
from hubstead.wire import Request

NO_STORE = "There is no such Xet store here: ask the hub for a new token"
#: The same for what does not exist, what is not in this repository, and a hidden repository.
NOTHING_HERE = "There is nothing of this name here"


async def authorize(request: Request, right: Right) -> XetToken:
    """Open the repository of the call's pass with ``right``, and return the pass.

    Raises:
        NotFound: the epoch is unknown; or the repository is gone, or hidden from the caller.
        InvalidCredentials: there is no pass, or it is forged or over.
        Forbidden: it is for reading, or its user may only read, or not even that.
        HubError: what else opening a repository raises.
    """
    await _check_address(request)
    scheme, _, text = (get_header(request.scope, "authorization") or "").strip().partition(" ")
    if scheme.lower() != "bearer":
        raise InvalidCredentials()
    try:
        opened = await open_xet_token(request.hub.db, request.hub.seal, text.strip(), right)
    except RepoNotFound:
        raise NotFound(reason=NOTHING_HERE) from None
    except Gated as error:
        # 401 is what a pass is told that is not good; this one is.
        raise Forbidden(reason=error.message) from None
    request.actor, request.repo, shown = opened
    return shown


async def _check_address(request: Request) -> None:
    epoch = request.text("epoch")
    # Compared as a whole, so that an address means the same to clients' caches and to us.
    known = cas_url("", epoch) == f"/xet/{epoch}/{request.text('scope')}"
    if not known or not await request.hub.stores.xet.knows_epoch(epoch):
        raise NotFound(reason=NO_STORE)


def session_of(request: Request) -> str:
    """Return what the requests of one upload to a repository, which is open, have in common.

    Clients name it from some release on; the others use one pass for all.
    """
    told = get_header(request.scope, "x-xet-session-id") or get_header(
        request.scope, "authorization"
    )
    return f"{request.repo.pk} {request.actor.pk} {told}"
