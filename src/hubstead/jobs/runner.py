"""Runs jobs: claims those that are due, renews their leases, reschedules failures."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeAlias

import msgspec
import structlog

from hubstead.db import Database, Tx
from hubstead.jobs import claims
from hubstead.jobs.claims import Claim
from hubstead.jobs.node_clock import NodeClock
from hubstead.jobs.queue import enqueue, enqueue_if_absent

#: The longest pause before a failed job is tried again.
LONGEST_PAUSE_S = 3600.0

_log = structlog.get_logger("hubstead.jobs")


class Job(msgspec.Struct, frozen=True):
    """A job as its handler receives it."""

    type: str
    subject: str
    payload: dict[str, object]
    attempt: int  # 1 for the first


class Reschedule(msgspec.Struct, frozen=True):
    """The result of a handler whose job runs again in ``after_s`` seconds."""

    after_s: float = 0.0


#: Does a job. It may be done more than once, also after it succeeded: a handler is idempotent.
Handler: TypeAlias = Callable[[Job], Awaitable[Reschedule | None]]
#: Looks, cheaply, whether there is something to do.
WorkProbe: TypeAlias = Callable[[], Awaitable[object]]


class _Held:
    """A job that is being done here."""

    def __init__(self, claim: Claim, lane: str, until: float) -> None:
        self.claim = claim
        self.lane = lane
        self.until = until  # by time.monotonic()
        self.task: asyncio.Task[None] | None = None
        self.lost = False
        self.recording = False

    def interrupt(self) -> None:
        """Cancel the handler; one that has come to its end gets its outcome written down."""
        if self.task and not self.recording:
            self.task.cancel()


class Runner:
    """Does the jobs whose types have a handler, on this node.

    Args:
        db: Where the jobs are.
        handlers: The handler of each type of job.
        node: What this process is called in ``hubstead jobs``; any text. With SQLite, one that
            ends with ``:`` and the process id takes over at once what dead ones have left.
        poll_s: How often to look for work, in seconds.
        at_once: How many jobs are done at once.
        lanes: Types with a bound of their own, so that they and the others never wait for each
            other.
        lease_s: How long after the death of a node others take over its jobs.
        pause_s: How long the first retry waits; each further one twice as long.
        grace_s: How long ``stop`` lets running jobs go on.
        clock: The node's clock: while it is wrong, the runner takes no jobs.
    """

    def __init__(
        self,
        db: Database,
        handlers: Mapping[str, Handler],
        *,
        node: str,
        poll_s: float = 0.25,
        at_once: int = 4,
        lanes: Mapping[str, int] | None = None,
        lease_s: float = 30.0,
        pause_s: float = 1.0,
        grace_s: float = 5.0,
        clock: NodeClock | None = None,
    ) -> None:
        self._db = db
        self._handlers = dict(handlers)
        self._node = node
        self._poll_s = poll_s
        self._lease_s = lease_s
        self._pause_s = pause_s
        self._grace_s = grace_s
        self._clock = clock
        bounded = {name: most for name, most in (lanes or {}).items() if name in handlers}
        common = [name for name in handlers if name not in bounded]
        self._lanes = {"": (common, at_once)} | {
            name: ([name], most) for name, most in bounded.items()
        }
        self._recurring: dict[str, float] = {}
        self._prompts: dict[str, WorkProbe] = {}
        self._held: set[_Held] = set()
        self._planned = False
        self._stopping = False
        self._awake = asyncio.Event()

    def schedule_every(self, type_: str, seconds: float) -> None:
        """Have the job ``type_`` done every so often, by whichever node is free; before ``run``."""
        self._recurring[type_] = seconds

    def add_probe(self, type_: str, prompt: WorkProbe) -> None:
        """Have the job ``type_`` done whenever ``prompt`` finds work (asked at each poll)."""
        self._prompts[type_] = prompt

    def wake(self) -> None:
        """Look for work now instead of at the next poll."""
        self._awake.set()

    def stop(self) -> None:
        """Have ``run`` take no more jobs and return when those it has are done."""
        self._stopping = True
        self._awake.set()

    async def run(self) -> None:
        """Do jobs until ``stop``. Jobs that outlast the grace are cancelled and released."""
        renewing = asyncio.create_task(self._renew_for_ever())
        try:
            while not self._stopping:
                self._awake.clear()
                await self._safely(self._look_for_work)
                await self._wait()
            await self._drain(self._grace_s)
        finally:
            await self._give_back()
            renewing.cancel()

    async def _safely(self, step: Callable[[], Awaitable[None]]) -> None:
        """A database that is away for a while must not end the runner."""
        try:
            await step()
        except Exception as error:
            _log.error("looking for jobs failed", error=_text(error))
            await asyncio.sleep(self._pause_s)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._poll_s):
                await self._awake.wait()
        except TimeoutError:
            return

    async def _plan_recurring(self) -> None:
        async def plan(tx: Tx) -> None:
            for name, seconds in self._recurring.items():
                await enqueue_if_absent(tx, name, "")
                # A shorter interval than the last release's takes effect now.
                await enqueue(tx, name, "", after_s=seconds)

        await self._db.write(plan)

    async def _look_for_work(self) -> None:
        if self._clock is not None and not self._clock.agrees:
            return
        if not self._planned:
            if self._db.dialect_name == "sqlite":  # which is open on this machine alone
                await claims.release_dead(self._db, self._node)
            await self._plan_recurring()
            self._planned = True
        for name, prompt in self._prompts.items():
            if await prompt():
                await self._db.write(partial(enqueue_if_absent, type_=name, subject=""))
        for lane, (types, most) in self._lanes.items():
            free = most - sum(held.lane == lane for held in self._held)
            if types and free > 0:
                await self._claim(lane, types, free)

    async def _claim(self, lane: str, types: list[str], most: int) -> None:
        until = time.monotonic() + self._lease_s
        found = await claims.claim(
            self._db, types, most=most, node=self._node, lease_s=self._lease_s
        )
        for claim in found:
            held = _Held(claim, lane, until)
            before = [each for each in self._held if each.claim.pk == claim.pk]
            self._held.add(held)
            held.task = asyncio.create_task(self._work(held, before), name=f"job {claim.type}")

    # -- one job ----------------------------------------------------------------------------

    async def _work(self, held: _Held, before: list[_Held]) -> None:
        claim = held.claim
        try:
            await self._end_before(before)
            outcome = await self._handlers[claim.type](
                Job(claim.type, claim.subject, claim.payload, claim.attempt)
            )
        except asyncio.CancelledError:
            if not held.lost:
                await self._record(held, claims.release(self._db, claim))
        except Exception as error:
            await self._record(held, self._failed(claim, error))
        else:
            await self._record(held, self._succeeded(claim, outcome))
        finally:
            self._held.discard(held)
            self._awake.set()

    async def _end_before(self, before: list[_Held]) -> None:
        """End what this node still does under a lease that is over (it was suspended, say)."""
        for old in before:
            old.lost = True
            old.interrupt()
        tasks = [old.task for old in before if old.task]
        if tasks:
            await asyncio.wait(tasks)

    async def _record(self, held: _Held, change: Awaitable[None]) -> None:
        held.recording = True
        try:
            await change
        except Exception as error:
            # The job stays claimed until its lease ends, and is then done again.
            _log.error("outcome of a job not kept", type=held.claim.type, error=_text(error))

    async def _succeeded(self, claim: Claim, outcome: Reschedule | None) -> None:
        if outcome is None and claim.type in self._recurring:
            outcome = Reschedule(self._recurring[claim.type])
        if outcome is None:
            await claims.finish(self._db, claim)
        else:
            await claims.reschedule(self._db, claim, outcome.after_s)

    async def _failed(self, claim: Claim, error: Exception) -> None:
        pause = self._pause_s * 2.0 ** min(claim.attempt - 1, 30)
        longest = min(LONGEST_PAUSE_S, self._recurring.get(claim.type, LONGEST_PAUSE_S))
        pause = min(pause, longest) * random.uniform(0.75, 1.25)  # noqa: S311
        _log.warning(
            "job failed",
            type=claim.type,
            subject=claim.subject,
            attempt=claim.attempt,
            again_in_s=round(pause, 1),
            exc_info=error,
        )
        await claims.fail(self._db, claim, _text(error), pause)

    # -- leases -----------------------------------------------------------------------------

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 3)
            for held in list(self._held):
                await self._renew(held)

    async def _renew(self, held: _Held) -> None:
        until = time.monotonic() + self._lease_s
        try:
            kept = await claims.renew(self._db, held.claim, self._lease_s)
        except Exception as error:
            _log.error("lease not renewed", type=held.claim.type, error=_text(error))
            kept = time.monotonic() < held.until
        else:
            held.until = until if kept else held.until
        if not kept and held in self._held:
            # Another node does it by now: two must not.
            held.lost = True
            held.interrupt()

    async def _drain(self, grace_s: float) -> None:
        tasks = [held.task for held in self._held if held.task]
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)

    async def _give_back(self) -> None:
        tasks = [held.task for held in self._held if held.task]
        for held in self._held:
            held.interrupt()
        if tasks:
            await asyncio.wait(tasks)
        # A task that was cancelled before its first step never came to release its claim.
        for held in list(self._held):
            await self._record(held, claims.release(self._db, held.claim))


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
