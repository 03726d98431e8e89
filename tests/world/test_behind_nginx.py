"""Two nodes behind nginx, configured as in docs/running.md: one breaks, and clients go on."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from tests.support.hub import ProcessHub, running_hub
from tests.support.processes import die_with_parent, wait_until
from tests.support.services import Postgres, S3Server, free_ports

_NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")
_DOCS = Path(__file__).parents[2] / "docs" / "running.md"
#: What a test of seconds changes in the configuration: addresses, and how long a node may be mute.
_MAIN = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{server}
}}
"""
CLIENTS = 3
WRITES = 4  # of each client in each phase

pytestmark = pytest.mark.timeout(300)


def documented(ports: list[int], port: int) -> str:
    """Return the configuration of the docs, for nodes and a listener of this test."""
    block = re.search(r"```nginx\n(.*?)```", _DOCS.read_text(), re.DOTALL)
    assert block is not None
    text = block[1]
    for old, new in (
        ("10.0.0.1:8080", f"127.0.0.1:{ports[0]}"),
        ("10.0.0.2:8080", f"127.0.0.1:{ports[1]}"),
        ("listen 443 ssl", f"listen 127.0.0.1:{port}"),
        ("server_name hub.example.org", "server_name 127.0.0.1"),
        ("proxy_set_header Host $host", "proxy_set_header Host $http_host"),
        ("proxy_read_timeout 300s", "proxy_read_timeout 20s"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@dataclass
class Cluster:
    """Two nodes over one database and one bucket, and nginx before them."""

    nodes: list[ProcessHub]
    url: str
    token: str


@pytest.fixture
def cluster(postgres_server: Postgres, s3_server: S3Server, tmp_path: Path) -> Iterator[Cluster]:
    if _NGINX is None:
        pytest.skip("no nginx")
    *ports, port = free_ports(3)
    settings = {
        "database": postgres_server.fresh_database(),
        "blobs": s3_server.fresh_url(),
        "s3_endpoint": s3_server.options.endpoint,
        "s3_region": s3_server.options.region,
        "s3_access_key": s3_server.options.access_key,
        "s3_secret_key": s3_server.options.secret_key,
        "public_url": f"http://127.0.0.1:{port}",
        "trusted_proxies": "127.0.0.1",
        "min_free_bytes": 0,
        "database_timeout_seconds": 2,
    }
    config = tmp_path / "nginx.conf"
    config.write_text(_MAIN.format(folder=tmp_path, server=documented(ports, port)))
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(running_hub(tmp_path / f"node-{n}", settings, fixed_port=ports[n]))
            for n in range(2)
        ]
        command = [_NGINX, "-e", str(tmp_path / "nginx.log"), "-c", str(config)]
        nginx = stack.enter_context(
            subprocess.Popen(command, preexec_fn=die_with_parent)  # noqa: PLW1509
        )
        stack.callback(nginx.terminate)
        wait_until((tmp_path / "nginx.pid").exists)
        yield Cluster(nodes, f"http://127.0.0.1:{port}", nodes[0].token)


@dataclass
class Client:
    """Writes files to a repository of its own, and reads each back, until it is stopped."""

    api: HfApi
    repo: str
    stop: threading.Event
    written: dict[str, bytes] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    read_faults: list[str] = field(default_factory=list)

    def run(self) -> None:
        number = 0
        while not self.stop.is_set():
            number += 1
            name, content = f"f{number}.txt", f"{self.repo} {number}".encode()
            try:
                self.api.upload_file(path_or_fileobj=content, path_in_repo=name, repo_id=self.repo)
            except (HfHubHTTPError, OSError) as error:
                self.refused[type(error).__name__] += 1
                continue
            self.written[name] = content
            try:
                assert name in self.api.list_repo_files(self.repo)
            except (HfHubHTTPError, OSError, AssertionError) as error:
                self.read_faults.append(f"{name}: {error}")


def test_clients_go_on_while_a_node_is_killed_and_another_is_frozen(cluster: Cluster) -> None:
    stop = threading.Event()
    api = HfApi(endpoint=cluster.url, token=cluster.token)
    clients = [Client(api, api.create_repo(f"go-on-{n}").repo_id, stop) for n in range(CLIENTS)]
    threads = [threading.Thread(target=client.run, daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    try:
        first, second = cluster.nodes
        _progress(clients)
        first.kill()
        _progress(clients)
        first.start()
        _progress(clients)
        assert second.process is not None
        os.kill(second.process.pid, signal.SIGSTOP)
        try:
            _progress(clients)
        finally:
            os.kill(second.process.pid, signal.SIGCONT)
        _progress(clients)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    for client in clients:
        assert client.read_faults == []
        for node in cluster.nodes:
            files = _files(node, client.repo)
            assert {name: files.get(name) for name in client.written} == client.written


def _progress(clients: list[Client]) -> None:
    """Wait until every client has a few more acknowledged writes."""
    goals = [len(client.written) + WRITES for client in clients]
    wait_until(
        lambda: all(len(c.written) >= goal for c, goal in zip(clients, goals, strict=True)),
        timeout_s=200,
    )


def _files(node: ProcessHub, repo: str) -> dict[str, bytes]:
    listed = node.call("GET", f"/api/models/{repo}/tree/main").json
    names = [entry["path"] for entry in listed]
    return {name: node.call("GET", f"/{repo}/resolve/main/{name}").body for name in names}
