"""Of which stored chunks a caller may be told: rights limit the answers, not what is admitted.

See docs/decisions/0008-xet.md, and the setting ``xet_deduplication``.
"""

from __future__ import annotations

from hubstead.repos import Right, XetToken, try_open_repo_by_pk
from hubstead.wire import Request
from hubstead.xet import KnownXorb

Ranges = list[tuple[int, int]]
#: How many repositories that use a xorb are asked for one answer.
MOST_REPOS = 50


async def visible_chunks(request: Request, shown: XetToken, xorb: KnownXorb) -> Ranges:
    """Return which chunks of a xorb the caller may be told of, ends exclusive.

    These are the chunks of committed files in repositories whose content they can read; to who
    may write to the repository of the pass, everything that was uploaded to it.
    """
    setting = request.hub.settings.xet.deduplication
    if setting == "off":
        return []
    xet, own = request.hub.stores.xet, request.repo.pk
    if may_write(shown) and await xet.was_uploaded(own, xorb):
        return [(0, xorb.chunks)]
    found: Ranges = []
    if may_write(shown):
        found += (await xet.chunk_users(xorb, only=own)).get(own, ())
    users = await xet.chunk_users(xorb)
    if setting == "repository":
        return found + users.get(own, [])
    for repo_pk, ranges in list(users.items())[:MOST_REPOS]:
        if repo_pk == own or await _may_read(request, repo_pk):
            found += ranges
    return found


async def fully_visible_xorb(request: Request, shown: XetToken, name: str) -> KnownXorb | None:
    """Return a xorb if it is here, undamaged, and the caller may be told of all of its chunks."""
    xorb = await request.hub.stores.xet.find_xorb(name)
    if xorb is None:
        return None
    end = 0
    for start, stop in sorted(await visible_chunks(request, shown, xorb)):
        if start > end:
            return None
        end = max(end, stop)
    if end < xorb.chunks or await request.hub.stores.xet.is_damaged(xorb):
        return None
    return xorb


def may_write(shown: XetToken) -> bool:
    """Say whether a pass is of somebody who may write to its repository, not only propose."""
    return shown.write and not shown.proposing


async def _may_read(request: Request, repo_pk: int) -> bool:
    opened = await try_open_repo_by_pk(request.hub.db, request.actor, repo_pk, Right.READ)
    return opened is not None
