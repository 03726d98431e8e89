"""Limits the fetches of readers to what the refs of a repository reach.

Protocol version 2 serves any object whose id the client knows, and git's own check for older
versions walks the history for each request. The hub therefore checks the ids itself.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from hubstead.admission import Lane, run_in_lane
from hubstead.commits import Reachability
from hubstead.wire.git.packets import FLUSH, packet, read_all
from hubstead.wire.git.references import References
from hubstead.wire.request import Request

_DELIMITER = b"0001"
_LINE = re.compile(rb"(want|have|shallow) ([0-9a-fA-F]{40})")


class _Lines(NamedTuple):
    """The packets of a fetch, and the ids that they name by the word before."""

    packets: list[bytes | None]
    named: dict[bytes, set[str]]


class NotOurRef(Exception):
    """A fetch wants an object that refs do not reach; ``oid`` is its id."""

    def __init__(self, oid: str) -> None:
        super().__init__(oid)
        self.oid = oid


async def limit_to_reachable(request: Request, refs: References, body: bytes) -> bytes:
    """Return the body without commits that refs do not reach.

    Commits that the client says it has are left out as if the hub had never stored them, so that
    the answer does not tell whether it did.

    Raises:
        NotOurRef: the client wants an object that refs do not reach, or that does not exist.
    """
    lines = await run_in_lane(Lane.READS, _parse, body)
    wants = lines.named.get(b"want", set()) - {row.oid for row in refs.rows}
    others = lines.named.get(b"have", set()) | lines.named.get(b"shallow", set())
    reachability = Reachability(request.hub.stores, request.repo, await request.git())
    reached = await reachability.commits_among(wants | others) if wants or others else set()
    strange = wants - reached
    if strange and not await reachability.has_objects(strange):
        raise NotOurRef(min(strange))
    unknown = others - reached - {row.oid for row in refs.rows}
    return await run_in_lane(Lane.READS, _without, lines.packets, unknown) if unknown else body


def _parse(body: bytes) -> _Lines:
    packets = read_all(body)
    named: dict[bytes, set[str]] = {}
    for line in packets:
        if line and (match := _LINE.match(line)):
            named.setdefault(match[1], set()).add(match[2].decode().lower())
    return _Lines(packets, named)


def _without(packets: list[bytes | None], unknown: set[str]) -> bytes:
    frames = []
    for line in packets:
        if line is None:
            frames.append(FLUSH)
        elif not line:
            frames.append(_DELIMITER)
        else:
            match = _LINE.match(line)
            if not (match and match[1] != b"want" and match[2].decode().lower() in unknown):
                frames.append(packet(line))
    return b"".join(frames)
