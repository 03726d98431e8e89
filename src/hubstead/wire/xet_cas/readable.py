"""Of which stored chunks a caller may be told: rights limit the answers, not what is admitted.

See docs/decisions/0008-xet.md, and the setting ``xet_deduplication``.
"""

from __future__ import annotations

from hubstead.repos import Pass, Right, try_open_repo_by_pk
from hubstead.wire.http import Call
from hubstead.xet import KnownXorb

Ranges = list[tuple[int, int]]
#: How many repositories that use a xorb are asked for one answer.
MOST_REPOS = 50


async def readable(call: Call, shown: Pass, xorb: KnownXorb) -> Ranges:
    """Return which chunks of a xorb the caller may be told of, ends exclusive.

    These are the chunks of committed files in repositories whose content they can read; to who
    may write to the repository of the pass, everything that was uploaded to it.
    """
    setting = call.hub.settings.xet_deduplication
    if setting == "off":
        return []
    xet, own = call.hub.stores.xet, call.repo.pk
    if writes_there(shown) and await xet.was_sent(own, xorb):
        return [(0, xorb.chunks)]
    found: Ranges = []
    if writes_there(shown):
        found += (await xet.users_of(xorb, only=own)).get(own, ())
    users = await xet.users_of(xorb)
    if setting == "repository":
        return found + users.get(own, [])
    for repo_pk, ranges in list(users.items())[:MOST_REPOS]:
        if repo_pk == own or await _may_read(call, repo_pk):
            found += ranges
    return found


async def known_whole(call: Call, shown: Pass, name: str) -> KnownXorb | None:
    """Return a xorb if it is here, undamaged, and the caller may be told of all of its chunks."""
    xorb = await call.hub.stores.xet.find_xorb(name)
    if xorb is None:
        return None
    end = 0
    for start, stop in sorted(await readable(call, shown, xorb)):
        if start > end:
            return None
        end = max(end, stop)
    if end < xorb.chunks or await call.hub.stores.xet.is_damaged(xorb):
        return None
    return xorb


def writes_there(shown: Pass) -> bool:
    """Say whether a pass is of somebody who may write to its repository, not only propose."""
    return shown.write and not shown.proposing


async def _may_read(call: Call, repo_pk: int) -> bool:
    opened = await try_open_repo_by_pk(call.hub.db, call.actor, repo_pk, Right.CONTENT)
    return opened is not None
