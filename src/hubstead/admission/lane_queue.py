"""A lane: how many calls run at once, who waits, and whose turn is next. On one event loop."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from dataclasses import dataclass
from enum import StrEnum

from hubstead.admission.work import Work
from hubstead.errors import ClientGone, Overloaded, ShareExceeded


class Lane(StrEnum):
    """The kinds of blocking work, each with threads (or places) and a queue of its own."""

    READS = "reads"  # short reads of git and files
    HISTORY = "history"  # walks through history, diffs, expanded listings
    DIGESTS = "digests"  # hashes and decoding of bodies, shards and xorbs
    WRITES = "writes"  # objects of commits, files made durable
    TRANSFERS = "transfers"  # bytes from and to slow disks and S3
    PASSWORDS = "passwords"  # argon2, 64 MiB each
    PUSHES = "pushes"  # pushes and the steps of their checks
    PROCESSES = "processes"  # programs of git that serve a fetch
    SCANS = "scans"  # long reads of SQLite
    UPLOADS = "uploads"  # bodies received in a thread, at their client's pace
    BACKGROUND = "background"  # jobs, commands, clean-up


@dataclass(frozen=True, slots=True)
class LaneRules:
    """The bounds of a lane.

    ``seconds`` limit a call, its wait in the queue included. A lane that ``abandons`` ends the
    calls of clients that have left; others complete what they have begun.
    """

    width: int  # calls at once
    share: int  # of one caller
    queue: int  # calls that wait
    queue_share: int  # of one caller
    seconds: float = math.inf
    abandons: bool = False


class LaneQueue:
    """Admits calls: a free place at once, else in turn of their callers, else an error."""

    def __init__(self, lane: Lane, rules: LaneRules) -> None:
        self.lane = lane
        self.rules = rules
        self.running = 0
        self.queued = 0
        self.refused = 0
        self._by_caller: dict[str, int] = {}
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def try_enter(self, caller: str | None) -> bool:
        """Take a place for a caller (None: the background) if one is free for them."""
        if self.running >= self.rules.width or self._is_over_share(caller):
            return False
        self._take(caller)
        return True

    def enter_at_once(self, caller: str | None) -> None:
        """Take a place although none may be free: the call waits for a thread instead."""
        self._take(caller)

    async def enter(self, caller: str | None, work: Work | None) -> None:
        """Wait for a place and take it.

        Raises:
            Overloaded: the queue is full, or the wait took longer than ``seconds``.
            ShareExceeded: too many calls of this caller wait.
            ClientGone: the client of ``work`` left before or while the call waited.
        """
        if work is not None and work.gone:
            raise ClientGone()
        if self.try_enter(caller):
            return
        key = caller or ""
        self._require_room(caller, key)
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if work is not None:
            work.watch(place)
        self._waiting.setdefault(key, deque()).append(place)
        self.queued += 1
        try:
            async with asyncio.timeout(
                None if math.isinf(self.rules.seconds) else self.rules.seconds
            ):
                await place
        except TimeoutError:
            self._give_up(caller, key, place)
            self.refused += 1
            raise Overloaded(lane=self.lane) from None
        except BaseException:
            self._give_up(caller, key, place)
            raise

    def leave(self, caller: str | None) -> None:
        """Return a place, and pass it to the call whose turn is next."""
        self.running -= 1
        if caller is not None:
            left = self._by_caller[caller] - 1
            if left:
                self._by_caller[caller] = left
            else:
                del self._by_caller[caller]
        if self._waiting:
            self._admit_next()

    def _is_over_share(self, caller: str | None) -> bool:
        return caller is not None and self._by_caller.get(caller, 0) >= self.rules.share

    def _take(self, caller: str | None) -> None:
        self.running += 1
        if caller is not None:
            self._by_caller[caller] = self._by_caller.get(caller, 0) + 1

    def _require_room(self, caller: str | None, key: str) -> None:
        if caller is None:
            return  # the background is bounded by its own number of jobs
        if self.queued >= self.rules.queue:
            self.refused += 1
            raise Overloaded(lane=self.lane)
        if len(self._waiting.get(key, ())) >= self.rules.queue_share:
            self.refused += 1
            raise ShareExceeded(lane=self.lane)

    def _give_up(self, caller: str | None, key: str, place: asyncio.Future[None]) -> None:
        places = self._waiting.get(key)
        if places is not None and place in places:
            places.remove(place)
            self.queued -= 1
            if not places:
                del self._waiting[key]
        elif place.done() and not place.cancelled() and place.exception() is None:
            self.leave(caller)  # the place came at the same moment as the end of the wait

    def _admit_next(self) -> None:
        for key in list(self._waiting):
            caller = key or None
            if self.running >= self.rules.width:
                return
            if self._is_over_share(caller):
                continue
            places = self._waiting[key]
            while places:
                place = places.popleft()
                self.queued -= 1
                if not place.done():
                    self._take(caller)
                    place.set_result(None)
                    break
            if places:
                self._waiting.move_to_end(key)
            else:
                del self._waiting[key]
