"""The server as a process: start, stop, TLS."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.support.http_server import App, RawConnection

from hubstead.http import HttpServer

SCRIPT = """
import asyncio, sys
from hubstead.http import BytesResponse, serve

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        if "broken" in sys.argv:
            raise RuntimeError("cannot start")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("closed", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    print("request", flush=True)
    await asyncio.sleep(float(scope["query_string"]))
    await BytesResponse(b"done")(scope, receive, send)

serve(app, "127.0.0.1", int(sys.argv[1]), on_started=lambda port: print(port, flush=True))
print("returned", flush=True)
"""


@pytest.fixture
def run() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", textwrap.dedent(SCRIPT), *arguments]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def begin_request(process: subprocess.Popen[str], seconds: float) -> RawConnection:
    assert process.stdout
    port = int(process.stdout.readline())
    wire = RawConnection(socket.create_connection(("127.0.0.1", port), 60))
    wire.request("GET", f"/?{seconds}")
    assert process.stdout.readline() == "request\n"
    return wire


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_running_request_finish_and_the_caller_close_its_resources(
    run: Callable[..., subprocess.Popen[str]], sig: Any
) -> None:
    process = run("0")
    with begin_request(process, 0.5) as wire:
        process.send_signal(sig)
        status, headers, body = wire.answer()
        assert (status, body, headers["connection"]) == (200, b"done", "close")
    assert process.stdout is not None
    assert process.stdout.read() == "closed\nreturned\n"
    assert process.wait(60) == 0


def test_a_second_signal_ends_the_server_at_once(run: Callable[..., subprocess.Popen[str]]) -> None:
    process = run("0")
    with begin_request(process, 3600) as wire:
        process.terminate()
        time.sleep(0.4)
        assert process.poll() is None
        process.terminate()
        process.wait(60)
        assert b"done" not in wire.rest()


def test_an_address_in_use_is_a_failure(run: Callable[..., subprocess.Popen[str]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert run(str(taken.getsockname()[1])).wait(60) != 0


def test_an_application_that_cannot_start_is_a_failure(
    run: Callable[..., subprocess.Popen[str]],
) -> None:
    process = run("0", "broken")
    assert process.wait(60) != 0
    assert process.stdout is not None
    assert process.stdout.read() == ""


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make a certificate")
def test_tls_uses_the_ordinary_path(folder: Path, tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate", tmp_path / "key"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x"
    command: list[str | Path] = [*make.split(), "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    app = App(folder, extensions=True)
    started = threading.Event()
    server = HttpServer(
        app, on_started=lambda port: started.set(), lifespan="off", tls=(certificate, key)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert started.wait(60)
        url = f"https://127.0.0.1:{server.port}"
        content = (folder / "file-big").read_bytes()
        trust = ssl.create_default_context()
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE
        with httpx2.Client(verify=trust) as client:
            assert client.get(url + "/file-big").content == content
            assert client.put(url + "/upload", content=content).json()["count"] == len(content)
            assert client.put(url + "/denied", content=bytes(20_000_000)).status_code == 401
        assert app.offered == [set(), set(), set()]
    finally:
        server.stop()
        thread.join(60)
    assert not thread.is_alive()
