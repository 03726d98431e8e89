"""``hubstead serve``: what stops a start, what it warns of, and the address that it prints."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.command import HUBSTEAD, clean_environment
from tests.support.hub import ForkedHub
from tests.support.services import Postgres


def refusal(data: Path, *options: str, under: tuple[str, ...] = (), **variables: str) -> str:
    """Start a hub that cannot start; return its only line, without the name of the program."""
    result = subprocess.run(
        [*under, HUBSTEAD, "serve", "--data", data, *options],
        env=clean_environment() | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 1, result.stderr
    assert result.stdout == ""
    # Events of the log, such as of slow statements, are JSON.
    (line,) = [line for line in result.stderr.splitlines() if not line.startswith("{")]
    assert line.startswith("hubstead: ")
    return line.removeprefix("hubstead: ")


def test_a_port_in_use_stops_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        line = refusal(tmp_path / "data", "--port", port)
    place = f"127.0.0.1 port {port} (settings host, port)"
    assert line == f"cannot listen on {place}: Address already in use"


def test_a_newline_in_the_path_of_the_data_stops_the_start(tmp_path: Path) -> None:
    line = refusal(tmp_path / "a\nb")
    assert line == "data: it contains a newline or another control character"
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def bound_by_modes() -> tuple[str, ...]:
    """A command to run programs under, so that permissions of files bind them: root's do not."""
    if os.geteuid():
        return ()
    command = ("setpriv", "--bounding-set", "-dac_override")
    if not shutil.which(command[0]) or subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("root cannot give up its right to write everywhere here")
    return command


def test_a_read_only_data_folder_stops_the_start(
    tmp_path: Path, bound_by_modes: tuple[str, ...]
) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o500)
    line = refusal(data, under=bound_by_modes)
    assert line == f"the data folder {data} cannot be written: Permission denied"


def test_a_database_of_another_user_stops_the_start(
    tmp_path: Path, bound_by_modes: tuple[str, ...]
) -> None:
    (tmp_path / "hubstead.db").touch(mode=0o400)
    line = refusal(tmp_path, under=bound_by_modes)
    reason = "the disk is read-only, or another user owns it"
    assert line == f"{tmp_path}/hubstead.db cannot be written: {reason}"


def test_a_missing_database_stops_the_start(tmp_path: Path, postgres_server: Postgres) -> None:
    line = refusal(tmp_path / "data", HUBSTEAD_DATABASE=postgres_server.url("absent"))
    assert line == 'database "absent" does not exist: create it (docs/running.md)'


def test_a_hub_warns_of_its_proxy_and_of_a_database_that_forgets(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    """The PostgreSQL of the tests forgets, for speed."""
    env = {
        "HUBSTEAD_DATABASE": postgres_server.fresh_database(),
        "HUBSTEAD_TRUSTED_PROXIES": "127.0.0.1/32",
    }
    hub = ForkedHub(tmp_path / "data", env).start()
    hub.stop()
    events = [json.loads(line) for line in hub.log.read_text().splitlines()]
    warnings = [event["event"] for event in events if event["level"] == "warning"]
    assert any(text.startswith("trusted_proxies is set, but") for text in warnings)
    for setting in ("fsync=off", "full_page_writes=off", "synchronous_commit=off"):
        assert any(text.startswith(f"PostgreSQL runs with {setting}: ") for text in warnings)


def test_a_hub_on_every_ipv6_address_prints_one_that_answers(tmp_path: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    hub = ForkedHub(tmp_path / "data", options=["--host", "::"]).start()
    try:
        host, _, port = hub.public_url.removeprefix("http://").rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), 60) as client:
            client.sendall(f"GET /healthz HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            assert client.recv(100).startswith(b"HTTP/1.1 200")
    finally:
        hub.stop()
