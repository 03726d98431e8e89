"""The lines of ``/v2/shards``: often enough, in the end how it went, and no work for nobody."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Message

from hubstead.errors import ClientGone, InvalidInput, Unavailable
from hubstead.wire.xet.progress import CheckProgress, ProgressResponse

#: How often the lines come in these tests, in seconds.
INTERVAL_S = 0.02


class Client:
    """Takes lines, and hangs up after ``patience`` of them."""

    def __init__(self, patience: int = 1000) -> None:
        self.lines: list[dict[str, Any]] = []
        self.ended = False
        self._patience = patience

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200
            return
        if len(self.lines) == self._patience:
            raise ClientGone()
        assert message["body"].endswith(b"\n")
        self.lines.append(json.loads(message["body"]))
        self.ended = not message["more_body"]

    async def ask(self, answer: ProgressResponse) -> None:
        await answer({"type": "http"}, _nothing, self.take)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


async def test_lines_keep_coming_while_the_work_goes_on() -> None:
    async def work(told: CheckProgress) -> bool:
        for at in range(1, 11):
            told(at, 10)
            await asyncio.sleep(0.03)
        return True

    client = Client()
    await client.ask(ProgressResponse(work, interval_s=INTERVAL_S))
    *before, last = client.lines
    assert last == {"type": "result", "result": 1}
    assert client.ended
    seen = [line["verified"] for line in before]
    assert len(seen) >= 5
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert before[-1]["total"] == 10


@pytest.mark.parametrize(
    ("error", "message", "retryable"),
    [
        (InvalidInput(reason="it is wrong"), "it is wrong", False),
        (Unavailable(reason="later"), "The server cannot answer right now: later", True),
    ],
)
async def test_what_went_wrong_is_the_last_line(
    error: Exception, message: str, retryable: bool
) -> None:
    async def work(told: CheckProgress) -> bool:
        raise error

    client = Client()
    await client.ask(ProgressResponse(work, interval_s=INTERVAL_S))
    assert client.lines[-1] == {"type": "error", "message": message, "retryable": retryable}
    assert client.ended


async def test_an_internal_error_goes_to_the_log_and_not_to_the_client() -> None:
    async def work(told: CheckProgress) -> bool:
        raise RuntimeError("secret")

    client = Client()
    with pytest.raises(RuntimeError):
        await client.ask(ProgressResponse(work, interval_s=INTERVAL_S))
    assert client.lines[-1]["type"] == "error"
    assert "secret" not in client.lines[-1]["message"]
    assert client.ended


async def test_the_work_of_a_client_that_went_is_given_up() -> None:
    given_up = asyncio.Event()

    async def work(told: CheckProgress) -> bool:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            given_up.set()
            raise
        return True

    with pytest.raises(ClientGone):
        await Client(patience=2).ask(ProgressResponse(work, interval_s=INTERVAL_S))
    assert given_up.is_set()
