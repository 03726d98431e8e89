"""How the server accepts connections: many per turn, also after the machine ran out."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import textwrap
from contextlib import ExitStack

import httpx2
import pytest

from hubstead.http.acceptor import PER_TURN, Acceptor

CLIENTS = 3 * PER_TURN

EXHAUSTED = """
import resource, sys
from hubstead.http import BytesResponse, serve

def started(port):
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    print(port, flush=True)

serve(BytesResponse(b"done"), "127.0.0.1", 0, on_started=started, lifespan="off")
"""


class Counter(asyncio.Protocol):
    """Counts the connections that it belongs to."""

    count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        type(self).count += 1


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_turn_of_the_loop_accepts_many_connections(loop: str) -> None:
    """Every waiting client is accepted within a few turns; busy ones have theirs in between."""
    runner = asyncio.Runner(
        loop_factory=pytest.importorskip("uvloop").new_event_loop if loop == "uvloop" else None
    )

    async def turns() -> int:
        Counter.count = 0
        listener = socket.create_server(("127.0.0.1", 0), backlog=CLIENTS)
        with ExitStack() as clients:
            for _ in range(CLIENTS):
                clients.enter_context(socket.create_connection(listener.getsockname()))
            acceptor = Acceptor(listener, Counter)
            turns = 0
            while Counter.count < CLIENTS:
                await asyncio.sleep(0)
                turns += 1
            acceptor.close()
            await acceptor.wait_closed()
        return turns

    with runner:
        assert runner.run(turns()) < CLIENTS / 4


def test_a_server_out_of_descriptors_accepts_again_once_connections_close() -> None:
    command = [sys.executable, "-c", textwrap.dedent(EXHAUSTED)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with ExitStack() as clients:
            for _ in range(100):
                clients.enter_context(socket.create_connection(("127.0.0.1", port)))
        assert httpx2.get(f"http://127.0.0.1:{port}/", timeout=60).text == "done"
        process.terminate()
        assert process.wait(60) == 0
