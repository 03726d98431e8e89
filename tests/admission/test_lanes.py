"""Lanes admit calls by width, share and turn, refuse what exceeds their queues, and end calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from hubstead.admission import (
    Admission,
    Lane,
    LaneRules,
    Work,
    checkpoint,
    current_work,
    install_admission,
    run_in_lane,
    run_to_the_end,
    slot,
    start_detached,
    start_lasting,
    try_place,
)
from hubstead.errors import ClientGone, Overloaded, ShareExceeded, WorkTooLong


def install(lane: Lane = Lane.READS, **rules: object) -> Admission:
    bounds = {"width": 1, "share": 1, "queue": 8, "queue_share": 8, **rules}
    admission = Admission({lane: LaneRules(**bounds)})  # type: ignore[arg-type]
    install_admission(admission)
    return admission


def as_caller(
    name: str, call: Callable[[], object], lane: Lane = Lane.READS
) -> asyncio.Task[object]:
    """Start a call in a request of ``name``."""

    async def request() -> object:
        with Work(name).current():
            return await run_in_lane(lane, call)

    return asyncio.create_task(request())


@asynccontextmanager
async def occupied(admission: Admission, name: str) -> AsyncIterator[None]:
    """Occupy one thread of the reads inside the block."""
    go_on = threading.Event()
    with Work(name).current():
        place = admission.try_place(Lane.READS)
    assert place is not None
    call = place.start(lambda: go_on.wait(60))
    try:
        yield
    finally:
        go_on.set()
        await call


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def test_a_call_returns_its_result_and_raises_its_error() -> None:
    admission = install()
    with Work("ada").current():
        assert await run_in_lane(Lane.READS, int, "ff", base=16) == 255
        with pytest.raises(ValueError, match="invalid literal"):
            await run_in_lane(Lane.READS, int, "none")
    assert admission.queue(Lane.READS).running == 0


async def test_waiting_callers_take_turns_however_long_their_queues() -> None:
    admission = install()
    order: list[str] = []
    async with occupied(admission, "first"):
        calls = [as_caller("greedy", lambda: order.append("greedy")) for _ in range(3)]
        await until(lambda: admission.queue(Lane.READS).queued == 3)
        calls.append(as_caller("modest", lambda: order.append("modest")))
        await until(lambda: admission.queue(Lane.READS).queued == 4)
    await asyncio.gather(*calls)
    assert order == ["greedy", "modest", "greedy", "greedy"]


async def test_one_caller_never_takes_all_threads() -> None:
    admission = install(width=2)
    async with occupied(admission, "greedy"):
        queued = as_caller("greedy", lambda: None)
        await until(lambda: admission.queue(Lane.READS).queued == 1)
        await as_caller("modest", lambda: None)
        assert not queued.done()
    await queued


async def test_a_full_queue_refuses_all_callers_and_a_full_share_one() -> None:
    admission = install(queue=3, queue_share=2)
    async with occupied(admission, "first"):
        waiting = [as_caller("greedy", lambda: None) for _ in range(2)]
        await until(lambda: admission.queue(Lane.READS).queued == 2)
        with pytest.raises(ShareExceeded):
            await as_caller("greedy", lambda: None)
        waiting.append(as_caller("modest", lambda: None))
        await until(lambda: admission.queue(Lane.READS).queued == 3)
        with pytest.raises(Overloaded) as refusal:
            await as_caller("late", lambda: None)
        assert refusal.value.retry_after_s > 0
    await asyncio.gather(*waiting)
    assert admission.queue(Lane.READS).refused == 2


async def test_a_wait_longer_than_the_deadline_is_refused() -> None:
    admission = install(seconds=0.01)
    async with occupied(admission, "first"):
        with pytest.raises(Overloaded):
            await as_caller("late", lambda: None)
    assert admission.queue(Lane.READS).queued == 0


async def test_a_loop_ends_at_its_deadline() -> None:
    install(seconds=0.01)

    def loop() -> None:
        while True:
            checkpoint()

    with pytest.raises(WorkTooLong):
        await as_caller("ada", loop)


@pytest.mark.parametrize("abandons", [True, False])
async def test_a_loop_ends_when_its_client_leaves_if_the_lane_says_so(abandons: bool) -> None:
    install(abandons=abandons)
    work, started, left = Work("ada"), threading.Event(), threading.Event()

    def loop() -> str:
        started.set()
        left.wait(60)
        checkpoint()
        return "completed"

    async def request() -> str:
        with work.current():
            return await run_in_lane(Lane.READS, loop)

    task = asyncio.create_task(request())
    await asyncio.to_thread(started.wait, 60)
    work.leave()
    left.set()
    if abandons:
        with pytest.raises(ClientGone):
            await task
    else:
        assert await task == "completed"


async def test_a_client_that_leaves_frees_its_place_in_the_queue() -> None:
    admission = install(abandons=True)
    work = Work("ada")

    async def request() -> None:
        with work.current():
            await run_in_lane(Lane.READS, lambda: None)

    async with occupied(admission, "first"):
        task = asyncio.create_task(request())
        await until(lambda: admission.queue(Lane.READS).queued == 1)
        work.leave()
        with pytest.raises(ClientGone):
            await task
        assert admission.queue(Lane.READS).queued == 0


async def test_a_cancelled_call_occupies_its_thread_until_it_ends_at_a_checkpoint() -> None:
    admission = install()
    started, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def loop() -> None:
        started.set()
        go_on.wait(60)
        try:
            checkpoint()
        finally:
            ended.set()

    task = as_caller("ada", loop)
    await asyncio.to_thread(started.wait, 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert admission.queue(Lane.READS).running == 1
    go_on.set()
    await until(lambda: admission.queue(Lane.READS).running == 0)
    assert ended.is_set()


async def test_cancelled_waiters_leave_no_trace() -> None:
    admission = install()
    async with occupied(admission, "first"):
        tasks = [as_caller("ada", lambda: None) for _ in range(3)]
        await until(lambda: admission.queue(Lane.READS).queued == 3)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert admission.queue(Lane.READS).queued == 0
    assert admission.queue(Lane.READS).running == 0
    assert await as_caller("ada", lambda: 1) == 1


async def test_a_call_to_the_end_returns_only_after_its_thread_has_ended() -> None:
    started, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        started.set()
        go_on.wait(60)
        ended.set()

    task = asyncio.create_task(run_to_the_end(Lane.WRITES, call))
    await asyncio.to_thread(started.wait, 60)
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_work_without_a_request_and_clean_up_are_never_refused() -> None:
    install(Lane.BACKGROUND, width=1, queue=1, queue_share=1)
    assert await asyncio.gather(*(run_in_lane(Lane.READS, int, n) for n in range(9))) == [*range(9)]
    with Work("ada").current():
        ends = (run_to_the_end(Lane.BACKGROUND, int, n) for n in range(9))
        assert await asyncio.gather(*ends) == [*range(9)]


async def test_a_slot_counts_without_a_thread() -> None:
    admission = install(Lane.PUSHES, queue=0)

    async def push(name: str) -> None:
        with Work(name).current():
            async with slot(Lane.PUSHES):
                await run_in_lane(Lane.WRITES, lambda: None)

    with Work("ada").current():
        async with slot(Lane.PUSHES):
            with pytest.raises(Overloaded):
                await asyncio.create_task(push("bea"))
    await push("bea")
    assert admission.queue(Lane.PUSHES).running == 0


async def test_a_place_is_assigned_only_while_one_is_free() -> None:
    install(Lane.UPLOADS)
    place = try_place(Lane.UPLOADS)
    assert place is not None
    assert try_place(Lane.UPLOADS) is None
    assert await place.start(lambda: "received") == "received"
    again = try_place(Lane.UPLOADS)
    assert again is not None
    again.give_back()


async def test_tasks_can_outlive_the_client_that_started_them() -> None:
    work = Work("ada")

    async def caller() -> tuple[str | None, bool]:
        work.leave()
        current = current_work()
        return (current.caller, current.gone) if current else (None, False)

    with work.current():
        assert await start_lasting(caller()) == ("ada", False)
        assert await start_detached(caller()) == (None, False)
        assert await caller() == ("ada", True)
