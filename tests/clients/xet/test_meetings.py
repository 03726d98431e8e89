"""Several Xet clients and one hub, and one client and several hubs."""

from __future__ import annotations

import json
import random
import shutil
import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.clients.hub import ANNA, PopulatedHub, populated_hub
from tests.clients.releases import ALL
from tests.clients.xet.clients import CLIENTS, NEW_CHUNKER, OLD_CHUNKER, XetClient, run_client
from tests.clients.xet.conftest import SETTINGS, SHAPES, hub_of_shape
from tests.clients.xet.slow import slow_proxy

pytestmark = pytest.mark.long
REMEMBERING = [client for client in CLIENTS if client.xet] if ALL else [NEW_CHUNKER]


def content(seed: str, size: int = 6_000_000) -> bytes:
    """Return noise and repetitions, where the two chunking rules often differ."""
    noise = random.Random(seed)
    periodic = noise.randbytes(997) * 3000
    return noise.randbytes(size - len(periodic)) + periodic


def transfer(
    hub: PopulatedHub, client: XetClient, home: Path, *arguments: str, **more: str
) -> None:
    script = "exchange.py" if client.xet else "exchange.mjs"
    result = run_client(hub, client, script, home, *arguments, **more)
    assert result.returncode == 0, f"{client}: {arguments}\n{result.stdout}{result.stderr}"


def up(hub: PopulatedHub, client: XetClient, home: Path, name: str, data: bytes) -> None:
    home.mkdir(exist_ok=True)
    (home / name).write_bytes(data)
    transfer(hub, client, home, "up", f"{ANNA}/meeting", name, str(home / name))


def down(hub: PopulatedHub, client: XetClient, home: Path, name: str) -> bytes:
    """Download with empty caches."""
    shutil.rmtree(home, ignore_errors=True)
    transfer(hub, client, home, "down", f"{ANNA}/meeting", name, str(home / "received"))
    return (home / "received").read_bytes()


def fetch(hub: PopulatedHub, path: str, method: str = "GET") -> tuple[dict[str, str], bytes]:
    headers = {"Authorization": f"Bearer {hub.tokens[ANNA]}"}
    request = urllib.request.Request(hub.url + path, method=method, headers=headers)
    with urllib.request.urlopen(request) as response:
        return {name.lower(): value for name, value in response.headers.items()}, response.read()


def calls_answered(hub: PopulatedHub, *parts: str) -> int:
    """Return how many calls the hub answered on routes with one of these parts."""
    _, body = fetch(hub, "/metrics")
    lines = [line for line in body.decode().splitlines() if line.startswith("hubstead_requests_t")]
    matching = [line for line in lines if any(part in line for part in parts)]
    return sum(int(float(line.rpartition(" ")[2])) for line in matching)


def sent_xorbs(hub: PopulatedHub) -> int:
    return calls_answered(hub, "/xorb/default", "/xorbs/default")


@pytest.mark.timeout(900)
def test_every_client_reads_the_uploads_of_every_other(
    xet_hub: PopulatedHub, tmp_path: Path
) -> None:
    clients = CLIENTS if ALL else [OLD_CHUNKER, NEW_CHUNKER]
    if shutil.which("npm") is None:
        clients = [client for client in clients if client.xet]
    data = content("shared by all")
    hashes = set()
    for number, client in enumerate(clients):
        name = f"{client.tag}.bin"
        up(xet_hub, client, tmp_path / client.tag, name, data + bytes([number]))
        headers, _ = fetch(xet_hub, f"/{ANNA}/meeting/resolve/main/{name}", "HEAD")
        hashes.add(headers["x-xet-hash"])
    assert len(hashes) == len(clients)
    for reader in clients:
        for number, writer in enumerate(clients):
            received = down(xet_hub, reader, tmp_path / "reader", f"{writer.tag}.bin")
            assert received == data + bytes([number]), f"{reader} of {writer}"


@pytest.mark.timeout(300)
def test_the_same_content_in_both_chunkings_is_served_for_both(
    xet_hub: PopulatedHub, tmp_path: Path
) -> None:
    data = content("two rules")
    for order in ((OLD_CHUNKER, NEW_CHUNKER), (NEW_CHUNKER, OLD_CHUNKER)):
        same = data + order[0].xet.encode()
        names = [f"{order[0].tag}first.bin", f"{order[0].tag}second.bin"]
        for name, client in zip(names, order, strict=True):
            up(xet_hub, client, tmp_path / client.tag, name, same)
        for name in names:
            for client in order:
                assert down(xet_hub, client, tmp_path / "reader", name) == same
            assert fetch(xet_hub, f"/{ANNA}/meeting/resolve/main/{name}")[1] == same


