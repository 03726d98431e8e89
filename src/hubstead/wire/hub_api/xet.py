"""Issues the tokens with which clients download from and upload to the Xet store."""

from __future__ import annotations

from hubstead.commits import RefKind, require_room_for_bytes
from hubstead.http import Response, json_response
from hubstead.repos import Right, require_right
from hubstead.wire import Request, XetAccess, xet_access
from hubstead.wire.hub_api import shapes
from hubstead.wire.hub_api.commit import is_unborn, target_ref


async def issue_read_token(request: Request) -> Response:
    """Issue a token for downloads of the repository's files from the Xet store."""
    await request.revision("/".join(request.segments("rev")) or "HEAD")
    return token_response(await xet_access(request, write=False))


async def issue_write_token(request: Request) -> Response:
    """Issue a token for uploads to the Xet store, for a branch or a pull request.

    For a pull request the caller has to be somebody who may propose. Their token grants uploads,
    and shows no chunks but those of files that they may read. With ``create_pr`` the revision says
    nothing: Python clients write ``None`` there (protocol/hub-api.md 5.1).
    """
    text = "/".join(request.segments("rev")) or "HEAD"
    target = target_ref(request.repo, text)
    opening = request.query.flag("create_pr")
    is_pull = opening or target.kind is RefKind.PULL
    require_right(request.repo, request.actor, Right.PROPOSE if is_pull else Right.WRITE)
    request.hub.refuse_read_only()
    if not opening and not is_unborn(request.repo, target):
        await request.revision(text)
    most = request.hub.settings.accounts.max_bytes
    owner, owner_pk = request.repo.owner, request.repo.owner_pk
    # The sizes are unknown yet, so only an owner without any room is refused before bytes travel.
    await require_room_for_bytes(request.hub.db, owner, owner_pk, most, created=1, uploads=True)
    return token_response(await xet_access(request, write=True))


def token_response(access: XetAccess) -> Response:
    """Return the token in body and headers: clients read either."""
    body = shapes.XetTokenResponse(access.token, access.until, access.url)
    return json_response(body, headers={**access.headers, "Cache-Control": "no-store"})
