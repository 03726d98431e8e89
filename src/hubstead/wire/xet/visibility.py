"""Which stored chunks a client may learn about; the rights limit responses, not uploads.

See docs/decisions/0008-xet.md, and the setting ``xet_deduplication``.
"""

from __future__ import annotations

from hubstead.repos import Right, XetToken, try_open_repo_by_pk
from hubstead.wire import Request
from hubstead.xet import KnownXorb, chunk_users, find_xorb, was_uploaded

Ranges = list[tuple[int, int]]
#: Repositories whose rights one response checks at most.
MOST_REPOS = 50


async def visible_chunks(request: Request, token: XetToken, xorb: KnownXorb) -> Ranges:
    """Return the ranges of chunks of a xorb that the client may learn about, ends exclusive.

    These are the chunks of committed files in repositories that the user may read. A user who may
    write to the token's repository also sees all uploads to it.
    """
    setting = request.hub.settings.xet.deduplication
    if setting == "off":
        return []
    db, own = request.hub.db, request.repo.pk
    if may_write(token) and await was_uploaded(db, own, xorb):
        return [(0, xorb.chunks)]
    visible: Ranges = []
    if may_write(token):
        visible += (await chunk_users(db, xorb, only=own)).get(own, ())
    users = await chunk_users(db, xorb)
    if setting == "repository":
        return visible + users.get(own, [])
    for repo_pk, ranges in list(users.items())[:MOST_REPOS]:
        if repo_pk == own or await _may_read(request, repo_pk):
            visible += ranges
    return visible


async def fully_visible_xorb(request: Request, token: XetToken, name: str) -> KnownXorb | None:
    """Return a xorb if it is stored, undamaged, and the client may learn about all its chunks."""
    xorb = await find_xorb(request.hub.db, name)
    if xorb is None:
        return None
    end = 0
    for start, stop in sorted(await visible_chunks(request, token, xorb)):
        if start > end:
            return None
        end = max(end, stop)
    if end < xorb.chunks or await request.hub.stores.xet.damage.is_damaged(xorb):
        return None
    return xorb


def may_write(token: XetToken) -> bool:
    """Return whether the token's user may write to its repository."""
    return token.right is Right.WRITE


async def _may_read(request: Request, repo_pk: int) -> bool:
    repo = await try_open_repo_by_pk(request.hub.db, request.actor, repo_pk, Right.READ)
    return repo is not None
