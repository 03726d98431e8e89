"""Periodic work of a node continues after any error."""

from __future__ import annotations

import asyncio

import pytest

from hubstead.app import run_periodically
from hubstead.errors import Unavailable


@pytest.mark.parametrize("fault", [Unavailable(reason="gone"), OSError("no disk"), ValueError("x")])
async def test_a_failed_periodic_job_runs_again(fault: Exception) -> None:
    done = asyncio.Event()
    faults = [fault]

    async def chore() -> None:
        if faults:
            raise faults.pop()
        done.set()

    upkeep = asyncio.create_task(run_periodically(chore, after_s=0, every_s=0.01))
    await asyncio.wait_for(done.wait(), 60)
    upkeep.cancel()
