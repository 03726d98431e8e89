"""Runs blocking calls in the threads of their lane, for the requests of one event loop."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import Future as ThreadFuture
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from functools import partial
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from hubstead.admission.lane_queue import Lane, LaneQueue, LaneRules
from hubstead.admission.stalls import StallWatch
from hubstead.admission.work import (
    ByteBudget,
    Call,
    Work,
    current_work,
    set_background,
    set_lasting,
)

P = ParamSpec("P")
T = TypeVar("T")

_MIB = 1 << 20


def default_rules() -> dict[Lane, LaneRules]:
    """Return the bounds of every lane where no settings say otherwise."""
    reads: dict[str, Any] = {"queue": 512, "queue_share": 256, "seconds": 60.0, "abandons": True}
    writes: dict[str, Any] = {"queue": 512, "queue_share": 256}
    return {
        Lane.READS: LaneRules(4, 3, **reads),
        Lane.HISTORY: LaneRules(2, 1, **reads),
        Lane.DIGESTS: LaneRules(4, 3, queue=512, queue_share=256, abandons=True),
        Lane.WRITES: LaneRules(4, 3, **writes),
        Lane.TRANSFERS: LaneRules(16, 12, queue=4096, queue_share=2048),
        Lane.PASSWORDS: LaneRules(2, 1, queue=64, queue_share=8, seconds=20.0, abandons=True),
        Lane.PUSHES: LaneRules(16, 8, queue=64, queue_share=16, seconds=60.0),
        Lane.PROCESSES: LaneRules(64, 48, queue=256, queue_share=64, seconds=60.0, abandons=True),
        Lane.SCANS: LaneRules(4, 3, queue=1024, queue_share=512, seconds=60.0, abandons=True),
        Lane.UPLOADS: LaneRules(32, 24, queue=0, queue_share=0),
        Lane.BACKGROUND: LaneRules(8, 8, queue=1 << 30, queue_share=1 << 30),
    }


class BoundedThreads:
    """A fixed number of threads for the parts of a call that has its place in a lane already.

    Args:
        count: The most threads; they start when needed.
        name: The prefix of their names.
    """

    def __init__(self, count: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(max(1, count), thread_name_prefix=name)

    def submit(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> ThreadFuture[T]:
        """Start a call as soon as a thread is free."""
        return self._pool.submit(function, *args, **kwargs)

    def close(self, *, wait: bool = True) -> None:
        """End the threads once all calls have ended."""
        self._pool.shutdown(wait=wait)


class _Threads:
    """The threads of one lane."""

    def __init__(self, queue: LaneQueue) -> None:
        self.queue = queue
        self._pool = BoundedThreads(queue.rules.width, f"hubstead-{queue.lane}")

    def start(self, call: Call, caller: str | None, function: Callable[[], T]) -> asyncio.Future[T]:
        """Run ``function`` as ``call``; its place has been taken and is returned at its end."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        context = copy_context()
        try:
            self._pool.submit(context.run, self._run, loop, result, call, caller, function)
        except BaseException:
            self.queue.leave(caller)
            raise
        return result

    def _run(
        self,
        loop: asyncio.AbstractEventLoop,
        result: asyncio.Future[T],
        call: Call,
        caller: str | None,
        function: Callable[[], T],
    ) -> None:
        value: T | None = None
        error: BaseException | None = None
        try:
            with call.current():
                call.check()
                value = function()
        except BaseException as caught:
            error = caught
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(self._finish, result, caller, value, error)

    def _finish(
        self,
        result: asyncio.Future[Any],
        caller: str | None,
        value: object,
        error: BaseException | None,
    ) -> None:
        self.queue.leave(caller)
        if result.done():
            return
        if error is None:
            result.set_result(value)
        elif isinstance(error, StopIteration):  # a future cannot carry it
            result.set_exception(RuntimeError("a call in a lane raised StopIteration"))
        else:
            result.set_exception(error)

    def close(self) -> None:
        """End the threads."""
        self._pool.close(wait=False)


