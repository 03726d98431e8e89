"""Calls in threads end before the coroutine that awaits them does."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hubstead.threads import run_to_the_end, to_thread_to_the_end


async def test_a_call_returns_its_result_and_raises_its_error() -> None:
    assert await to_thread_to_the_end(int, "ff", base=16) == 255
    with pytest.raises(ValueError, match="invalid literal"):
        await to_thread_to_the_end(int, "none")


async def test_a_cancelled_caller_waits_until_the_thread_has_ended() -> None:
    started, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        go_on.wait(60)
        ended.set()

    task = asyncio.create_task(to_thread_to_the_end(work))
    await asyncio.to_thread(started.wait, 60)
    task.cancel()
    await asyncio.sleep(0.05)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_a_cancelled_caller_asks_the_call_to_end_early() -> None:
    started, stop = threading.Event(), threading.Event()

    def work() -> bool:
        started.set()
        return stop.wait(60)

    task = asyncio.create_task(run_to_the_end(None, work, on_cancel=stop.set))
    await asyncio.to_thread(started.wait, 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stop.is_set()
