"""A hub finishes its requests after SIGTERM; two hubs never share a data folder."""

from __future__ import annotations

import base64
import hashlib
import json
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.support.hub import HubFailed, ProcessHub, running_hub
from tests.support.processes import wait_until

pytestmark = pytest.mark.long  # every test starts a hub of its own

MIB = 1 << 20


def _begin_request(node: ProcessHub, head: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", node.port), timeout=60)
    connection.sendall(f"{head}\r\nHost: hub\r\nAuthorization: Bearer {node.token}\r\n".encode())
    return connection


def _rest(connection: socket.socket) -> bytes:
    data = bytearray()
    while piece := connection.recv(MIB):
        data += piece
    return bytes(data)


def _terminate(node: ProcessHub) -> None:
    """Send SIGTERM and wait until new connections are refused."""
    assert node.process is not None
    node.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", node.port)):
                return
        assert time.monotonic() < deadline, "new connections are still accepted"
        time.sleep(0.05)


def _lines(path: str, data: bytes) -> bytes:
    content = base64.b64encode(data).decode()
    lines = [
        {"key": "header", "value": {"summary": "add"}},
        {"key": "file", "value": {"path": path, "content": content, "encoding": "base64"}},
    ]
    return "\n".join(json.dumps(line) for line in lines).encode()


def _upload(node: ProcessHub, data: bytes) -> None:
    oid = hashlib.sha256(data).hexdigest()
    body = {
        "operation": "upload",
        "transfers": ["basic"],
        "objects": [{"oid": oid, "size": len(data)}],
    }
    lfs = {"Content-Type": "application/vnd.git-lfs+json"}
    response = node.call("POST", "/admin/m.git/info/lfs/objects/batch", body, **lfs)
    href = response.json["objects"][0]["actions"]["upload"]["href"]
    assert node.call("PUT", href, data, token="").status == 200
    value = {"path": "big.bin", "algo": "sha256", "oid": oid, "size": len(data)}
    lines = [{"key": "header", "value": {"summary": "big"}}, {"key": "lfsFile", "value": value}]
    text = "\n".join(json.dumps(line) for line in lines)
    url, kind = "/api/models/admin/m/commit/main", {"Content-Type": "application/x-ndjson"}
    assert node.call("POST", url, text, **kind).status == 200


def test_sigterm_lets_a_download_and_a_commit_finish_and_ends_with_success(tmp_path: Path) -> None:
    big = hashlib.shake_256(b"big").digest(48 * MIB)
    body = _lines("late.txt", b"late " * 100_000)
    with running_hub(tmp_path / "hub") as node:
        node.call("POST", "/api/repos/create", {"name": "m"})
        _upload(node, big)
        download = _begin_request(node, "GET /admin/m/resolve/main/big.bin HTTP/1.1")
        download.sendall(b"\r\n")
        first = download.recv(1000)
        commit = _begin_request(node, "POST /api/models/admin/m/commit/main HTTP/1.1")
        head = f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n"
        commit.sendall(head.encode() + body[: len(body) // 2])
        time.sleep(0.3)
        _terminate(node)
        commit.sendall(body[len(body) // 2 :])
        assert _rest(commit).startswith(b"HTTP/1.1 200 ")
        received = first + _rest(download)
        assert received.partition(b"\r\n\r\n")[2] == big
        assert node.process is not None
        assert node.process.wait(60) == 0
        node.start()
        assert node.call("GET", "/admin/m/resolve/main/late.txt").body == b"late " * 100_000
        assert node.stop() == 0


def test_a_client_that_never_finishes_does_not_delay_the_end(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub", {"shutdown_seconds": "1"}) as node:
        node.call("POST", "/api/repos/create", {"name": "m"})
        commit = _begin_request(node, "POST /api/models/admin/m/commit/main HTTP/1.1")
        body = _lines("never.txt", b"never " * 1000)
        head = f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n"
        commit.sendall(head.encode() + body[:-10])
        time.sleep(0.3)
        assert node.stop(timeout_s=60) == 0
        assert "in order" in node.run("doctor").stdout
        assert list((tmp_path / "hub" / "git").rglob("tmp_*")) == []


def test_sigterm_ends_a_hub_with_idle_connections(tmp_path: Path) -> None:
    # A hub that waits for idle connections does so for an hour.
    settings = {"shutdown_seconds": "3600"}
    with (
        running_hub(tmp_path / "hub", settings) as node,
        socket.create_connection(("127.0.0.1", node.port)),
    ):
        assert node.stop(timeout_s=60) == 0


def test_a_second_server_on_the_same_data_folder_is_refused_with_the_reason(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub") as node:
        second = ProcessHub(tmp_path / "hub")
        with pytest.raises(HubFailed, match="another server holds the data folder"):
            second.start()
        assert "Traceback" not in second.log.read_text()
        assert node.call("GET", "/readyz").status == 200


def test_a_draining_hub_is_not_ready_but_serves_until_connections_are_refused(
    tmp_path: Path,
) -> None:
    # Only the second signal ends a drain of an hour.
    with running_hub(tmp_path / "hub", {"drain_seconds": "3600"}) as node:
        node.call("POST", "/api/repos/create", {"name": "m"})
        assert node.process is not None
        node.process.send_signal(signal.SIGTERM)
        wait_until(lambda: node.call("GET", "/readyz").status == 503)
        assert "shutting down" in node.call("GET", "/readyz").message
        served = node.call("GET", "/api/models/admin/m")
        assert served.status == 200
        assert served.headers["connection"] == "close"
        body = _lines("late.txt", b"late")
        commit = _begin_request(node, "POST /api/models/admin/m/commit/main HTTP/1.1")
        head = f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n"
        commit.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert commit.recv(1000).startswith(b"HTTP/1.1 100 ")  # the request is in progress
        _terminate(node)
        commit.sendall(body)
        assert _rest(commit).startswith(b"HTTP/1.1 200 ")
        assert node.process.wait(60) == 0
        node.process = None


def test_a_read_only_hub_serves_and_starts_no_background_jobs(tmp_path: Path) -> None:
    settings = {"read_only": "true", "read_only_message": "Back at noon."}
    with running_hub(tmp_path / "hub", settings) as node:
        assert node.call("GET", "/api/models").json == []
        refused = node.call("POST", "/api/repos/create", {"name": "m"})
        assert refused.status == 503
        assert refused.json["error"] == "Back at noon."
        jobs = json.loads(node.run("jobs", "--json").stdout)
        assert jobs == []
