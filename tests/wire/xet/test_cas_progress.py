"""The lines of ``/v2/shards``: regular progress, a final result, and no work after a disconnect."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Message

from hubstead.errors import ClientGone, InvalidInput, Unavailable
from hubstead.wire.xet.progress import CheckProgress, ProgressResponse

#: The interval of lines in these tests, in seconds.
INTERVAL_S = 0.02


class Client:
    """Accepts lines, and disconnects after ``patience`` of them."""

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


async def test_lines_are_sent_while_the_work_continues() -> None:
    async def work(report: CheckProgress) -> bool:
        for at in range(1, 11):
            report(at, 10)
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
async def test_an_error_is_the_last_line(error: Exception, message: str, retryable: bool) -> None:
    async def work(report: CheckProgress) -> bool:
        raise error

    client = Client()
    await client.ask(ProgressResponse(work, interval_s=INTERVAL_S))
    assert client.lines[-1] == {"type": "error", "message": message, "retryable": retryable}
    assert client.ended


async def test_an_internal_error_is_logged_and_hidden_from_the_client() -> None:
    async def work(report: CheckProgress) -> bool:
        raise RuntimeError("secret")

    client = Client()
    with pytest.raises(RuntimeError):
        await client.ask(ProgressResponse(work, interval_s=INTERVAL_S))
    assert client.lines[-1]["type"] == "error"
    assert "secret" not in client.lines[-1]["message"]
    assert client.ended


async def test_the_work_for_a_disconnected_client_is_cancelled() -> None:
    given_up = asyncio.Event()

    async def work(report: CheckProgress) -> bool:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            given_up.set()
            raise
        return True

    with pytest.raises(ClientGone):
        await Client(patience=2).ask(ProgressResponse(work, interval_s=INTERVAL_S))
    assert given_up.is_set()
