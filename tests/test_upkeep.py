"""What every node does for itself goes on, whatever goes wrong in between."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hubstead.app import _run_periodically
from hubstead.errors import Unavailable


@pytest.mark.parametrize("fault", [Unavailable(reason="gone"), OSError("no disk"), ValueError("x")])
async def test_a_chore_that_failed_is_done_again(fault: Exception) -> None:
    done = asyncio.Event()
    faults = [fault]

    async def chore(_hub: Any) -> None:
        if faults:
            raise faults.pop()
        done.set()

    upkeep = asyncio.create_task(_run_periodically(chore, None, 0, 0.01))  # type: ignore[arg-type]
    await asyncio.wait_for(done.wait(), 60)
    upkeep.cancel()
