"""Blocking calls in threads, awaited to their end even when the caller is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def to_thread_to_the_end(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return the result of a blocking call that runs in a thread, as `asyncio.to_thread` does.

    No thread can be stopped: cancelling the caller alone would leave the thread at work on files
    and writers that the caller closes next. So this returns or raises only after the call ended.

    Raises:
        CancelledError: the caller was cancelled; the call has ended, its result is dropped.
        Exception: the exception of the call.
    """
    context = copy_context()
    return await run_to_the_end(None, partial(context.run, function, *args, **kwargs))


async def run_to_the_end(
    executor: Executor | None,
    call: Callable[[], T],
    *,
    on_cancel: Callable[[], object] | None = None,
) -> T:
    """Return the result of ``call`` in ``executor`` (None: the loop's own), awaited to its end.

    Args:
        executor: Where the call runs.
        call: The blocking call.
        on_cancel: Asks the call to end early; called once, when the caller is cancelled.

    Raises:
        CancelledError, Exception: see `to_thread_to_the_end`.
    """
    running = asyncio.get_running_loop().run_in_executor(executor, call)
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