@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", REMEMBERING, ids=str)
def test_a_client_works_with_a_hub_that_was_emptied_at_the_same_address(
    client: XetClient, tmp_path: Path
) -> None:
    """The client's cache says for weeks that its uploads are stored."""
    data, home, port = content("emptied"), tmp_path / "home", free_port()
    for life in ("first", "second"):
        where = tmp_path / life / "data"
        with populated_hub(where, SETTINGS, fixed_port=port) as hub:
            up(hub, client, home, "w.bin", data)
            assert sent_xorbs(hub) > 0, "it did not send the bytes"
            assert down(hub, client, tmp_path / "reader", "w.bin") == data
        shutil.rmtree(where)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", REMEMBERING, ids=str)
def test_a_client_works_after_a_new_epoch_that_collects_its_cached_uploads(
    client: XetClient, tmp_path: Path
) -> None:
    data, home, port = content("epoch"), tmp_path / "home", free_port()
    short = {"xet_keep_seconds": 0, "xet_quarantine_seconds": 0, "blob_grace_seconds": 0}
    with populated_hub(tmp_path / "data", SETTINGS, fixed_port=port) as hub:
        up(hub, client, home, "w.bin", data)
        token = fetch(hub, f"/api/models/{ANNA}/meeting/xet-write-token/main")[0]
        delete(hub)
        hub.run("gc", "--new-epoch")
        hub.node.stop()
        hub.node.env = {
            **hub.node.env,
            **{f"HUBSTEAD_{k.upper()}": str(v) for k, v in short.items()},
        }
        hub.node.start()
        hub.run("gc", "--delete", "--grace", "0s")
        up(hub, client, home, "w.bin", data)
        after = fetch(hub, f"/api/models/{ANNA}/meeting/xet-write-token/main")[0]
        assert after["x-xet-cas-url"] != token["x-xet-cas-url"]
        assert sent_xorbs(hub) > 0, "it did not send the bytes"
        assert down(hub, client, tmp_path / "reader", "w.bin") == data


@pytest.mark.timeout(400)
@pytest.mark.skipif(not ALL, reason="it takes minutes, by its nature")
@pytest.mark.parametrize("client", [OLD_CHUNKER, NEW_CHUNKER], ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_tokens_that_expire_during_a_transfer_are_renewed(
    shape: str, client: XetClient, tmp_path: Path
) -> None:
    """Clients renew a token half a minute before its end."""
    proxy_port, port = free_port(), free_port()
    data = random.Random("slow").randbytes(130_000_000)
    slow: dict[str, Any] = {"public_url": f"http://127.0.0.1:{proxy_port}", "xet_token_seconds": 60}
    with hub_of_shape(shape, tmp_path / "data", slow, fixed_port=port) as hub:
        with slow_proxy(proxy_port, port, bytes_per_s=3_000_000):
            path = tmp_path / "w.bin"
            path.write_bytes(data)
            # Through the hub: direct transfers with S3 would bypass the slow proxy.
            slowly = {"HF_XET_CLIENT_LEGACY_DIRECT_XORB_UPLOAD": "1"}
            slowly |= {"HF_ENDPOINT": slow["public_url"], "HUB_URL": slow["public_url"]}
            where = ("up", f"{ANNA}/meeting", "w.bin", str(path))
            transfer(hub, client, tmp_path / "home", *where, **slowly)
            assert calls_answered(hub, "xet-write-token") >= 2, "one token was enough"
        assert fetch(hub, f"/{ANNA}/meeting/resolve/main/w.bin")[1] == data


def delete(hub: PopulatedHub) -> None:
    body = json.dumps({"name": "meeting"}).encode()
    headers = {
        "Authorization": f"Bearer {hub.tokens[ANNA]}",
        "Content-Type": "application/json",
    }
    url = f"{hub.url}/api/repos/delete"
    urllib.request.urlopen(urllib.request.Request(url, body, headers, method="DELETE")).close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