class Place:
    """A place in a lane that has been taken: ``start`` or ``give_back`` is called once."""

    __slots__ = ("_caller", "_threads")

    def __init__(self, threads: _Threads, caller: str | None) -> None:
        self._threads = threads
        self._caller = caller

    def start(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Run a call in the lane's thread; its end returns the place."""
        return self._threads.start(Call(None, math.inf), self._caller, function)

    def give_back(self) -> None:
        """Return the place unused."""
        self._threads.queue.leave(self._caller)


class Admission:
    """All lanes of one event loop, and the budget of buffered bytes.

    Args:
        rules: The bounds of lanes; those of ``default_rules`` where left out.
        buffered_bytes: The most bytes that all requests buffer.
        buffered_share: The most bytes that the requests of one caller buffer.
    """

    def __init__(
        self,
        rules: Mapping[Lane, LaneRules] | None = None,
        *,
        buffered_bytes: int = 384 * _MIB,
        buffered_share: int = 192 * _MIB,
    ) -> None:
        merged = {**default_rules(), **(rules or {})}
        self.budget = ByteBudget(buffered_bytes, buffered_share)
        self.stalls = StallWatch()
        self._threads = {lane: _Threads(LaneQueue(lane, merged[lane])) for lane in Lane}

    def queue(self, lane: Lane) -> LaneQueue:
        """Return a lane, for its numbers."""
        return self._threads[lane].queue

    def begin(self, caller: str) -> Work:
        """Return the work of a new request."""
        return Work(caller, self.budget)

    def try_place(self, lane: Lane) -> Place | None:
        """Take a place in ``lane`` if one is free for the caller of this request."""
        work = current_work()
        caller = work.caller if work is not None else None
        threads = self._threads[lane]
        return Place(threads, caller) if threads.queue.try_enter(caller) else None

    async def start(self, lane: Lane, function: Callable[[], T]) -> tuple[Call, asyncio.Future[T]]:
        """Wait for a place in ``lane`` and start a call in its thread.

        Without a request the call runs in ``Lane.BACKGROUND``, whatever its lane. That lane refuses
        no call, since clean-up must happen: its calls wait for its threads.

        Raises:
            Overloaded, ShareExceeded, ClientGone: see ``LaneQueue.enter``.
        """
        work = current_work()
        threads = self._threads[lane if work is not None else Lane.BACKGROUND]
        rules = threads.queue.rules
        caller = work.caller if work is not None else None
        watched = work if rules.abandons else None
        if threads.queue.lane is Lane.BACKGROUND:
            threads.queue.enter_at_once(caller)
            call = Call(None, math.inf)
            return call, threads.start(call, caller, function)
        deadline = time.monotonic() + rules.seconds if rules.seconds != math.inf else math.inf
        if (watched is not None and watched.gone) or not threads.queue.try_enter(caller):
            await threads.queue.enter(caller, watched)
        call = Call(watched, deadline)
        return call, threads.start(call, caller, function)

    @asynccontextmanager
    async def slot(self, lane: Lane) -> AsyncIterator[None]:
        """Have a place in ``lane`` inside the block, without a thread; raises like ``start``."""
        work = current_work()
        queue = self._threads[lane].queue
        caller = work.caller if work is not None else None
        await queue.enter(caller, work if queue.rules.abandons else None)
        try:
            yield
        finally:
            queue.leave(caller)

    def close(self) -> None:
        """End all threads once their calls have ended."""
        for threads in self._threads.values():
            threads.close()


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Admission] = WeakKeyDictionary()


def install_admission(admission: Admission) -> None:
    """Make ``admission`` that of the running event loop, for all calls from now on."""
    _by_loop[asyncio.get_running_loop()] = admission


def _of_this_loop() -> Admission:
    loop = asyncio.get_running_loop()
    admission = _by_loop.get(loop)
    if admission is None:  # a command or a test without settings of its own
        admission = _by_loop[loop] = Admission()
    return admission


async def run_in_lane(
    lane: Lane, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
) -> T:
    """Return the result of a blocking call that runs in a thread of ``lane``.

    The call sees the context variables of the caller, as with ``asyncio.to_thread``. If the caller
    is cancelled, the call is told to end at its next ``checkpoint``, and this returns at once.

    Raises:
        Overloaded, ShareExceeded: the lane is full, for everybody or for this caller.
        ClientGone, WorkTooLong: the client left, or the deadline of the lane has passed.
        Exception: the exception of the call.
    """
    call, result = await _of_this_loop().start(lane, partial(function, *args, **kwargs))
    try:
        return await result
    except asyncio.CancelledError:
        call.cancelled = True
        raise


async def run_to_the_end(
    lane: Lane, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
) -> T:
    """Return the result of a blocking call, awaited to its end even if the caller is cancelled.

    No thread can be stopped: cancelling the caller alone would leave the thread at work on files
    and writers that the caller closes next. Clean-up runs in ``Lane.BACKGROUND``, which refuses
    no call.

    Raises:
        CancelledError: the caller was cancelled; the call has ended, its result is dropped.
        Overloaded, ShareExceeded, Exception: as ``run_in_lane``.
    """
    _call, result = await _of_this_loop().start(lane, partial(function, *args, **kwargs))
    return await wait_to_the_end(result)


async def wait_to_the_end(
    running: asyncio.Future[T], on_cancel: Callable[[], object] | None = None
) -> T:
    """Return the result of a future that must end before its caller does.

    Args:
        running: The future.
        on_cancel: Asks for an early end; called once, when the caller is cancelled.
    """
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if on_cancel is not None:
            on_cancel()
        if not running.done():
            await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # so that asyncio does not log it as never retrieved
        raise


def slot(lane: Lane) -> Any:
    """Return a context manager: a place in ``lane``, without a thread. See ``Admission.slot``."""
    return _of_this_loop().slot(lane)


def try_place(lane: Lane) -> Place | None:
    """Take a place in ``lane`` if one is free; see ``Admission.try_place``."""
    return _of_this_loop().try_place(lane)


def start_lasting(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a task that completes its work for the caller although their client may leave."""
    context = copy_context()
    context.run(set_lasting)
    return asyncio.get_running_loop().create_task(coroutine, context=context)


def start_detached(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a task that serves more than the request which starts it.

    It belongs to no caller, and goes on when their client leaves.
    """
    context = copy_context()
    context.run(set_background)
    return asyncio.get_running_loop().create_task(coroutine, context=context)
